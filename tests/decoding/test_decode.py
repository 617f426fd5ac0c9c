"""A frame's label comes from all that a model has: networks, stacked ones, smoothing."""

import numpy as np
import pytest
import torch
from decoding.toys import CLASSES, ON, random_phones, random_posteriors
from helpers import changed
from inference.toys import FRAME_ALONE, identity, on_cpu, random_classifier, random_split

from phonemes.context import DataParams
from phonemes.decoding.decode import decode
from phonemes.decoding.forward_backward import divided_by_prior, smoothed
from phonemes.decoding.phone_model import SmoothParams
from phonemes.decoding.smoothing import Smoothing, smoothing_of
from phonemes.errors import InputError
from phonemes.inference.classify import classify
from phonemes.inference.outcomes import score_frames
from phonemes.inference.stacked import log_posteriors
from phonemes.model.phone_counts import count_phones
from phonemes.model.store import Model

LENGTHS = np.array([4, 9])


@pytest.mark.parametrize("lm_scale", [0.0, 1.0])
@pytest.mark.parametrize("prior_scale", [0.0, 0.7])
def test_posteriors_are_divided_and_smoothed_as_far_as_asked_for(lm_scale, prior_scale):
    given, phones = random_posteriors(13), random_phones()
    smooth = SmoothParams(lm_scale, 0.5, 0.5, prior_scale)
    expected = divided_by_prior(given, phones.frames, prior_scale)
    if lm_scale:
        expected = smoothed(expected, LENGTHS, phones, smooth)
    labels = np.random.default_rng(0).integers(0, CLASSES, 13)
    split = on_cpu(given.numpy(), LENGTHS, labels, FRAME_ALONE)
    model = Model([identity(CLASSES)], [])
    scores = decode(model, split, LENGTHS, torch.float32, Smoothing(phones, smooth))
    by_hand = score_frames(expected, torch.tensor(labels))
    assert torch.equal(scores.predicted, by_hand.predicted)
    assert torch.equal(scores.top3, by_hand.top3)
    torch.testing.assert_close(scores.loss, by_hand.loss)


def test_without_smoothing_one_network_classifies_directly():
    _, _, split = random_split(LENGTHS, DataParams(1, "zero"))
    classifier = random_classifier(3)
    scores = decode(Model([classifier], []), split, LENGTHS, torch.float32, None)
    assert all(map(torch.equal, scores, classify(classifier, split, torch.float32)))


@pytest.mark.parametrize("smoothing", [None, Smoothing(random_phones(), ON)])
@pytest.mark.parametrize("networks", [0, 2])
def test_all_networks_of_a_model_count_smoothed_or_not(smoothing, networks):
    _, labels, split = random_split(LENGTHS, DataParams(1, "zero"), classes=CLASSES)
    base = [random_classifier(3, classes=CLASSES, seed=seed) for seed in (1, 2)]
    stacked = [random_classifier(5, 8, CLASSES, seed=seed) for seed in range(3, 3 + networks)]
    model = Model(base, stacked)
    posteriors = log_posteriors(model, split, LENGTHS, torch.float32)
    if smoothing:
        posteriors = smoothed(posteriors, LENGTHS, *smoothing)
    expected = score_frames(posteriors, torch.tensor(labels))
    scores = decode(model, split, LENGTHS, torch.float32, smoothing)
    assert all(map(torch.equal, scores, expected))


def test_without_labels_the_scores_are_those_of_the_predictions():
    _, _, split = random_split(LENGTHS, DataParams(1, "zero"), classes=CLASSES)
    model = Model([random_classifier(3, classes=CLASSES)], [])
    smoothing = Smoothing(random_phones(), ON)
    labelled = decode(model, split, LENGTHS, torch.float32, smoothing)
    scores = decode(model, split._replace(labels=None), LENGTHS, torch.float32, smoothing)
    assert torch.equal(scores.predicted, labelled.predicted)
    assert scores.loss.dtype == torch.float32 and (scores.loss <= labelled.loss).all()
    assert scores.top3.all()


@pytest.mark.parametrize("smoothing", [None, Smoothing(random_phones(), ON)])
@pytest.mark.parametrize("networks", [1, 2])
@pytest.mark.parametrize("labelled", [True, False])
def test_posteriors_that_are_not_finite_are_refused(smoothing, networks, labelled):
    labels = np.zeros(13, int) if labelled else None
    split = on_cpu(random_posteriors(13).numpy(), LENGTHS, labels, FRAME_ALONE)
    split.windows[split.starts[3]] = np.nan
    model = Model([identity(CLASSES)] * networks, [])
    # smoothing spreads them over the utterance of 4 frames
    count = 4 if smoothing else 1
    with pytest.raises(InputError, match=f"gives {count} of 13 frames posteriors that are NaN or"):
        decode(model, split, LENGTHS, torch.float32, smoothing)


OFF = changed(ON, lm_scale=0.0, prior_scale=0.0)


PHONES = count_phones(np.repeat([0, 1, 2], 4), np.array([12]), CLASSES)


def test_where_nothing_is_asked_for_nothing_is_smoothed():
    assert smoothing_of(PHONES, OFF) is None


@pytest.mark.parametrize("scales", [{"lm_scale": 1.0}, {"prior_scale": 1.0}])
def test_where_anything_is_smoothed_the_training_sets_phonemes_count(scales):
    smooth = changed(OFF, **scales)
    phones, asked_for = smoothing_of(PHONES, smooth)
    assert asked_for == smooth
    np.testing.assert_allclose(phones.frames, [1 / 3] * 3)
