"""Second networks learn from what networks made of utterances that they never saw."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bad_data import SMALL, set_params, write_flat
from hypothesis import given
from hypothesis import strategies as st
from test_leaks import run

import phonemes.refining
import stages
from phonemes.context import utterance_lengths, window_starts
from phonemes.errors import InputError
from phonemes.fitting import Arrays, prepare
from phonemes.inference import as_frames, place, posteriors
from phonemes.model import Model, Trained, load_model
from phonemes.params import Data
from phonemes.recognition import log_posteriors, recognize
from phonemes.refining import chosen, parts, second_networks, second_params, without_parts
from phonemes.smoothing import Smoothing, count_sequences, smoothed
from stages import MODEL, PREDICTIONS, SCORES

CPU = torch.device("cpu")
CLASSES, BANDS = 5, 3
NAMES = ("SIL", "AA0", "B", "S", "T")
LENGTHS = {"train": np.array([9, 4, 7, 6, 8]), "dev": np.array([5, 6])}


@given(st.integers(1, 40), st.integers(2, 10))
def test_every_utterance_is_left_out_once(utterances, folds):
    if utterances < folds:
        with pytest.raises(InputError, match=f"refine.folds is {folds}, but train has "):
            parts(utterances, folds)
        return
    cut = parts(utterances, folds)
    assert np.concatenate(cut).tolist() == list(range(utterances))
    assert len(cut) == folds
    assert all(len(part) for part in cut)


def arrays(split, data, seed=0):
    """Return frames that are codes of their labels, with noise."""
    random = np.random.default_rng((seed, len(split)))
    lengths = LENGTHS[split]
    labels = random.integers(0, CLASSES, lengths.sum()).astype(np.uint8)
    frames = np.eye(CLASSES, BANDS)[labels] + random.normal(0, 0.2, (len(labels), BANDS))
    starts = window_starts(lengths, data.k, data.padding)
    return Arrays(frames.astype(np.float32), starts, labels)


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_chosen_utterances_come_whole_with_windows_of_their_own(padding):
    data = Data(2, padding)
    whole = arrays("train", data)
    taken = chosen(whole, np.array([False, True, False, True, False]), data)
    assert utterance_lengths(taken.starts).tolist() == [4, 6]
    frames = [*range(9, 13), *range(20, 26)]
    assert np.array_equal(taken.frames, whole.frames[frames])
    assert np.array_equal(taken.labels, whole.labels[frames])
    place(*taken, data, CPU, torch.float32)  # the starts fit


class Watched:
    """Trains networks as asked, and remembers on what."""

    def __init__(self):
        self.calls = []

    def __call__(self, train, dev, data, how, which):
        training, architecture = prepare(train, dev, NAMES, CPU, torch.float32, data, how)
        list(training.epochs(progress=False))
        self.calls.append((train, dev, data, how, which))
        return Trained(architecture, training.best_state)


def refined(first, train, dev, params, fit):
    """Return the networks without a part of train, and the second ones over all."""
    others, unheard = without_parts(train, dev, CPU, torch.float32, params, fit)
    firsts = [first, *others]
    return others, second_networks(firsts, unheard, train, dev, CPU, torch.float32, params, fit)


@pytest.fixture
def params(shipped, tiny):
    refine = replace(shipped.refine, folds=2, members=2, k=1, hidden=(7, 6), dropout=0.1, epochs=3)
    data = Data(2, "zero")
    return replace(shipped, data=data, train=replace(tiny, neighbours=1), refine=refine)


def test_second_networks_learn_from_posteriors_of_networks_that_never_saw_the_frames(params):
    train, dev = arrays("train", params.data), arrays("dev", params.data)
    fit = Watched()
    first = fit(train, dev, params.data, params.train, "all")
    others, second = refined(first, train, dev, params, fit)
    assert len(others) == len(second) == 2
    _, *calls = fit.calls
    titles = [call[-1] for call in calls]
    assert titles == [
        "without part 1 of 2",
        "without part 2 of 2",
        "second network 1 of 2",
        "second network 2 of 2",
    ]
    assert len({call[3].seed for call in calls[:2]} | {params.train.seed}) == 3
    # parts are utterances 0 to 2, 20 frames, and 3 and 4
    (without_first, *_), (without_second, *_) = calls[:2]
    assert np.array_equal(without_first.frames, train.frames[20:])
    assert np.array_equal(without_second.frames, train.frames[:20])
    learnt, tried, data, how, _ = calls[2]
    assert data == Data(1, "zero")
    assert how.hidden == (7, 6)
    assert utterance_lengths(learnt.starts).tolist() == LENGTHS["train"].tolist()
    assert np.array_equal(learnt.labels, train.labels)
    split = place(train.frames, train.starts, None, params.data, CPU, torch.float32)
    without = [
        posteriors(other.network(CPU), split, 100, torch.float32).exp().sqrt().numpy()
        for other in others
    ]
    np.testing.assert_allclose(learnt.frames[:20, :CLASSES], without[0][:20], rtol=1e-5)
    np.testing.assert_allclose(learnt.frames[20:, :CLASSES], without[1][20:], rtol=1e-5)
    assert learnt.frames.shape[1] % 8 == 0  # which products are fast on
    assert not learnt.frames[:, CLASSES:].any()
    judged = place(dev.frames, dev.starts, None, params.data, CPU, torch.float32)
    networks = [each.network(CPU) for each in (first, *others)]
    every = [posteriors(network, judged, 100, torch.float32) for network in networks]
    heard = torch.stack(every).mean(0).softmax(1).sqrt().numpy()
    np.testing.assert_allclose(tried.frames[:, :CLASSES], heard, rtol=1e-5)


def test_second_networks_tell_one_label_undistorted_and_each_from_its_own_seed(shipped):
    ways = [second_params(shipped.train, shipped.refine, member) for member in range(3)]
    assert shipped.train.augment.any()
    assert not any(how.augment.any() for how in ways)
    assert shipped.train.neighbours
    assert not any(how.neighbours for how in ways)
    assert len({how.seed for how in ways}) == 3
    assert {how.lr for how in ways} == {shipped.train.lr}


@given(st.integers(0, 9), st.integers(1, 20))
def test_frames_of_posteriors_are_their_square_roots(count, classes):
    shares = torch.rand((count, classes), generator=torch.Generator().manual_seed(1)).softmax(1)
    frames = as_frames(shares.log())
    np.testing.assert_allclose(frames[:, :classes], shares.sqrt().numpy(), rtol=1e-5)
    assert frames.shape[1] == classes + -classes % 8
    assert not frames[:, classes:].any()


def test_a_frame_gets_the_mean_of_the_second_networks(params):
    train, dev = arrays("train", params.data), arrays("dev", params.data)
    fit = Watched()
    first = fit(train, dev, params.data, params.train, "all")
    others, second = refined(first, train, dev, params, fit)
    model = Model(
        [each.network(CPU) for each in (first, *others)],
        [each.network(CPU) for each in second],
        {},
    )
    split = place(*dev, params.data, CPU, torch.float32)
    lengths = LENGTHS["dev"]
    shares = log_posteriors(model, split, lengths, 4, torch.float32)
    heard = fit.calls[-1][1]  # what second networks are tried on
    windows = place(heard.frames, heard.starts, None, Data(1, "zero"), CPU, torch.float32)
    again = [posteriors(network, windows, 100, torch.float32) for network in model.second]
    torch.testing.assert_close(shares, torch.stack(again).mean(0).log_softmax(1))

    plain = recognize(model, split, lengths, 4, torch.float32, None)
    assert torch.equal(plain.predicted, shares.argmax(1))
    sequences = count_sequences(train.labels, LENGTHS["train"], CLASSES)
    smooth = replace(params.smooth, sequence=1.0)
    smoothing = Smoothing(sequences, smooth)
    outcomes = recognize(model, split, lengths, 4, torch.float32, smoothing)
    expected = smoothed(shares, lengths, sequences, smooth).argmax(1)
    assert torch.equal(outcomes.predicted, expected)
    unlabelled = recognize(model, split._replace(labels=None), lengths, 4, torch.float32, None)
    assert torch.equal(unlabelled.predicted, plain.predicted)


# --- the stages

REFINED = {"folds": 2, "members": 2, "k": 3, "hidden": [8, 8], "epochs": 2}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train and to refine."""
    monkeypatch.chdir(tmp_path)
    set_params(SMALL)
    set_params({"train": {"epochs": 2}, "refine": REFINED})
    write_flat()
    run("corpus", "normalize", "context")
    return tmp_path


