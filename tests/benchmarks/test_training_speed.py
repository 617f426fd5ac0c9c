"""The benchmark of speed compares like with like, and counts operations right."""

import json
import math
import sys

import numpy as np
import pytest
import torch

from benchmarks import machine, training_speed

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(training_speed, "HIDDEN", (8, 6))


def test_random_frames_are_random_in_utterances_of_about_the_usual_length():
    corpus = training_speed.random_corpus(10_000)
    assert len(corpus.frames) == len(corpus.labels) == corpus.lengths.sum()
    assert len(corpus.frames) == pytest.approx(10_000, rel=0.1)
    assert corpus.frames.std() == pytest.approx(1, rel=0.01)  # zeros would multiply faster
    assert np.bincount(corpus.labels, minlength=71).min() > 0


def test_a_frame_costs_28_million_operations_in_training_and_11_in_scoring():
    assert training_speed.training_flops() == pytest.approx(27.7e6, rel=2e-3)
    assert training_speed.forward_flops() == pytest.approx(11.0e6, rel=2e-3)


def test_the_products_counted_are_those_of_the_network():
    network, _ = training_speed.new_classifier(training_speed.fit_params(64), CPU)
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    assert training_speed.products((8, 6)) == [(it.in_features, it.out_features) for it in linear]


def test_the_network_is_the_one_that_people_write():
    params = training_speed.fit_params(64)
    ours, _ = training_speed.new_classifier(params, CPU)
    sizes = (2 * training_speed.K + 1) * training_speed.BANDS, (8, 6), training_speed.CLASSES
    plain = training_speed.plain_network(*sizes, params.train.seed)
    assert [type(layer).__name__ for layer in ours] == [type(layer).__name__ for layer in plain]
    assert (params.train.optimizer, params.train.schedule) == ("adam", "constant")
    assert not params.augment.any()


def test_frames_that_are_streamed_pass_through_in_blocks(monkeypatch):
    corpus = training_speed.random_corpus(4000)
    _, dev = training_speed.placed(corpus, CPU, torch.float32)
    made = []
    project = training_speed.project
    monkeypatch.setattr(
        training_speed, "project", lambda *given: made.append(given) or project(*given)
    )
    rate = training_speed.streamed(training_speed.fit_params(64), corpus, dev, torch.float32)(0)
    ((_, batches, *_),) = made
    batches.queue.worker.shutdown()
    assert batches.blocks == 3 * batches.turns
    assert 0 < rate < math.inf


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    """Return what a run that measures as little as possible prints, and what it writes."""
    monkeypatch.setattr(machine, "matrix_rate", lambda *_: 1e12)
    monkeypatch.setattr(machine, "copy_rate", lambda *_: 1e10)
    file = tmp_path / "speed.json"
    command = "training_speed --device cpu --batch 64 32 --frames 1000 --seconds 0.01 --rounds 2"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--workers", "0", "--json", str(file)])
    training_speed.main()
    return capsys.readouterr().out, json.loads(file.read_text("utf-8"))


@pytest.mark.heavy  # torch.optim imports torch's compiler
def test_rows_are_printed_and_written_against_the_best_usual_loop(report):
    printed, written = report
    rows = {(row["batch"], row["row"]) for row in written["rows"]}
    for part in ("PaddedArray", "PaddedUtterances", "eager", "this project", "evaluation"):
        assert any(part in row for batch, row in rows if batch == 64), part
    assert not any("usual" in row for batch, row in rows if batch == 32)
    for row in written["rows"]:
        assert row["row"] in printed
        assert len(row["rounds"]) == 2
        assert 0 < min(row["rounds"]) <= row["frames_per_second"] <= max(row["rounds"])
    rates = [row["frames_per_second"] for row in written["rows"] if "usual" in row["row"]]
    assert len(rates) == 2
    assert written["usual_frames_per_second"] == max(rates)
    ratios = {line.split()[-2] for line in printed.splitlines() if line.startswith("usual")}
    assert "1.00" in ratios


def test_a_profile_counts_each_operation_of_a_step(capsys):
    params, corpus = training_speed.fit_params(100), training_speed.random_corpus(1500)
    split, dev = training_speed.placed(corpus, CPU, torch.float32)
    batches = training_speed.ResidentBatches(split, 1)
    measure = training_speed.project(params, batches, dev, torch.float32)
    training_speed.print_profile(measure, 100, CPU)
    (update,) = [line for line in capsys.readouterr().out.splitlines() if "_fused_adam_" in line]
    assert float(update.split()[1]) == pytest.approx(1, abs=0.15)
