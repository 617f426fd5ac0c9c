"""A profile counts what training will take, and leaves no trace in what follows."""

import pytest
import torch
from helpers import changed
from training.toy import BANDS, RANDOM, as_bytes, copied, finished, new_run, scores, weights

from phonemes.training.profile import capture, profile

OPTIMIZERS = ["sgd", "adam", "adamw"]


@pytest.mark.parametrize(
    ("optimizer", "momentum"), [("sgd", 0.0), ("sgd", 0.9), ("adam", 0.9), ("adamw", 0.9)]
)
def test_a_profile_changes_nothing_that_follows(tiny, optimizer, momentum):
    params = changed(tiny, **RANDOM)
    params = changed(params, train={"optimizer": optimizer, "momentum": momentum})
    plain = finished(new_run(params))
    profiled = new_run(params)
    profile(profiled)
    assert weights(finished(profiled)) == weights(plain)
    assert scores(profiled) == scores(plain)


def test_a_profile_in_float16_leaves_the_scale_of_the_loss_as_it_was(tiny):
    run = new_run(tiny, dtype=torch.float16)
    run.optimizer.scale = torch.tensor([2.0**30, 5.0])
    profile(run)
    assert run.optimizer.scale.tolist() == [2.0**30, 5]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_profile_leaves_weights_optimizer_and_chance_as_they_were(tiny, optimizer):
    run = new_run(changed(changed(tiny, **RANDOM), train={"optimizer": optimizer}))
    before, chance = copied(run), torch.get_rng_state()
    run.buffers.rates.fill_(0.1)
    profile(run)
    assert torch.equal(torch.get_rng_state(), chance)
    assert as_bytes(copied(run)) == as_bytes(before)
    state = [value for values in run.optimizer.state.values() for value in values.values()]
    assert state and not any(value.any() for value in state)


def test_a_profile_counts_parameters_and_bytes(tiny):
    cost = profile(new_run(tiny))
    parameters = 12 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3
    assert cost.parameters == parameters
    frames = [(35, 4), (14, 2)]  # of the training and the dev set, with their utterances
    padded = [(count + utterances + 1) * BANDS * 4 for count, utterances in frames]
    assert cost.resident_bytes == sum(padded) + (35 + 14) * (4 + 8)  # starts and labels
    assert cost.step_bytes > 2 * 4 * parameters + 16 * 12 * 4  # weights, gradients and a batch
    assert cost.epoch_seconds > 0


def test_a_profile_counts_what_the_optimizer_keeps(tiny):
    sgd, momentum, adam = (
        profile(new_run(changed(tiny, train=changes)))
        for changes in ({}, {"momentum": 0.9}, {"optimizer": "adam"})
    )
    assert momentum.step_bytes - sgd.step_bytes == 4 * sgd.parameters
    assert adam.step_bytes - sgd.step_bytes == 2 * 4 * sgd.parameters + 6 * 4  # and step counts


def test_a_profile_counts_larger_batches(tiny):
    small, large = (
        profile(new_run(changed(tiny, train={"batch_size": size}))).step_bytes for size in (8, 32)
    )
    assert large - small >= 24 * (12 + 8 + 6) * 4  # inputs of the three layers


def test_a_step_that_knows_the_memory_it_needs_is_believed(tiny, monkeypatch):
    run = new_run(tiny)
    monkeypatch.setattr(run.step, "memory", lambda: 12345)
    assert profile(run).step_bytes == 12345


class Graph:
    """Stands for a recorded graph of a GPU."""

    def __init__(self):
        self.done = []

    def capture_begin(self, capture_error_mode):
        assert capture_error_mode == "thread_local"  # other threads work on
        self.done.append("begin")

    def capture_end(self):
        self.done.append("end")


@pytest.mark.parametrize(
    ("free", "expected"),
    [(60, ["begin", "update", "end"]), (10, ["wait", "empty", "begin", "update", "end"])],
)
def test_a_recording_waits_for_other_threads_only_where_memory_is_short(
    monkeypatch, free, expected
):
    graph = Graph()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 100))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: graph.done.append("wait"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: graph.done.append("empty"))
    capture(graph, lambda: graph.done.append("update"))
    assert graph.done == expected


def test_a_recording_ends_where_the_update_fails(monkeypatch):
    graph = Graph()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (60, 100))
    with pytest.raises(ZeroDivisionError):
        capture(graph, lambda: 1 / 0)
    assert graph.done == ["begin", "end"]
