"""The command `phonemes`: quick help with an example, and errors of one line."""

import json
import subprocess
import sys

import pytest
from helpers import ENVIRONMENT, ROOT

from phonemes.commands.main import COMMANDS

pytestmark = pytest.mark.heavy

# Runs the command once for each list of arguments; prints exit codes, texts and slow imports.
SEVERAL = """
import contextlib, io, json, sys
from phonemes.commands.main import main
results = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["phonemes", *arguments]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            main()
        except SystemExit as end:
            code = end.code
    results.append((code, text.getvalue(), sorted({"torch", "pandas"} & sys.modules.keys())))
print(json.dumps(results))
"""


def started(*command: str, folder=ROOT) -> subprocess.CompletedProcess:
    """Run Python with the project's code, in a folder."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[int, str, list[str]]]:
    """Return exit code, text and slow imports of --help of `phonemes`, "", and each subcommand."""
    lists = [[name, "--help"] for name in COMMANDS]
    result = started("-c", SEVERAL, json.dumps([["--help"], *lists]))
    assert result.returncode == 0, result.stderr
    return dict(zip(["", *COMMANDS], json.loads(result.stdout), strict=True))


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_ends_with_an_example_and_imports_neither_torch_nor_pandas(helped, name):
    code, text, imported = helped[name]
    assert code == 0
    assert text.startswith(f"Usage: phonemes {name}")
    assert "  Example: " in text.splitlines()[-1]
    assert imported == []


def test_help_lists_every_subcommand_with_what_it_does(helped):
    listed = helped[""][1].partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert {line.split()[0]: len(line.split()) > 2 for line in listed} == dict.fromkeys(
        COMMANDS, True
    )


def test_a_module_of_each_subcommand_is_there_and_no_other():
    modules = {path.stem for path in (ROOT / "phonemes/commands").glob("*.py")}
    assert modules == {"__init__", "main", "terminal", "options", "experiments", *COMMANDS}


def test_an_unknown_subcommand_is_refused():
    result = started("-m", "phonemes", "recipes")
    assert result.returncode == 2
    assert "No such command 'recipes'" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_the_user_can_mend_ends_in_one_line(tmp_path):
    result = started("-m", "phonemes", "recipe", "course", folder=tmp_path)
    assert result.returncode == 1
    assert result.stdout == "--no-such-recipe\n"  # for `dvc exp run $(...)` to refuse
    assert result.stderr == "error: recipes holds no recipes; run this in the project's folder\n"


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_the_backend_of_a_notebook_that_starts_the_command_does_not_stop_pictures(
    backend, monkeypatch
):
    monkeypatch.setitem(ENVIRONMENT, "MPLBACKEND", backend)
    result = started("-c", f"{SEVERAL}\nimport phonemes.pictures", "[[]]")
    assert result.returncode == 0, result.stderr


def test_a_command_of_a_project_says_that_the_folder_is_none(tmp_path):
    result = started("-m", "phonemes", "summary", folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.endswith(
        f"; {tmp_path} has no params.yaml: work in the project's folder\n"
    )


def test_what_a_subcommand_does_is_said_whole_in_the_list(helped):
    listed = helped[""][1].partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line for line in listed if line.endswith("...")] == []
