"""What README and docs/ tell a user to type can be typed, and prints what they say."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.commands import FENCED, PAGES, Block, blocks, matches, spans, words
from docs.grammar import problem
from helpers import ENVIRONMENT, ROOT, commit, new_project, run, run_stages, set_params

import phonemes

NEEDS = {"data", "gpu", "network", "minutes", "cluster", "remote"}
BLOCKS = [block for page in PAGES for block in blocks(page)]
INCOMPLETE = re.compile(
    "are required|expected .* argument|requires an argument"
)  # of no harm in text
TEXT = "My dog and your summer saw the fresh foot, never."  # of the sentence that is spoken


def names(pages):
    return [page.relative_to(ROOT).as_posix() for page in pages]


def test_a_page_of_a_task_opens_with_what_one_has_at_the_end():
    tasks = (ROOT / "docs/index.md").read_text("utf-8").split(":caption: Tasks")[1].split("```")[0]
    assert len(tasks.split()) > 10
    for name in [*tasks.split(), "install", "tutorial", "recordings"]:
        opening = (ROOT / f"docs/{name}.md").read_text("utf-8").split("\n\n")[1]
        assert opening.startswith(("What you will have at the end: ", "What you will know at ")), (
            name
        )


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_command_exists_with_its_options_parameters_and_files(page):
    typed = [command for block in blocks(page) for command, _ in block.runs()]
    found = {text: problem(command) for text in typed for command in words(text)}
    assert {text: trouble for text, trouble in found.items() if trouble} == {}
    named = {text: problem(command) for text in spans(page) for command in words(text)}
    wrong = {text: trouble for text, trouble in named.items() if trouble}
    assert {text: wrong[text] for text in wrong if not INCOMPLETE.search(wrong[text])} == {}


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("phonemes transcrib a.wav", "No such command"),
        ("phonemes transcribe a.wav --too csv", "No such option"),
        ("phonemes search course --minutes ten", "not a valid"),
        ("dvc exp run $(phonemes recipe corse)", "did you mean course"),
        ("dvc exp rum", "invalid choice"),
        ("dvc repro --quik", "unrecognized arguments"),
        ("dvc exp run -S train.rate=1", "train.rate is no parameter"),
        ("dvc exp run --queue -S 'train.lr=1e-3,1e9'", "train.lr is 1000000000.0"),
        ("dvc exp run -S", "expected one argument"),
        ("python -m benchmarks.accuracy", "are required"),
        ("make reprodce", "no target"),
        ("python -m benchmarks.training_sped", "there is no benchmarks.training_sped"),
        ("python -m benchmarks.training_speed --bach 1", "unrecognized arguments"),
        ("python examples/lable.py", "there is no examples/lable.py"),
        ("pip install '.[audoi]'", "no extra audoi"),
        ("ls; phonmes plan", "no program phonmes"),
    ],
)
def test_what_does_not_exist_is_found(text, trouble):
    assert trouble in "; ".join(problem(command) for command in words(text))


def test_what_is_left_out_of_output_is_any_lines():
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n")
    assert matches("file:///.../x.html", "file:///tmp/a/x.html\n")
    assert not matches("a\n...\nd\n", "a\nb\n")
    assert not matches("a\n", "a\nb\n")


def test_blocks_need_what_is_known():
    assert {need for block in BLOCKS for need in block.needs} <= NEEDS
    assert {block.kind for block in BLOCKS} == {"sh", "console"}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_python_in_a_page_is_python_and_what_it_calls_exists(page):
    for block in FENCED.finditer(page.read_text("utf-8")):
        if block["kind"] == "python":
            for node in ast.walk(ast.parse(block["text"])):
                match node:
                    case ast.Attribute(value=ast.Name(id="phonemes"), attr=name):
                        assert hasattr(phonemes, name)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Path:
    """Return a small project in which the pipeline ran, with a recording and its text."""
    for name in ("soundfile", "soxr", "espeakng_loader"):
        pytest.importorskip(name)
    import soundfile

    from docs.generate.voices import RATE, sentence

    project = new_project(tmp_path_factory.mktemp("sandbox") / "project")
    set_params({"train": {"epochs": 2}}, project)
    for name in ("examples", "benchmarks", "Makefile", "pyproject.toml"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, project / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        run_stages()
    run(project, "dvc", "commit", "-q", "-f")
    spoken = sentence()
    soundfile.write(project / "hello.wav", spoken.samples, RATE)
    (project / "hello.txt").write_text(TEXT)
    commit(project)
    return project


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """Return a folder of programs that run what is in the current folder."""
    folder = tmp_path_factory.mktemp("programs")
    python = f'exec "{sys.executable}"'
    for name in ("python", "phonemes", "dvc"):
        module = "" if name == "python" else f"-m {name} "
        (folder / name).write_text(f'#!/bin/sh\n{python} {module}"$@"\n')
        (folder / name).chmod(0o755)
    return folder


def run_blocks(chosen: list[Block], project: Path, programs: Path) -> None:
    """Run blocks one after the other in a project."""
    path = f"{programs}{os.pathsep}{ENVIRONMENT['PATH']}"
    make = f"VENV= PYTHON={sys.executable}"  # no environment of its own
    environment = ENVIRONMENT | {"PATH": path, "OMP_NUM_THREADS": "1", "MAKEFLAGS": make}
    for block in chosen:
        for command, expected in block.runs():
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", command],
                cwd=project, env=environment, text=True, capture_output=True,
            )  # fmt: skip
            assert done.returncode == 0, f"{block}: {command}\n{done.stdout}\n{done.stderr}"
            printed = re.sub(r"[ \t]+$", "", done.stdout, flags=re.M)
            assert matches(expected, printed), f"{block}: {command}\n{printed}"


def pages_with(*needs: str) -> list[str]:
    return sorted({block.page for block in BLOCKS if block.needs == needs})


@pytest.mark.heavy
@pytest.mark.parametrize("page", pages_with())
def test_commands_run_and_print_what_the_page_says(page, sandbox, programs, tmp_path):
    project = shutil.copytree(sandbox, tmp_path / "project", symlinks=True)
    chosen = [block for block in BLOCKS if block.page == page and not block.needs]
    run_blocks(chosen, project, programs)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("minutes"))
def test_commands_that_need_minutes_run(page, sandbox, programs, tmp_path):
    project = shutil.copytree(sandbox, tmp_path / "project", symlinks=True)
    chosen = [block for block in BLOCKS if block.page == page and block.needs == ("minutes",)]
    run_blocks([block._replace(compared=False) for block in chosen], project, programs)
