"""The tree explains itself: who may import whom, and what one edit reruns."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, STAGES

from phonemes.params import Params

LEVELS = 10  # of imports, at most
DECLARED = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
SHARED = ["phonemes/errors.py", "phonemes/schema.py", "phonemes/storage"]
CODE = {  # what a stage depends on besides its own module and SHARED
    "corpus": [  # most of it for corpus.audio.transcripts: align
        "phonemes/corpus", "phonemes/features", "phonemes/inventory.py", "phonemes/alignment",
        "phonemes/transcription", "phonemes/english", "phonemes/decoding", "phonemes/inference",
        "phonemes/model", "phonemes/normalize.py", "phonemes/context.py", "phonemes/wording.py",
    ],
    "normalize": ["phonemes/normalize.py", "phonemes/wording.py"],
    "context": ["phonemes/context.py", "phonemes/wording.py"],
    "train": [
        "phonemes/context.py", "phonemes/model", "phonemes/inference", "phonemes/training",
        "phonemes/distributed",
    ],
    "evaluate": [
        "phonemes/context.py", "phonemes/model", "phonemes/inference", "phonemes/decoding",
        "phonemes/scoring", "phonemes/inventory.py",
    ],
    "predict": [
        "phonemes/context.py", "phonemes/model", "phonemes/inference", "phonemes/decoding",
        "phonemes/wording.py",
    ],
}  # fmt: skip
RERUNS = {  # after one edit of a module
    "stages/__init__.py": STAGES,
    "stages/train.py": ["train"],
    "phonemes/errors.py": STAGES,
    "phonemes/schema.py": STAGES,
    "phonemes/storage/read.py": STAGES,
    "phonemes/wording.py": ["corpus", "normalize", "context", "predict"],
    "phonemes/params.py": [],
    "phonemes/__init__.py": [],
    "phonemes/__main__.py": [],
    "phonemes/commands/recipe.py": [],
    "phonemes/recipes.py": [],
    "phonemes/search/study.py": [],
    "phonemes/inspection/report.py": [],
    "phonemes/inventory.py": ["corpus", "evaluate"],
    "phonemes/features/log_mel.py": ["corpus"],
    "phonemes/corpus/pack.py": ["corpus"],
    "phonemes/corpus/audio/textgrid.py": ["corpus"],
    "phonemes/alignment/viterbi.py": ["corpus"],
    "phonemes/english/model.safetensors": ["corpus"],
    "phonemes/normalize.py": ["corpus", "normalize"],
    "phonemes/context.py": ["corpus", "context", "train", "evaluate", "predict"],
    "phonemes/model/layers.py": ["corpus", "train", "evaluate", "predict"],
    "phonemes/inference/folding.py": ["corpus", "train", "evaluate", "predict"],
    "phonemes/training/optimizer.py": ["train"],
    "phonemes/distributed/world.py": ["train"],
    "phonemes/training/fused/gather.py": ["train"],
    "phonemes/decoding/phone_model.py": ["corpus", "evaluate", "predict"],
    "phonemes/export/graph.py": [],
    "phonemes/pages/report/findings.py": [],
    "phonemes/scoring/scores.py": ["evaluate"],
}


@cache
def imports(name: str) -> frozenset[str]:
    """Return the project's modules that a module imports, by their files, at any place in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            dotted = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
        else:
            continue
        for path in (module.replace(".", "/") for module in dotted):
            for file in (f"{path}.py", f"{path}/__init__.py"):
                if path.split("/")[0] in ("phonemes", "stages") and (ROOT / file).exists():
                    found.add(file)
    return frozenset(found - {name})


