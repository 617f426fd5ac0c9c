"""A trial learns what the train stage does with the same values and seed, byte for byte."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT, changed, run_stages, set_params
from numpy.lib.stride_tricks import sliding_window_view

from phonemes.context import pad, window_starts
from phonemes.inference.classify import classify
from phonemes.inference.device import Compute
from phonemes.inference.windows import gather, to_device
from phonemes.model.store import load_model
from phonemes.params import load
from phonemes.search.corpus import read_corpus
from phonemes.search.outcome import StoppedError
from phonemes.search.resident import KEPT, Resident
from phonemes.search.trial import AHEAD, Stoppable, train
from phonemes.storage.layout import HISTORY, MODEL
from phonemes.storage.read import read_split
from phonemes.training.loop import epochs
from phonemes.training.prepare import new_run, prepare
from phonemes.training.shares import select

pytestmark = pytest.mark.heavy

CPU = torch.device("cpu")
# of the stage, one after the other in one process: distortions, dropout, other frames and windows
SETTINGS = [
    {"data": {"k": 2}, "model": {"dropout": 0.2}},
    {"data": {"k": 0}, "augment": {"time_warp": 0.1}, "model": {"target_context": 2}},
    {"data": {"k": 3, "padding": "edge"}, "normalize": {"over": "corpus", "storage": "int8"}},
    {"normalize": {"over": "none"}, "model": {"target_context": 0, "precision": "bf16"}},
    {
        "data": {"k": 2},
        "normalize": {"storage": "bfloat16"},
        "train": {"optimizer": "sgd", "seed": 5, "class_weights": "sqrt"},
    },
]


@pytest.fixture
def resident(search_project):
    return Resident(read_corpus(load()), CPU, 3, new_run)


def always(*_):
    return True


def never():
    return False


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_trials_learn_the_bytes_of_the_stage_one_after_the_other(packed, tmp_path, monkeypatch):
    """Both keep the last epoch here: a single one, on whichever frames it is scored."""
    corpora = []
    for number, setting in enumerate(SETTINGS):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        for name in ("dvc.yaml", "phonemes", "stages"):
            Path(name).symlink_to(ROOT / name)
        Path("params.yaml").write_text((packed / "params.yaml").read_text())
        set_params(setting)
        set_params({"train": {"epochs": 1}})
        (folder / "data/raw").mkdir(parents=True)
        (folder / "data/raw/tiny").symlink_to(packed / "data/raw/tiny")
        run_stages("corpus", "normalize", "context", "train")
        corpora.append((load(), load_model(MODEL, CPU).model.base[0], pd.read_csv(HISTORY)))
    resident = Resident(read_corpus(load()), CPU, 3, new_run)
    for params, classifier, history in corpora:
        trained = train(resident.new_run, CPU, params, never, always)
        assert same(trained.network.state, classifier.network.state_dict())
        assert history["epoch"].tolist() == [trained.epoch] == [1]


def test_every_epoch_is_that_of_the_stage_though_another_half_of_dev_is_seen(resident):
    params = changed(load(), train={"epochs": 4}, model={"dropout": 0.3})
    split = [read_split(name, resident.corpus.classes) for name in ("train", "dev")]
    run = prepare(*split, resident.corpus.classes, Compute(CPU, torch.float32), params.fit)
    states = []
    for _ in epochs(run, progress=False, lines=False):
        states.append({k: v.clone() for k, v in run.classifier.network.state_dict().items()})
    seen = []
    trained = train(resident.new_run, CPU, params, never, lambda *epoch: seen.append(epoch) or True)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert same(trained.network.state, states[trained.epoch - 1])
    best = max(seen, key=lambda each: each[1])
    assert (trained.epoch, trained.choosing) == best


def test_halves_are_scored_each_on_its_own_frames(resident):
    params = changed(load(), train={"epochs": 2})
    trained = train(resident.new_run, CPU, params, never, always)
    dev = read_split("dev", resident.corpus.classes)
    found = []
    for half in (resident._choosing, ~resident._choosing):
        split = to_device(select(dev, half, params.data), params.data, CPU, torch.float32)
        predicted = classify(trained.network.classifier(CPU), split, torch.float32).predicted
        found.append((predicted == split.labels).double().mean().item())
    assert [trained.choosing, trained.reporting] == pytest.approx(found)
    sizes = [frames for _, frames in resident.half_sizes()]
    assert sum(sizes) == len(dev.frames)


@pytest.mark.parametrize("padding", ["zero", "edge"])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_windows_of_any_k_are_views_of_the_same_frames(resident, padding, k):
    params = changed(load(), data={"k": k, "padding": padding})
    run, reporting = resident.new_run(params)
    again, _ = resident.new_run(changed(params, data={"k": 3}))
    storage = run.batches.split.windows.untyped_storage().data_ptr()
    assert storage == again.batches.split.windows.untyped_storage().data_ptr()
    frames, starts, _, _ = read_split("train", None)
    lengths = resident.corpus.train.lengths
    rows = pad(frames, window_starts(lengths, k, padding), k, padding)
    windows = sliding_window_view(rows, 2 * k + 1, axis=0).transpose(0, 2, 1)
    wanted = windows[window_starts(lengths, k, padding)].reshape(len(starts), -1)
    found = gather(run.batches.split, torch.arange(len(starts)))
    assert np.array_equal(found.float().numpy(), wanted)
    assert len(run.dev.starts) + len(reporting.starts) == resident.corpus.dev.lengths.sum()


def test_only_some_ways_to_normalize_stay_on_the_device(resident):
    for relevance in range(KEPT + 3):
        resident.new_run(changed(load(), normalize={"relevance": float(relevance)}))
    assert len(resident._splits) == KEPT


def test_networks_made_ready_side_by_side_are_those_made_one_after_the_other(resident):
    settings = [
        changed(load(), train={"seed": seed}, normalize={"relevance": float(seed % 2)})
        for seed in range(8)
    ]
    before = torch.get_rng_state()

    def weights(params):
        run, _ = resident.new_run(params)
        return run.classifier.network.state_dict()

    alone = [*map(weights, settings)]
    with ThreadPoolExecutor(4) as threads:
        together = [*threads.map(weights, settings)]
    assert all(map(same, alone, together))
    assert not same(alone[0], alone[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_ends_after_the_epoch_that_it_shall_not_go_on_from(resident):
    trained = train(
        resident.new_run,
        CPU,
        changed(load(), train={"epochs": 9}),
        never,
        lambda epoch, _: epoch < 2,
    )
    assert (trained.epochs, trained.reporting) == (2, None)


def test_a_training_is_stopped_before_its_next_step(resident):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) == 7

    with pytest.raises(StoppedError):
        train(resident.new_run, CPU, changed(load(), train={"epochs": 9}), stopped, always)
    assert len(asked) == 7


def test_stoppable_batches_are_those_that_they_stop(resident):
    run, _ = resident.new_run(load())
    stop = threading.Event()
    batches = Stoppable(run.batches, CPU, stop.is_set)
    other, _ = resident.new_run(load())
    batches.begin(0, run.buffers.order)
    other.batches.begin(0, other.buffers.order)
    assert torch.equal(run.buffers.order, other.buffers.order)
    batches.before(0)
    stop.set()
    with pytest.raises(StoppedError):
        batches.before(1)


def test_a_thread_does_not_run_far_ahead_of_its_gpu(resident, monkeypatch):
    launched = reached = recorded = 0

    class Event:
        def __init__(self, blocking):
            assert blocking  # else a core is busy waiting

        def record(self):
            nonlocal recorded
            recorded = launched

        def synchronize(self):
            nonlocal reached
            reached = recorded

    monkeypatch.setattr(torch.cuda, "Event", Event)
    run, _ = resident.new_run(load())
    batches = Stoppable(run.batches, torch.device("cuda"), lambda: False)
    behind = []
    for step in range(10 * AHEAD):
        batches.before(step)
        launched += 1
        behind.append(launched - reached)
    assert max(behind) == 2 * AHEAD
    assert min(behind[2 * AHEAD :]) > AHEAD  # it has steps to do meanwhile
