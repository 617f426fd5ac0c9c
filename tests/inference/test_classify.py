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
    rows_in_a_pass,
)
from torch import nn

from phonemes.context import DataParams
from phonemes.inference.classify import classify, forward_rows, mean_posteriors, posteriors
from phonemes.inference.overlap import average_overlapping
from phonemes.model.architecture import ACTIVATIONS, NORMS, Classifier

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(np.array)
contexts = st.builds(DataParams, k=st.integers(0, 4), padding=st.sampled_from(["zero", "edge"]))


def scored(logits, labels=None, batch=2):
    """Classify frames that are their own logits, (N, P)."""
    logits = np.array(logits, np.float32)
    split = on_cpu(logits, np.array([len(logits)]), labels, FRAME_ALONE)
    with rows_in_a_pass(batch):
        return classify(identity(logits.shape[1]), split, torch.float32)


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
    with rows_in_a_pass(batch):
        scores = classify(classifier, split, torch.float32)

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
            confidence = logits.softmax(1).max()
            torch.testing.assert_close(scores.confidence[frame], confidence, rtol=1e-4, atol=1e-5)
            frame += 1
    assert [len(values) for values in scores] == [frame] * 4


class Seen(nn.Module):
    """Remembers the shapes of what passes through it."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, values):
        self.shapes.append([*values.shape])
        return values


@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize(("rows", "passes"), [(4, 4), (7, 2), (16, 1)])
def test_every_forward_pass_has_the_same_shape(rows, passes, n):
    _, _, split = random_split(np.array([9, 5]), DataParams(1, "zero"))
    classifier, seen = random_classifier(3, target_context=n), Seen()
    classifier.network.insert(0, seen)
    with rows_in_a_pass(rows):
        classify(classifier, split, torch.float32)
    assert seen.shapes == [[rows, 6]] * passes  # each window is seen once, the last pass filled up


@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_comes_after_an_utterance_does_not_change_a_byte_of_its_posteriors(dtype, n):
    lengths, data = np.array([30, 1, 5000]), DataParams(10, "zero")
    frames = np.random.default_rng(0).normal(size=(lengths.sum(), 13)).astype(np.float32)
    classifier = random_classifier(21, 13, 71, hidden=(513, 257), target_context=n)
    split, alone = (
        on_cpu(frames[: part.sum()], part, None, data, dtype) for part in (lengths, lengths[:1])
    )
    expected = posteriors(classifier, alone, dtype)
    assert torch.equal(posteriors(classifier, split, dtype)[:30], expected)
    assert torch.equal(classify(classifier, alone, dtype).predicted, expected.argmax(1))


def test_scoring_a_split_draws_nothing_from_the_random_state_that_training_goes_on_with():
    _, _, split = random_split(np.array([5, 9]), DataParams(4, "zero"))
    classifier = random_classifier(9, pooling=(1, 2), target_context=1)
    before = torch.get_rng_state()
    classify(classifier, split, torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
def test_wide_networks_have_fewer_frames_in_a_pass(kind):
    narrow, wide, wider = (
        random_classifier(2001, 1, 71, hidden=(width, 8)).architecture
        for width in (8, 60_000, 65_536)
    )
    rows = [forward_rows(kind, each) for each in (narrow, wide, wider)]
    assert rows[0] > rows[1] >= rows[2] > 0
    assert all(count & (count - 1) == 0 for count in rows)
    assert rows[2] * 65_536 * 4 <= 2**30


def test_a_network_too_wide_for_any_room_has_one_frame_in_a_pass():
    huge = bare(2001, 2**20, 3)
    assert forward_rows("cpu", huge) == 1


@settings(max_examples=30)
@given(several_lengths, contexts, st.integers(1, 40), st.integers(1, 8))
def test_predictions_of_several_targets_are_averaged_across_batches(lengths, data, batch, n):
    _, labels, split = random_split(lengths, data)
    classifier = random_classifier(2 * data.k + 1, target_context=n)
    logits = classifier.network.eval()(split.windows[split.starts])  # (N, D, P)
    assert logits.shape[1] == 2 * n + 1
    expected = average_overlapping(logits.log_softmax(2), split.starts)
    with rows_in_a_pass(batch):
        scores = classify(classifier, split, torch.float32)
        log_posteriors = posteriors(classifier, split, torch.float32)
    torch.testing.assert_close(log_posteriors, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(scores.predicted, log_posteriors.argmax(1))
    loss = F.nll_loss(expected, torch.tensor(labels), reduction="none")
    torch.testing.assert_close(scores.loss, loss, rtol=1e-4, atol=1e-5)


def test_posteriors_of_several_networks_are_averaged_as_logarithms():
    _, _, split = random_split(np.array([9, 5]), DataParams(1, "zero"))
    classifiers = [random_classifier(3, seed=seed) for seed in (1, 2, 3)]
    each = [posteriors(classifier, split, torch.float32) for classifier in classifiers]
    product = torch.stack(each).double().exp().prod(0) ** (1 / 3)
    expected = (product / product.sum(1, keepdim=True)).log().float()
    mean = mean_posteriors(classifiers, split, torch.float32)
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
    with rows_in_a_pass(3):
        assert classify(classifier, split, torch.float32).predicted.tolist() == codes.tolist()


def test_dropout_and_batch_statistics_are_not_used():
    _, _, split = random_split(np.array([9, 5]), DataParams(k=1, padding="zero"))
    classifier = random_classifier(3, dropout=0.5)
    network = classifier.network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = classify(classifier, split, torch.float32)
    network.train()
    second = classify(classifier, split, torch.float32)
    assert torch.equal(first.loss, second.loss)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_without_labels_the_scores_are_those_of_the_predictions():
    logits = [[0, 1], [3, 2], [0, 9]]
    scores = scored(logits)
    assert scores.predicted.tolist() == [1, 0, 1]
    assert all(map(torch.equal, scores, scored(logits, np.array([1, 0, 1]))))


@pytest.mark.parametrize("labels", [None, np.array([0, 0, 0])])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_loss_of_a_frame_without_finite_logits_is_not_finite(labels, value):
    split = on_cpu(np.eye(3, dtype=np.float32), np.array([3]), labels, FRAME_ALONE)
    split.windows[split.starts[1], 1] = value
    scores = classify(identity(3), split, torch.float32)
    assert scores.loss.isfinite().tolist() == [True, False, True]


@pytest.mark.parametrize("labels", [None, np.array([1], np.int16)])
def test_results_have_the_promised_types(labels):
    types = [values.dtype for values in scored([[0, 1]], labels)]
    assert types == [torch.int64, torch.float32, torch.bool, torch.float32]


def test_bfloat16_stays_close_to_float32():
    lengths, data = np.array([30, 20]), DataParams(k=1, padding="zero")
    frames, labels, split = random_split(lengths, data)
    classifier = random_classifier(3, dropout=0.0)
    exact = classify(classifier, split, torch.float32)
    halved = on_cpu(frames, lengths, labels, data, torch.bfloat16)
    coarse = classify(classifier, halved, torch.bfloat16)
    assert coarse.loss.dtype == torch.float32
    torch.testing.assert_close(coarse.loss, exact.loss, rtol=0.05, atol=0.05)
