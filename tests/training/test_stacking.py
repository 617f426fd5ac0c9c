"""Stacked networks learn from posteriors by networks that did not learn from the utterance."""

import itertools
import json
import re
import shutil

import numpy as np
import pytest
import torch
from helpers import ROOT, changed, run_stages, set_params, write_course_files
from hypothesis import given
from hypothesis import strategies as st

from phonemes.context import DataParams, utterance_lengths, window_starts
from phonemes.errors import InputError
from phonemes.inference.classify import mean_posteriors, posteriors
from phonemes.inference.device import Compute
from phonemes.inference.stacked import posterior_frames
from phonemes.inference.windows import to_device
from phonemes.model.store import load_model
from phonemes.storage.layout import (
    CORPUS,
    MODEL,
    PREDICTIONS,
    SCORES,
    HostSplit,
    checkpoint_folder,
)
from phonemes.training import stacking
from phonemes.training.loop import epochs
from phonemes.training.params import StackingParams
from phonemes.training.prepare import prepare
from phonemes.training.shares import select
from phonemes.training.stacking import fit_model, folds, stacked_params

CPU = torch.device("cpu")
COMPUTE = Compute(CPU, torch.float32)
CLASSES, BANDS = 5, 3
UNKNOWN = [""] * 5  # speakers of the training set
LENGTHS = {"train": np.array([9, 4, 7, 6, 8]), "dev": np.array([5, 6])}
TWO = StackingParams(folds=2, networks=2, context=1, hidden=(7, 6), dropout=0.1, epochs=3)


@given(st.integers(1, 40), st.integers(2, 10))
def test_utterances_of_unknown_speakers_are_cut_in_runs(utterances, count):
    unknown = [""] * utterances
    if utterances < count:
        message = f"stacking.folds is {count}, but the training set has {utterances} utterance"
        with pytest.raises(InputError, match=message):
            folds(unknown, count)
        return
    cut = folds(unknown, count)
    assert np.concatenate(cut).tolist() == list(range(utterances))
    assert len(cut) == count
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


@given(st.lists(st.sampled_from(["a", "b", "c", "d", ""]), min_size=6), st.integers(2, 6))
def test_no_speaker_is_in_two_folds(speakers, count):
    known, unknown = {*speakers} - {""}, speakers.count("")
    if len(known) + unknown < count:
        with pytest.raises(InputError, match=f"folds is {count}, but .* {len(known) + unknown} sp"):
            folds(speakers, count)
        return
    cut = folds(speakers, count)
    assert sorted(np.concatenate(cut).tolist()) == [*range(len(speakers))]
    assert len(cut) == count and all(map(len, cut))
    of_folds = [{speakers[n] for n in part} - {""} for part in cut]
    assert sum(map(len, of_folds)) == len(known)


def test_folds_of_known_speakers_have_about_as_many_utterances():
    cut = folds(["a"] * 4 + ["b"] * 2 + ["a"] * 2 + ["c"] * 3 + ["d"], 2)
    assert [part.tolist() for part in cut] == [[0, 1, 2, 3, 6, 7], [4, 5, 8, 9, 10, 11]]


@pytest.mark.parametrize(
    ("speakers", "count", "message"),
    [
        (
            ["a", "a", "b"], 3,
            "stacking.folds is 3, but the training set has 2 speakers, none of whom may be in two "
            "folds; set it to at most 2, or to 0, which is off",
        ),
        (
            ["a", "a", "a"], 2,
            "stacking.folds is 2, but the training set has 1 speaker, none of whom may be in two "
            "folds; set it to 0, which is off",
        ),
        (
            ["", ""], 3,
            "stacking.folds is 3, but the training set has 2 utterances; set it to at most 2, or "
            "to 0, which is off",
        ),
    ],
)  # fmt: skip
def test_too_few_to_cut_are_refused_with_what_can_be_set(speakers, count, message):
    with pytest.raises(InputError) as refused:
        folds(speakers, count)
    assert str(refused.value) == message


def learnable(split, data):
    """Return a split whose frames are codes of their labels, with noise."""
    random = np.random.default_rng(len(split))
    lengths = LENGTHS[split]
    labels = random.integers(0, CLASSES, lengths.sum()).astype(np.uint8)
    frames = np.eye(CLASSES, BANDS)[labels] + random.normal(0, 0.2, (len(labels), BANDS))
    return HostSplit(
        frames.astype(np.float32), window_starts(lengths, data.k, data.padding), labels
    )


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_selected_utterances_are_complete_with_windows_of_their_own(padding):
    data = DataParams(2, padding)
    split = learnable("train", data)
    selected = select(split, np.array([False, True, False, True, False]), data)
    assert utterance_lengths(selected.starts).tolist() == [4, 6]
    frames = [*range(9, 13), *range(20, 26)]
    assert np.array_equal(selected.frames, split.frames[frames])
    assert np.array_equal(selected.labels, split.labels[frames])
    to_device(selected, data, *COMPUTE)  # the starts fit


