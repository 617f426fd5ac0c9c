"""The same seed, machine and number of threads give the same bytes, whatever ran before."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import STAGES, ran, run_stages, set_params
from pipeline.outcomes import ONE_THREAD, copied, outcome, outputs, remove, run_on_one_thread

pytestmark = pytest.mark.heavy

# Runs all stages in one process, after drawing from every global random state; prints the
# states that a stage changed.
ONE_PROCESS = """
import importlib, random, sys
import numpy, sklearn.metrics, torch  # the import of sklearn draws from random
import stages
seed, *names = sys.argv[1:]
del sys.argv[1:]
random.seed(int(seed))
numpy.random.seed(int(seed))
torch.manual_seed(int(seed))
torch.rand(int(seed))
def states():
    numbers = numpy.random.get_state()[1:3]
    return {
        "random": random.getstate(),
        "numpy": (numbers[0].tolist(), numbers[1]),
        "torch": torch.get_rng_state().tolist(),
    }
for name in names:
    before = states()
    module = importlib.import_module(f"stages.{name}")
    stages.run(module.main)
    print("CHANGED", name, *(key for key, value in states().items() if value != before[key]))
"""
SPEECH = {
    "corpus": {"source": "synthetic", "path": "data/raw", "synthetic": {"minutes": 1.0, "seed": 1}},
    "train": {"epochs": 5},
}
Outputs = dict[Path, dict[str, bytes | str]]
# of the environment of another user, in which a run starts
ELSEWHERE = {
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "TZ": "Asia/Kolkata",
}


@pytest.fixture(scope="module")
def by_dvc(reproduced, tmp_path_factory) -> Callable[[str], Outputs]:
    """Return a function that returns what `dvc repro` writes with one thread, from a source."""
    made = {"arrays": outcome(reproduced)}

    def repro(source: str) -> Outputs:
        if source not in made:
            pytest.importorskip("espeakng_loader")
            folder = copied(reproduced, tmp_path_factory.mktemp("by_dvc") / "project")
            set_params(SPEECH, folder)
            assert ran(run_on_one_thread(folder, "dvc", "repro")) == [*STAGES]
            made[source] = outcome(folder)
        return made[source]

    return repro


@pytest.fixture(scope="module")
def in_one_process(reproduced, tmp_path_factory) -> Callable[[str, int, int], tuple[Outputs, str]]:
    """Return a function that runs all stages in a new process and folder, once for its arguments.

    It takes the source, the number of threads of torch and numpy, and the seed of the global
    random states when the stages start, which also decides the number of jobs, the order of
    Python's sets and, but for 0, ELSEWHERE. It returns all outputs, and what was printed.
    """
    made: dict[tuple[str, int, int], tuple[Outputs, str]] = {}

    def run_all(source: str, threads: int, leftover: int) -> tuple[Outputs, str]:
        key = source, threads, leftover
        if key not in made:
            if source == "speech":
                pytest.importorskip("espeakng_loader")
            folder = copied(reproduced, tmp_path_factory.mktemp("one_process") / "project")
            for path in (*outputs(folder), folder / ".dvc/tmp/checkpoints"):
                remove(path)
            set_params(SPEECH if source == "speech" else {}, folder)
            set_params({"runtime": {"jobs": 1 + leftover % 2}}, folder)
            result = subprocess.run(
                [sys.executable, "-c", ONE_PROCESS, str(leftover), *STAGES],
                cwd=folder,
                env=ONE_THREAD
                | {
                    "OMP_NUM_THREADS": str(threads),
                    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads slow a busy machine down
                    "PYTHONHASHSEED": str(leftover),
                }
                | (ELSEWHERE if leftover else {}),
                text=True,
                capture_output=True,
            )
            assert result.returncode == 0, result.stderr
            made[key] = outcome(folder), result.stdout
        return made[key]

    return run_all


def differing(one: Outputs, other: Outputs) -> set[str]:
    """Return the outputs that two runs do not share."""
    return {path.as_posix() for path in one | other if one.get(path) != other.get(path)}


def dev_scores(made: Outputs) -> dict[str, float]:
    return json.loads(made[Path("metrics/evaluate.json")]["evaluate.json"])["dev"]


def predictions(made: Outputs) -> list[str]:
    return str(made[Path("predictions.csv")]["predictions.csv"], "utf-8").split()


@pytest.mark.parametrize("source", ["arrays", "speech"])
def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(
    by_dvc, in_one_process, source
):
    first, (second, _) = by_dvc(source), in_one_process(source, 1, 7)
    assert len(first) == len(second) > len(STAGES)
    assert differing(first, second) == set()


@pytest.mark.parametrize("source", ["arrays", pytest.param("speech", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_bytes_with_two_threads_too(in_one_process, source):
    (first, _), (second, _) = in_one_process(source, 2, 0), in_one_process(source, 2, 7)
    assert differing(first, second) == set()


@pytest.mark.parametrize("source", ["arrays", pytest.param("speech", marks=pytest.mark.slow)])
def test_the_number_of_threads_decides_no_more_than_the_last_digits(by_dvc, in_one_process, source):
    one, (two, _) = by_dvc(source), in_one_process(source, 2, 0)
    assert not {name for name in differing(one, two) if name.startswith("data/")}
    assert dev_scores(one)["accuracy"] == pytest.approx(dev_scores(two)["accuracy"], abs=0.02)
    pairs = [*zip(predictions(one), predictions(two), strict=True)]
    assert sum(a != b for a, b in pairs) <= 0.02 * len(pairs)


def test_no_stage_draws_from_the_global_states_of_python_and_numpy(in_one_process):
    _, printed = in_one_process("arrays", 1, 7)
    changed = [line.split()[1:] for line in printed.splitlines() if line.startswith("CHANGED")]
    # train seeds torch's, which its steps draw dropout from
    assert changed == [[stage, "torch"] if stage == "train" else [stage] for stage in STAGES]


def test_another_training_seed_gives_another_model_on_the_same_data(
    reproduced, tmp_path, monkeypatch
):
    monkeypatch.chdir(copied(reproduced, tmp_path / "project"))
    set_params({"train": {"seed": 2}})
    run_stages("train", "evaluate")
    others = differing(outcome(reproduced), outcome(Path()))
    assert {"models/model.safetensors", "metrics/history.csv", "metrics/evaluate.json"} <= others
    assert not {name for name in others if name.startswith("data/")}


def test_another_seed_of_the_speech_gives_another_corpus(by_dvc, reproduced, tmp_path, monkeypatch):
    speech = by_dvc("speech")
    monkeypatch.chdir(copied(reproduced, tmp_path / "project"))
    set_params(SPEECH)
    set_params({"corpus": {"synthetic": {"seed": 2}}, "runtime": {"jobs": 1}})
    run_stages("corpus")
    assert "data/corpus" in differing(speech, outcome(Path()))