def test_all_networks_are_kept_and_heard(project):
    run("train", "evaluate", "predict")
    model = load_model(MODEL, CPU)
    assert (len(model.first), len(model.second)) == (3, 2)
    counted = json.loads(SCORES.read_text())["model"]["parameters"]
    every = [*model.first, *model.second]
    assert counted == sum(weight.numel() for each in every for weight in each.parameters())
    refined = PREDICTIONS.read_bytes()
    set_params({"refine": {"folds": 0}})
    run("train", "predict")
    assert len(load_model(MODEL, CPU).first) == 1
    assert PREDICTIONS.read_bytes().count(b"\n") == refined.count(b"\n")


def without_checkpoints():
    """Remove all checkpoints."""
    for checkpoint in stages.checkpoint_folder().iterdir():
        checkpoint.unlink()


@pytest.mark.parametrize(
    ("where", "call"),
    [("posteriors", 2), ("mean_posteriors", 1)],  # of one part; of all, for the second networks
)
def test_refining_that_was_interrupted_goes_on_with_the_same_bytes(
    project, monkeypatch, capsys, where, call
):
    run("train")
    undisturbed = MODEL.read_bytes()
    without_checkpoints()
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return made(*arguments)

    made = getattr(phonemes.refining, where)
    with monkeypatch.context() as patch:
        patch.setattr(phonemes.refining, where, interrupted)
        with pytest.raises(SystemExit, match="interrupted"):
            run("train")
    capsys.readouterr()
    run("train")
    done = "all 2 epochs are saved, nothing is left to train"
    assert capsys.readouterr().out.count(done) == 3  # the first network and two without a part
    assert MODEL.read_bytes() == undisturbed


def test_every_network_of_a_refined_run_is_kept_until_the_last_is_trained(project, capsys):
    run("train")
    model = MODEL.read_bytes()
    capsys.readouterr()
    run("train")
    done = "all 2 epochs are saved, nothing is left to train"
    assert capsys.readouterr().out.count(done) == 5
    assert MODEL.read_bytes() == model
    assert len(load_model(MODEL, CPU).first) == 3


def test_more_parts_than_utterances_are_refused_before_anything_is_trained(project):
    set_params({"refine": {"folds": 4}})
    with pytest.raises(SystemExit, match=r"refine\.folds is 4, but train has 3 utterances"):
        run("train")
    assert not MODEL.exists()
