"""The benchmark compares like with like: the same windows, and operations counted right."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_data import SMALL, set_params, write_flat

import stages
from benchmarks import accuracy, first_step, training_speed
from benchmarks.training_speed import PaddedArray, PaddedUtterances
from phonemes.context import window_starts
from phonemes.inference import gather, place
from phonemes.model import build
from phonemes.params import Data

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent


def corpus_of(lengths):
    """Return random frames, none of them zero, of utterances of these lengths."""
    random = np.random.default_rng(1)
    frames = random.uniform(1, 2, (sum(lengths), 3)).astype(np.float32)
    labels = random.integers(0, 71, sum(lengths))
    return training_speed.Corpus(frames, np.array(lengths), labels)


@pytest.mark.parametrize("usual", [PaddedArray, PaddedUtterances])
@pytest.mark.parametrize("lengths", [(5, 1, 9), (1,), (20, 20)])
@pytest.mark.parametrize("k", [1, 4])
def test_the_usual_loop_sees_the_windows_and_labels_of_this_project(usual, lengths, k):
    corpus, data = corpus_of(lengths), Data(k, "zero")
    starts = window_starts(corpus.lengths, k, "zero")
    split = place(corpus.frames, starts, corpus.labels, data, CPU, torch.float32)
    dataset = usual(corpus, k)
    windows, labels = zip(*(dataset[index] for index in range(len(dataset))), strict=True)
    assert torch.equal(torch.stack(windows), gather(split, slice(None)))
    assert torch.equal(torch.stack(labels), split.labels)


def test_random_frames_are_random_in_utterances_of_about_the_usual_length():
    corpus = training_speed.random_corpus(10_000)
    assert len(corpus.frames) == len(corpus.labels) == corpus.lengths.sum()
    assert len(corpus.frames) == pytest.approx(10_000, rel=0.1)
    assert corpus.frames.std() == pytest.approx(1, rel=0.01)  # zeros would multiply faster
    assert np.bincount(corpus.labels, minlength=71).min() > 0


def test_a_frame_costs_28_million_operations_in_training_and_11_in_scoring():
    assert training_speed.training_flops() == pytest.approx(27.7e6, rel=2e-3)
    sizes = [inputs * outputs for inputs, outputs in training_speed.products()]
    assert 2 * sum(sizes) == pytest.approx(11.0e6, rel=2e-3)


def test_the_products_counted_are_those_of_the_network(shipped, monkeypatch):
    made = []
    monkeypatch.setattr(training_speed, "build", lambda it: made.append(build(it)) or made[0])
    train = training_speed.replace(shipped.train, hidden=(8, 6), whole=0, neighbours=0)
    training_speed.network_of(train, CPU)
    linear = [layer for layer in made[0] if isinstance(layer, torch.nn.Linear)]
    assert training_speed.products((8, 6)) == [(it.in_features, it.out_features) for it in linear]


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    """Return what a run that measures as little as possible prints, and what it writes."""
    monkeypatch.chdir(ROOT)  # where params.yaml is
    monkeypatch.setattr(training_speed, "HIDDEN", (8, 6))
    monkeypatch.setattr(training_speed, "matrix_rate", lambda *_: 1e12)
    monkeypatch.setattr(training_speed, "copy_rate", lambda *_: 1e10)
    file = tmp_path / "speed.json"
    command = "training_speed --device cpu --batch 64 32 --frames 1000 --seconds 0.01 --rounds 2"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--workers", "0", "--json", str(file)])
    training_speed.main()
    return capsys.readouterr().out, json.loads(file.read_text("utf-8"))


def test_every_row_is_printed_and_written_with_its_rate(report):
    printed, written = report
    rows = {(row["batch"], row["row"]) for row in written["rows"]}
    for part in ("PaddedArray", "PaddedUtterances", "eager", "this project", "evaluation"):
        assert any(part in row for batch, row in rows if batch == 64), part
    for row in written["rows"]:
        assert row["row"] in printed
        assert len(row["rounds"]) == 2
        assert min(row["rounds"]) <= row["frames_per_second"] <= max(row["rounds"])
        assert min(row["rounds"]) > 0


def test_the_reference_is_the_best_usual_loop_at_the_first_batch_size(report):
    printed, written = report
    rates = [row["frames_per_second"] for row in written["rows"] if "usual" in row["row"]]
    assert len(rates) == 2
    assert written["usual_frames_per_second"] == max(rates)
    ratios = {line.split()[-2] for line in printed.splitlines() if line.startswith("usual")}
    assert "1.00" in ratios


@pytest.mark.parametrize("study", accuracy.STUDIES)
def test_every_row_of_a_study_differs_from_the_others(study):
    rows = list(accuracy.rows(study))
    settings = {(row.params, row.share) for row in rows}
    assert len(settings) == len(rows)
    later = [params for row in rows for params in row.further.values()]
    assert len(set(later)) == len(later)
    assert len(rows) + len(later) > 2


def test_changes_are_written_as_dvc_takes_them():
    shipped, changed = (
        accuracy.with_recipe(),
        accuracy.with_recipe(
            changes="train.hidden=[64, 32] data.k=9 train.augment.speed=0.2 train.lr=1e-3"
        ),
    )
    assert changed.train.hidden == (64, 32)
    assert (changed.data.k, changed.train.augment.speed, changed.train.lr) == (9, 0.2, 1e-3)
    assert changed.smooth == shipped.smooth


def test_a_part_of_the_ablation_changes_what_it_says_alone():
    rows = {row.name.partition(": ")[2]: row.params for row in accuracy.rows("residual")}
    assert rows["all"].train.augment.speed > 0
    without = rows["no distortion of the time axis"].train
    quiet = accuracy.replace(rows["all"].train.augment, speed=0)
    assert without == accuracy.replace(rows["all"].train, augment=quiet)


def test_a_share_of_the_utterances_is_a_run_of_them_and_another_with_another_seed():
    lengths = np.arange(1, 21)
    frames = np.repeat(np.arange(20.0), lengths)[:, None]
    labels = np.repeat(np.arange(20), lengths)
    arrays = accuracy.Arrays(frames, lengths, labels)
    begins = set()
    for seed in range(9):
        taken = accuracy.part(arrays, 0.3, seed)
        first = int(taken.labels[0])
        assert taken.lengths.tolist() == list(range(first + 1, first + 7))
        assert taken.labels.tolist() == taken.frames[:, 0].tolist()
        assert taken.labels.tolist() == np.repeat(range(first, first + 6), taken.lengths).tolist()
        begins.add(first)
    assert len(begins) > 3


@pytest.fixture
def corpus():
    """Return frames that are codes of their labels, which stay for ten frames, with noise."""
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 4, 60), 10)
    frames = (np.eye(4)[labels] + random.normal(0, 0.7, (600, 4))).astype(np.float32)
    return accuracy.Arrays(frames, np.array([200, 400]), labels)


def test_a_training_is_scored_at_its_best_epoch_with_and_without_smoothing(corpus, shipped, tiny):
    learning = accuracy.replace(tiny, epochs=20, batch_size=60, lr=0.5)
    params = accuracy.replace(shipped, data=Data(0, "zero"), train=learning)
    [(stage, result)] = accuracy.trained(corpus, corpus, params, "abcd")
    assert stage == ""
    assert result.accuracy == max(epoch["dev_accuracy"] for epoch in result.history)
    assert 0.5 < result.accuracy < result.smoothed
    assert 0 < result.seconds < result.elapsed


def test_what_is_refined_is_scored_before_and_after(corpus, shipped, tiny):
    learning = accuracy.replace(tiny, epochs=20, batch_size=60, lr=0.5)
    refine = accuracy.replace(shipped.refine, folds=2, members=2, k=3, hidden=(16, 16), epochs=20)
    params = accuracy.replace(shipped, data=Data(0, "zero"), train=learning, refine=refine)
    once = accuracy.replace(params, refine=accuracy.replace(refine, members=1))
    sharp = accuracy.replace(
        params, refine=shipped.refine, smooth=accuracy.replace(params.smooth, sequence=1, frame=1)
    )
    further = {"refined": params, "by one": once, "sharp": sharp}
    results = dict(accuracy.trained(corpus, corpus, params, "abcd", further))
    assert list(results) == ["", ", refined", ", by one", ", sharp"]
    alone, refined, by_one, smoothed = results.values()
    assert 0.5 < alone.accuracy < refined.accuracy  # its windows of posteriors are wider
    assert alone.seconds < by_one.seconds < refined.seconds
    assert alone.history == refined.history
    assert alone.accuracy < by_one.accuracy != refined.accuracy
    assert smoothed.accuracy == alone.accuracy
    assert smoothed.smoothed != alone.smoothed


# --- from the start of a process


def test_the_parts_of_a_start_are_timed_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    set_params(SMALL)
    write_flat()
    for stage in ("corpus", "normalize", "context"):
        stages.run(importlib.import_module(f"stages.{stage}").main)
    monkeypatch.setattr("sys.argv", ["first_step", str(tmp_path), "--runs", "2"])
    capsys.readouterr()
    first_step.main()
    table = [line.rsplit(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, *_ in table] == [*first_step.PARTS, "in all"]
    for seconds in zip(*(map(float, values) for _, *values in table), strict=True):
        assert all(second >= 0 for second in seconds)
        assert sum(seconds[:-1]) == pytest.approx(seconds[-1], abs=0.03)
