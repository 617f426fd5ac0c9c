"""What is for those who work on the project is whole: workflows, templates, versions, documents."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers import ENVIRONMENT, ROOT, STAGES, run
from test_structure import DECLARED, import_levels

from phonemes.commands.main import COMMANDS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
DOCUMENTS = ["CONTRIBUTING.md", "docs/architecture.md"]


def constraint(package):
    """Return the version of a package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{package}=="))


def steps(path):
    """Return the steps of all jobs of a workflow."""
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def named_places():
    """Yield each name that CONTRIBUTING.md places in a file of Python, with that file."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    text = text[text.index("## Which files a change touches") :]
    for files, what in re.findall(r"^\| (`.*?`) \| (.*?) \|$", text, re.MULTILINE):
        modules = [file for file in re.findall(r"`([^`]+)`", files) if file.endswith(".py")]
        if len(modules) == 1:
            yield from ((name, modules[0]) for name in re.findall(r"`(\w+)`", what))
    yield from re.findall(r"`(\w+)`\s(?:of|in)\s`(\w[\w/]*/\w+\.py)`", text)


def test_contributing_names_the_file_that_has_what_is_to_be_changed():
    places = [*named_places()]
    assert ("activate", "phonemes/training/fused/activation.py") in places
    assert ("COMMANDS", "phonemes/commands/main.py") in places
    missing = [
        (name, file)
        for name, file in places
        if not re.search(
            rf"^\s*(?:def|class) {name}\b|^\s*{name}\b[^=\n(]*[:=]",
            (ROOT / file).read_text("utf-8"),
            re.MULTILINE,
        )
    ]
    assert missing == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_actions_of_a_workflow_are_pinned_to_a_commit(path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_one_job_may_comment(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    more = {
        name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job
    }
    assert more in ({}, {"metrics": {"contents": "read", "pull-requests": "write"}})


def test_workflows_run_what_make_knows():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    lines = [
        line
        for path in WORKFLOWS
        for step in steps(path)
        for line in step.get("run", "").splitlines()
    ]
    called = {word for line in lines if line.startswith("make ") for word in shlex.split(line)[1:]}
    assert called == {"check", "test"} <= targets
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    assert container["postCreateCommand"].removeprefix("make ") in targets


@pytest.mark.heavy
@pytest.mark.parametrize("score", [0.8, 0.9])
def test_the_workflow_posts_the_metrics_that_differ_or_that_none_does(tmp_path, score):
    (step,) = (each for path in WORKFLOWS for each in steps(path) if "BASE" in each.get("env", {}))
    (tmp_path / "metrics").mkdir()
    (tmp_path / "dvc.yaml").write_text("metrics: [metrics/evaluate.json]\n")
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    for value in (0.8, score):
        (tmp_path / "metrics/evaluate.json").write_text(json.dumps({"dev": {"accuracy": value}}))
        (tmp_path / "note.txt").write_text(f"{value} of {score}")
        run(tmp_path, "git", "add", "-A")
        run(tmp_path, "git", "commit", "-q", "--allow-empty", "-m", "state")
    # dvc's script may not start where a folder's name has a space
    shell = step["run"].replace("dvc metrics", f"{shlex.quote(sys.executable)} -m dvc metrics")
    base = run(tmp_path, "git", "rev-parse", "HEAD~1").strip()
    given = ENVIRONMENT | {"BASE": base, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    subprocess.run(["bash", "-ec", shell], cwd=tmp_path, env=given, check=True)
    posted = (tmp_path / "metrics.md").read_text()
    assert posted == (tmp_path / "summary").read_text()
    if score == 0.8:
        assert posted == "The committed metrics are those of the base.\n"
    else:
        assert [cell.strip() for cell in posted.splitlines()[2].split("|")[1:-1]] == [
            "metrics/evaluate.json", "dev.accuracy", "0.8", "0.9", "0.1",
        ]  # fmt: skip


def test_the_workflow_takes_pythons_that_the_project_takes():
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS)
    minors = {int(minor) for minor in re.findall(r'"3\.(\d+)"', text)}
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert {int(low), int(high) - 1} <= minors <= {*range(int(low), int(high))}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_the_fields_of_an_issue_form_have_names_of_their_own(path):
    form = yaml.safe_load(path.read_text("utf-8"))
    assert form["name"] and form["description"]
    names = [field["id"] for field in form["body"]]
    assert len({*names}) == len(names) > 0
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_form_of_an_error_asks_for_version_parameters_and_output():
    text = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text("utf-8")
    assert all(word in text for word in ("phonemes --version", "dvc params diff", "dvc repro"))


def test_the_citation_has_the_version_and_licence_of_the_package():
    assert CITATION["cff-version"] == "1.2.0"
    assert (CITATION["version"], CITATION["license"]) == (PROJECT["version"], PROJECT["license"])
    assert {"message", "title", "authors"} <= set(CITATION)
    assert CITATION["authors"][0]["name"] in (ROOT / "LICENSE").read_text("utf-8")


def test_hooks_run_the_tools_that_make_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0][
        "hooks"
    ]
    tools = {shlex.split(hook["entry"])[0] for hook in hooks if hook["language"] == "system"}
    assert tools == {"ruff", "mypy"}
    assert all(constraint(tool) for tool in tools)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_files_that_a_document_names_exist(document):
    text = (ROOT / document).read_text("utf-8")
    named = set(
        re.findall(r"`((?:phonemes|stages|tests|recipes|docs)/[\w/.]*\w(?:\.\w+)?/?)`", text)
    )
    named = {name for name in named if "NAME" not in name and name != "tests/X"}
    assert named and [name for name in named if not (ROOT / name).exists()] == []


def test_the_map_has_every_part_of_the_library_with_its_level():
    levels: dict[str, int] = {}
    for name, level in import_levels().items():
        part = "/".join(name.split("/")[:2])
        levels[part] = max(level, levels.get(part, 0))
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(phonemes/[\w.]+)/?` \| (\d+) \|", text, re.MULTILINE)
    parts = {part for part in levels if part.startswith("phonemes/") and "/__" not in part}
    assert {part: int(level) for part, level in rows} == {part: levels[part] for part in parts}


def test_git_ignores_what_dvc_keeps():
    kept = [out for stage in DECLARED.values() for out in stage["outs"] if isinstance(out, str)]
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    places = {out: {f"/{place}" for place in (out, *map(str, Path(out).parents))} for out in kept}
    assert [out for out in kept if not places[out] & {*ignored}] == []


def test_the_page_of_the_pipeline_has_every_stage():
    text = (ROOT / "docs/pipeline.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [*STAGES]


def test_every_stage_and_command_has_a_test():
    assert [*DECLARED] == [*STAGES]
    tests = [f"stages/test_{name}.py" for name in STAGES if name != "context"]
    tests += [f"commands/test_{name}.py" for name in COMMANDS]
    assert [name for name in tests if not (ROOT / "tests" / name).exists()] == []