class Fit:
    """Trains networks as asked, and remembers on what."""

    def __init__(self):
        self.calls = []

    def __call__(self, train, dev, how, name):
        run = prepare(train, dev, CLASSES, COMPUTE, how)
        list(epochs(run, progress=False))
        self.calls.append((train, dev, how, name))
        return run.trained


@pytest.fixture
def how(tiny):
    """Return how base networks are trained."""
    return changed(tiny, data={"k": 2}, model={"target_context": 1})


def test_stacked_networks_learn_from_posteriors_of_networks_without_the_utterances(how):
    train, dev = learnable("train", how.data), learnable("dev", how.data)
    fit = Fit()
    first, (base, stacked) = fit_model(train, dev, COMPUTE, how, [TWO], UNKNOWN, fit)
    assert first == (base[:1], [])
    assert (len(base), len(stacked)) == (3, 2)
    _, *others = base
    assert [name for *_, name in fit.calls] == [
        "",
        "base network without fold 1 of 2",
        "base network without fold 2 of 2",
        "stacked network 1 of 2",
        "stacked network 2 of 2",
    ]
    assert len({params.train.seed for _, _, params, _ in fit.calls[:3]}) == 3
    # folds are utterances 0 to 2, 20 frames, and 3 and 4
    learnt_from = [call[0].frames for call in fit.calls[:3]]
    for frames, expected in zip(
        learnt_from, (train.frames, train.frames[20:], train.frames[:20]), strict=True
    ):
        assert np.array_equal(frames, expected)

    learnt, chosen_on, params, _ = fit.calls[3]
    assert params == stacked_params(how, TWO, 0)
    assert utterance_lengths(learnt.starts).tolist() == LENGTHS["train"].tolist()
    assert np.array_equal(learnt.labels, train.labels)
    split = to_device(train, how.data, *COMPUTE)
    without = [
        posterior_frames(posteriors(other.classifier(CPU), split, torch.float32))
        for other in others
    ]
    np.testing.assert_allclose(learnt.frames[:20], without[0][:20], rtol=1e-5)
    np.testing.assert_allclose(learnt.frames[20:], without[1][20:], rtol=1e-5)

    assert np.array_equal(chosen_on.labels, dev.labels)
    split = to_device(dev, how.data, *COMPUTE)
    classifiers = [each.classifier(CPU) for each in base]
    mean = mean_posteriors(classifiers, split, torch.float32)
    np.testing.assert_allclose(chosen_on.frames, posterior_frames(mean), rtol=1e-5)


def test_posteriors_of_speakers_left_out_are_in_the_order_of_the_training_set(how):
    train, dev = learnable("train", how.data), learnable("dev", how.data)
    fit = Fit()
    _, (base, _) = fit_model(train, dev, COMPUTE, how, [TWO], ["a", "b", "a", "c", "c"], fit)
    # GroupKFold: c, of as many as a and later, then a, then b with the first: utterances 1, 3, 4
    learnt = fit.calls[3][0]
    assert utterance_lengths(learnt.starts).tolist() == LENGTHS["train"].tolist()
    assert np.array_equal(learnt.labels, train.labels)
    split = to_device(train, how.data, *COMPUTE)
    without = [
        posterior_frames(posteriors(each.classifier(CPU), split, torch.float32))
        for each in base[1:]
    ]
    owner = np.repeat([0, 0, 1, 0, 0], LENGTHS["train"])  # the fold that each was left out with
    owner[: LENGTHS["train"][0]] = 1
    expected = np.where(owner[:, None] == 0, without[0], without[1])
    np.testing.assert_allclose(learnt.frames, expected, rtol=1e-5)


def test_a_stacked_network_predicts_one_label_undistorted_and_from_its_own_seed(how):
    how = changed(how, model={"residual": True}, augment={"noise": 0.3}, train={"lr": 0.7})
    ways = [stacked_params(how, TWO, number) for number in range(3)]
    assert len({way.train.seed for way in ways}) == 3
    for data, model, augment, train in ways:
        assert data == DataParams(1, "zero")
        shape = {"hidden": (7, 6), "dropout": 0.1, "residual": False, "target_context": 0}
        assert model == changed(how.model, **shape)
        assert not augment.any()
        assert train == changed(how.train, epochs=3, seed=train.seed)


def test_the_first_network_is_the_model_where_nothing_is_stacked(how):
    train, dev = learnable("train", how.data), learnable("dev", how.data)
    fit = Fit()
    ((base, stacked),) = fit_model(train, dev, COMPUTE, how, [], [], fit)
    assert (len(base), len(stacked), len(fit.calls)) == (1, 0, 1)


