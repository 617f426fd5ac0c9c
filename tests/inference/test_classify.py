"""Every frame is classified from its own window, and its result stands in its own row."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from inference.toys import (
    FRAME_ALONE,
    bare,
    identity,
    on_cpu,
    random_classifier,
    random_split,
)
from torch import nn

from phonemes.context import DataParams
from phonemes.inference.classify import classify, mean_posteriors, posteriors
from phonemes.inference.overlap import average_overlapping
from phonemes.model.architecture import ACTIVATIONS, NORMS, Classifier

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(np.array)
contexts = st.builds(DataParams, k=st.integers(0, 4), padding=st.sampled_from(["zero", "edge"]))


def scored(logits, labels=None, batch=2):
    """Classify frames that are their own logits, (N, P)."""
    logits = np.array(logits, np.float32)
    split = on_cpu(logits, np.array([len(logits)]), labels, FRAME_ALONE)
    return classify(identity(logits.shape[1]), split, batch, torch.float32)


@settings(max_examples=30)
@given(
    several_lengths,
    contexts,
    st.integers(1, 9),
    st.sampled_from(list(ACTIVATIONS)),
    st.sampled_from(list(NORMS)),
)
def test_classifying_agrees_with_a_plain_loop_over_frames(lengths, data, batch, activation, norm):
    frames, labels, split = random_split(lengths, data)
    classifier = random_classifier(2 * data.k + 1, activation=activation, norm=norm)
    scores = classify(classifier, split, batch, torch.float32)

    network = classifier.network.eval()
    mode = {"zero": "constant", "edge": "edge"}[data.padding]
    frame = 0
    for utterance in np.split(frames, np.cumsum(lengths)[:-1]):
        padded = np.pad(utterance, [(data.k, data.k), (0, 0)], mode)
        for first in range(len(utterance)):
            window = torch.from_numpy(padded[first : first + 2 * data.k + 1].reshape(1, -1))
            with torch.no_grad():
                logits = network(window)
            label = torch.tensor([labels[frame]])
            better = (logits[0] > logits[0, label]).sum()
            assert scores.predicted[frame] == logits.argmax()
            assert scores.top3[frame] == (better < 3)
            torch.testing.assert_close(
                scores.loss[frame], F.cross_entropy(logits, label), rtol=1e-4, atol=1e-5
            )
            frame += 1
    assert frame == len(scores.predicted) == len(scores.loss) == len(scores.top3)


@settings(max_examples=30)
@given(several_lengths, contexts, st.integers(1, 40))
def test_results_do_not_depend_on_the_batch_size(lengths, data, batch):
    _, _, split = random_split(lengths, data)
    classifier = random_classifier(2 * data.k + 1)
    all_at_once = classify(classifier, split, 1000, torch.float32)
    in_batches = classify(classifier, split, batch, torch.float32)
    assert torch.equal(in_batches.predicted, all_at_once.predicted)
    assert torch.equal(in_batches.top3, all_at_once.top3)
    torch.testing.assert_close(in_batches.loss, all_at_once.loss)


@settings(max_examples=30)
@given(several_lengths, contexts, st.integers(1, 40), st.integers(1, 8))
def test_predictions_of_several_targets_are_averaged_across_batches(lengths, data, batch, n):
    _, labels, split = random_split(lengths, data)
    classifier = random_classifier(2 * data.k + 1, target_context=n)
    logits = classifier.network.eval()(split.windows[split.starts])  # (N, D, P)
    assert logits.shape[1] == 2 * n + 1
    expected = average_overlapping(logits.log_softmax(2), split.starts)
    scores = classify(classifier, split, batch, torch.float32)
    log_posteriors = posteriors(classifier, split, batch, torch.float32)
    torch.testing.assert_close(log_posteriors, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(scores.predicted, log_posteriors.argmax(1))
    loss = F.nll_loss(expected, torch.tensor(labels), reduction="none")
    torch.testing.assert_close(scores.loss, loss, rtol=1e-4, atol=1e-5)


def test_posteriors_of_several_networks_are_averaged_as_logarithms():
    _, _, split = random_split(np.array([9, 5]), DataParams(1, "zero"))
    classifiers = [random_classifier(3, seed=seed) for seed in (1, 2, 3)]
    each = [posteriors(classifier, split, 4, torch.float32) for classifier in classifiers]
    product = torch.stack(each).double().exp().prod(0) ** (1 / 3)
    expected = (product / product.sum(1, keepdim=True)).log().float()
    mean = mean_posteriors(classifiers, split, 4, torch.float32)
    torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 9))
def test_the_result_of_each_frame_stands_in_its_row(codes, batch):
    planted = np.eye(5, dtype=np.float32)[codes]
    assert scored(planted, batch=batch).predicted.tolist() == codes


def test_the_order_stays_across_utterances_of_any_length():
    codes = np.random.default_rng(0).integers(0, 3, 10)
    middle = nn.Linear(5 * 3, 3, bias=False)  # whose logits are the middle frame
    middle.weight.data = torch.cat([torch.zeros(3, 6), torch.eye(3), torch.zeros(3, 6)], 1)
    classifier = Classifier(nn.Sequential(middle), bare(5, 3, 3))
    frames, lengths = np.eye(3, dtype=np.float32)[codes], np.array([1, 5, 1, 3])
    split = on_cpu(frames, lengths, None, DataParams(k=2, padding="zero"))
    assert classify(classifier, split, 3, torch.float32).predicted.tolist() == codes.tolist()


def test_dropout_and_batch_statistics_are_not_used():
    _, _, split = random_split(np.array([9, 5]), DataParams(k=1, padding="zero"))
    classifier = random_classifier(3, dropout=0.5)
    network = classifier.network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = classify(classifier, split, 4, torch.float32)
    network.train()
    second = classify(classifier, split, 4, torch.float32)
    assert torch.equal(first.loss, second.loss)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_without_labels_there_are_predictions_alone():
    scores = scored([[0, 1], [3, 2], [0, 9]])
    assert scores.predicted.tolist() == [1, 0, 1]
    assert scores.loss.tolist() == [0, 0, 0]
    assert scores.top3.tolist() == [False, False, False]


@pytest.mark.parametrize("labels", [None, np.array([1], np.int16)])
def test_results_have_the_promised_types(labels):
    types = [values.dtype for values in scored([[0, 1]], labels)]
    assert types == [torch.int64, torch.float32, torch.bool]


def test_bfloat16_stays_close_to_float32():
    lengths, data = np.array([30, 20]), DataParams(k=1, padding="zero")
    frames, labels, split = random_split(lengths, data)
    classifier = random_classifier(3, dropout=0.0)
    exact = classify(classifier, split, 16, torch.float32)
    halved = on_cpu(frames, lengths, labels, data, torch.bfloat16)
    coarse = classify(classifier, halved, 16, torch.bfloat16)
    assert coarse.loss.dtype == torch.float32
    torch.testing.assert_close(coarse.loss, exact.loss, rtol=0.05, atol=0.05)
