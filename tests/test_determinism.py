"""The same seed, machine and number of threads give the same bytes, whatever ran before."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_kills import outcome
from test_pipeline import ENVIRONMENT, STAGES, new_project, set_params

# Runs all stages in one process, after drawing from every global random state; prints the
# states that a stage changed.
ONE_PROCESS = """
import importlib, random, sys
import numpy, torch
import stages
seed = int(sys.argv[1])
random.seed(seed)
numpy.random.seed(seed)
torch.manual_seed(seed)
torch.rand(seed)
def states():
    numbers = numpy.random.get_state()[1:3]
    return {
        "random": random.getstate(),
        "numpy": (numbers[0].tolist(), numbers[1]),
        "torch": torch.get_rng_state().tolist(),
    }
for name in sys.argv[2:]:
    before = states()
    module = importlib.import_module(f"stages.{name}")
    stages.run(module.main)
    print("CHANGED", name, *(key for key, value in states().items() if value != before[key]))
"""
SPEECH = {"source": "synthetic", "path": "data/raw", "synthetic": {"minutes": 1.0, "seed": 1}}
SOURCES = {"arrays": {}, "speech": SPEECH}
Made = tuple[dict[Path, dict[str, bytes | str]], str]


@pytest.fixture(scope="module")
def make(tmp_path_factory) -> Callable[..., Made]:
    """Return a function that runs all stages in a new folder, once for the same arguments."""
    made: dict[str, Made] = {}

    def run_all(source: str, threads: int, leftover: int = 0, **changes: dict) -> Made:
        """Return all outputs, and what was printed.

        Args:
            source: arrays or speech.
            threads: of torch and of numpy.
            leftover: seed of the global random states when the stages start.
            changes: to params.yaml.
        """
        key = json.dumps([source, threads, leftover, changes])
        if key not in made:
            folder = new_project(tmp_path_factory.mktemp("determinism") / f"project{leftover}")
            set_params(folder, {"corpus": SOURCES[source], "runtime": {"jobs": 1 + leftover % 2}})
            set_params(folder, changes)
            result = subprocess.run(
                [sys.executable, "-c", ONE_PROCESS, str(leftover), *STAGES],
                cwd=folder,
                env=ENVIRONMENT
                | {"OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": str(leftover)},
                text=True,
                capture_output=True,
            )
            assert result.returncode == 0, result.stderr
            made[key] = outcome(folder), result.stdout
        return made[key]

    return run_all


def differing(one: Made, other: Made) -> set[str]:
    """Return the outputs that two runs do not share."""
    return {path.as_posix() for path in one[0] | other[0] if one[0].get(path) != other[0].get(path)}


def scores(made: Made) -> dict:
    return json.loads(made[0][Path("metrics/evaluate.json")]["evaluate.json"])


sources = pytest.mark.parametrize(
    "source", ["arrays", pytest.param("speech", marks=pytest.mark.slow)]
)


@sources
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(make, source, threads):
    if source == "speech":
        pytest.importorskip("espeakng_loader")
    first, second = make(source, threads), make(source, threads, leftover=7)
    assert len(first[0]) > len(STAGES)
    assert differing(first, second) == set()


@sources
def test_the_number_of_threads_decides_no_more_than_the_last_digits(make, source, capsys):
    if source == "speech":
        pytest.importorskip("espeakng_loader")
    one, two = make(source, 1), make(source, 2)
    others = differing(one, two)
    accuracies = [scores(made)["dev"]["accuracy"] for made in (one, two)]
    labels = [
        str(made[0][Path("predictions.csv")]["predictions.csv"], "utf-8").split()
        for made in (one, two)
    ]
    changed = sum(a != b for a, b in zip(*labels, strict=True))
    with capsys.disabled():
        print(
            f"\n1 and 2 threads, {source}: different {', '.join(sorted(others)) or 'nothing'}; "
            f"dev accuracy {accuracies[0]:.5f} and {accuracies[1]:.5f}; "
            f"{changed:,} of {len(labels[0]) - 1:,} predictions"
        )
    assert not {name for name in others if name.startswith("data/")}
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.02)


def test_another_training_seed_gives_another_model_on_the_same_data(make):
    others = differing(make("arrays", 1), make("arrays", 1, train={"seed": 2}))
    assert {"models/model.pt", "metrics/history.csv", "metrics/evaluate.json"} <= others
    assert not {name for name in others if name.startswith("data/")}


def test_another_seed_of_the_resamples_changes_nothing_but_the_intervals(make):
    one, other = make("arrays", 1), make("arrays", 1, evaluate={"seed": 2})
    assert differing(one, other) == {"metrics/evaluate.json"}
    dev = [scores(made)["dev"] for made in (one, other)]
    changed = {name for name in dev[0] if dev[0][name] != dev[1][name]}
    assert changed
    assert all(name.endswith(("_low", "_high")) for name in changed)


@pytest.mark.slow
def test_another_seed_of_the_speech_gives_another_corpus(make):
    pytest.importorskip("espeakng_loader")
    other = make("speech", 1, corpus={"synthetic": {"seed": 2}})
    assert {"data/corpus", "models/model.pt"} <= differing(make("speech", 1), other)


def test_no_stage_draws_from_the_global_states_of_python_and_numpy(make):
    printed = make("arrays", 1)[1].splitlines()
    changed = [line.split()[1:] for line in printed if line.startswith("CHANGED")]
    # train seeds torch's for initialization and dropout; evaluate and predict build the network
    # with initial weights before they load its own
    networks = ("train", "evaluate", "predict")
    assert changed == [[stage, "torch"] if stage in networks else [stage] for stage in STAGES]