def modules(folder: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py"))


LIBRARY, PROGRAM = modules("phonemes"), [*modules("phonemes"), *modules("stages")]


def reached(name: str) -> set[str]:
    """Return what a module runs: itself and what it imports, one through another.

    Not what `phonemes.params` imports: it only refuses, so that no result depends on it.
    """
    found, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [] if module == "phonemes/params.py" else imports(module)
    return found - {"phonemes/params.py"}


def covers(dependency: str, module: str) -> bool:
    return module == dependency or module.startswith(f"{dependency}/")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_folders_and_on_all_the_code_that_it_runs(stage):
    declared = [dep for dep in DECLARED[stage]["deps"] if dep.startswith(("phonemes", "stages"))]
    own = ["stages/__init__.py", f"stages/{stage}.py"]
    assert sorted(declared) == sorted([*own, *SHARED, *CODE[stage]])
    missed = {
        module
        for module in reached(f"stages/{stage}.py")
        if not any(covers(dependency, module) for dependency in declared)
    }
    assert missed == set()


@pytest.mark.parametrize("module", RERUNS)
def test_an_edit_reruns_the_stages_that_depend_on_it(module):
    assert (ROOT / module).exists()
    assert [
        stage
        for stage in STAGES
        if any(covers(dependency, module) for dependency in DECLARED[stage]["deps"])
    ] == [*RERUNS[module]]


def test_the_library_imports_no_stage():
    assert {name for name in LIBRARY if any("stages/" in each for each in imports(name))} == set()


def test_nothing_but_the_program_itself_imports_commands():
    users = {
        name for name in PROGRAM if any(covers("phonemes/commands", each) for each in imports(name))
    }
    assert {name for name in users if not covers("phonemes/commands", name)} == {
        "phonemes/__main__.py"
    }


@pytest.mark.parametrize("folder", ["phonemes/model", "phonemes/inference"])
def test_a_model_is_used_without_the_code_that_trains_it(folder):
    for name in modules(folder):
        assert not any(covers("phonemes/training", each) for each in imports(name)), name


def import_levels() -> dict[str, int]:
    """Return each module's level, above all that it imports; raises where there is a circle."""
    levels: dict[str, int] = {}
    for name in TopologicalSorter({name: imports(name) for name in PROGRAM}).static_order():
        levels[name] = 1 + max((levels[each] for each in imports(name)), default=0)
    return levels


def test_imports_have_no_circle_and_few_levels():
    assert max(import_levels().values()) <= LEVELS


def test_click_is_imported_by_commands_alone():
    users = {name for name in PROGRAM if "import click" in (ROOT / name).read_text("utf-8")}
    assert all(covers("phonemes/commands", name) for name in users)


def test_a_section_is_defined_with_the_code_that_it_configures():
    homes = {name: field.type.__module__ for name, field in Params.__dataclass_fields__.items()}
    assert homes == {
        "corpus": "phonemes.corpus.params",
        "features": "phonemes.features.log_mel",
        "normalize": "phonemes.normalize",
        "data": "phonemes.context",
        "model": "phonemes.model.params",
        "augment": "phonemes.training.params",
        "train": "phonemes.training.params",
        "stacking": "phonemes.training.params",
        "smooth": "phonemes.decoding.phone_model",
        "evaluate": "phonemes.scoring.params",
        "predict": "phonemes.params",  # no library module reads these two
        "runtime": "phonemes.params",
    }


def test_tests_mirror_the_tree():
    tests = Path(__file__).parent
    places = {folder.removeprefix("phonemes").strip("/") for folder in map(parent, PROGRAM)}
    known = places | {"pipeline", "benchmarks", "docs", "stages", ""}
    assert {
        parent(path.relative_to(tests).as_posix()) for path in tests.rglob("test_*.py")
    } <= known


def parent(name: str) -> str:
    return Path(name).parent.as_posix().removeprefix(".")


def test_every_stage_says_what_it_does():
    assert all(stage["desc"] for stage in DECLARED.values())


def unpickling(name: str) -> list[str]:
    """Return what a module uses of what writes or runs programs as data, with its lines."""
    programs = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
    found = []
    for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                used = [alias.name for alias in names if alias.name.split(".")[0] in programs]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in programs:
                used = [module]
            case ast.ImportFrom(module="torch", names=names):
                used = [alias.name for alias in names if alias.name in ("load", "save")]
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as attribute):
                used = [f"torch.{attribute}"]
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                used = ["allow_pickle=True"]
            case _:
                used = []
        found += [f"{name}:{getattr(node, 'lineno', 0)} {each}" for each in used]
    return found


def test_nothing_is_pickled_and_no_pickle_is_run():
    assert [found for name in PROGRAM for found in unpickling(name)] == []