def test_stacked_networks_of_several_kinds_share_their_base_networks(how):
    train, dev = learnable("train", how.data), learnable("dev", how.data)
    fit = Fit()
    kinds = [TWO, changed(TWO, networks=1, context=0)]
    models = list(fit_model(train, dev, COMPUTE, how, kinds, UNKNOWN, fit))
    assert [(len(base), len(stacked)) for base, stacked in models] == [(1, 0), (3, 2), (3, 1)]
    assert len(fit.calls) == 3 + 2 + 1
    for (base, _), (other, _) in itertools.pairwise(models[1:]):
        assert all(one is another for one, another in zip(base, other, strict=True))
    (classifier,) = [each.classifier(CPU) for each in models[2].stacked]
    assert classifier.architecture.frames == 1


def test_more_folds_than_utterances_are_refused_before_anything_is_trained(how):
    train, dev = learnable("train", how.data), learnable("dev", how.data)
    fit = Fit()
    with pytest.raises(InputError, match=r"stacking\.folds is 6, but the training set has 5 utt"):
        next(fit_model(train, dev, COMPUTE, how, [changed(TWO, folds=6)], UNKNOWN, fit))
    assert not fit.calls


# The train stage

SAVED = "all 2 epochs are saved, nothing is left to train"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train stacked networks."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for name in ("phonemes", "stages"):  # a copy: checkpoints are found by the code's digest
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    stacked = {"folds": 2, "networks": 2, "context": 3, "epochs": 2}
    set_params({"train": {"batch_size": 64}, "stacking": stacked})
    write_course_files(tmp_path / "data/raw/tiny")
    run_stages("corpus", "normalize", "context")
    return tmp_path


def test_all_networks_are_kept_and_used(project):
    run_stages("train", "evaluate", "predict")
    model = load_model(MODEL, CPU).model
    assert (len(model.base), len(model.stacked)) == (3, 2)
    networks = [network for network, _ in (*model.base, *model.stacked)]
    counted = json.loads(SCORES.read_text())["model"]["parameters"]
    assert counted == sum(weight.numel() for each in networks for weight in each.parameters())
    predictions = PREDICTIONS.read_bytes()
    set_params({"stacking": {"folds": 0}})
    run_stages("train", "predict")
    assert len(load_model(MODEL, CPU).model.base) == 1
    assert PREDICTIONS.read_bytes().count(b"\n") == predictions.count(b"\n")
    assert PREDICTIONS.read_bytes() != predictions


@pytest.mark.parametrize(
    ("function", "call"),
    [("posteriors", 2), ("mean_posteriors", 1)],  # of a fold; of dev, for the stacked networks
)
def test_an_interrupted_run_goes_on_and_its_networks_are_kept_until_the_last_is_trained(
    project, monkeypatch, capsys, function, call
):
    run_stages("train")
    undisturbed = MODEL.read_bytes()
    for checkpoint in checkpoint_folder().iterdir():
        checkpoint.unlink()
    made, calls = getattr(stacking, function), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return made(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stacking, function, interrupted)
        with pytest.raises(SystemExit, match="interrupted"):
            run_stages("train")
    capsys.readouterr()
    run_stages("train")
    assert capsys.readouterr().out.count(SAVED) == 3  # all base networks
    assert MODEL.read_bytes() == undisturbed
    run_stages("train")
    assert capsys.readouterr().out.count(SAVED) == 5
    assert MODEL.read_bytes() == undisturbed


def test_the_train_stage_refuses_more_folds_than_utterances_before_it_trains(project):
    set_params({"stacking": {"folds": 41}})
    with pytest.raises(SystemExit, match=r"stacking\.folds is 41, but the training set has 40 utt"):
        run_stages("train")
    assert not MODEL.exists()


def test_the_train_stage_keeps_known_speakers_in_one_fold(project, capsys):
    path = CORPUS / "utterances/train.csv"
    rows = [f"u{number},{'a' if number % 3 else 'b'}" for number in range(40)]
    path.write_text("\n".join(["name,speaker", *rows, ""]))
    set_params({"stacking": {"folds": 3}})
    with pytest.raises(SystemExit, match="training set has 2 speakers, none of whom may be in two"):
        run_stages("train")
    assert not MODEL.exists()
    set_params({"stacking": {"folds": 2, "networks": 1, "epochs": 1}, "train": {"epochs": 1}})
    run_stages("train")
    steps = [int(steps) for steps in re.findall(r"(\d+) steps", capsys.readouterr().out)]
    # of 48 frames: all 40 utterances; the 14 of b; the 26 of a; all once more, stacked
    assert steps == [-(-48 * count // 64) for count in (40, 14, 26, 40)]
