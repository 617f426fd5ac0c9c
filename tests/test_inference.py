"""Every frame is classified from its own window, and its result stands in its own row."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from phonemes.context import window_starts
from phonemes.device import choose_device, choose_precision
from phonemes.errors import InputError
from phonemes.inference import classify, place, posteriors
from phonemes.model import ACTIVATIONS, NORMALIZATIONS, Architecture, build
from phonemes.neighbours import averaged
from phonemes.params import Data

CPU = torch.device("cpu")
EVERY = Data(k=0, padding="zero")  # a window is its frame
several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(np.array)
contexts = st.builds(Data, k=st.integers(0, 4), padding=st.sampled_from(["zero", "edge"]))


def put(frames, lengths, labels, data, dtype=torch.float32):
    """Place frames as a split on the CPU."""
    starts = window_starts(lengths, data.k, data.padding)
    return place(frames, starts, labels, data, CPU, dtype)


def scored(logits, labels=None, batch=2):
    """Classify frames that are their own logits, (N, P)."""
    logits = np.array(logits, np.float32)
    split = put(logits, np.array([len(logits)]), None if labels is None else labels, EVERY)
    return classify(nn.Sequential(nn.Identity()), split, batch, torch.float32)


def random_network(inputs, classes=4, dropout=0.5, seed=0, **choices):
    """Return a network whose weights and statistics are random."""
    values = {"activation": "relu", "normalization": "batch", "normalize": "before"} | choices
    torch.manual_seed(seed)
    network = build(Architecture(inputs, classes, (8, 6), dropout=dropout, **values))
    for name, value in network.state_dict().items():
        if "running" in name:
            value.uniform_(0.5, 2)
    return network


def random_split(lengths, data, bands=2, classes=4):
    random = np.random.default_rng(0)
    frames = random.normal(size=(lengths.sum(), bands)).astype(np.float32)
    labels = random.integers(0, classes, lengths.sum())
    return frames, labels, put(frames, lengths, labels, data)


@given(
    several_lengths,
    contexts,
    st.integers(1, 9),
    st.sampled_from(list(ACTIVATIONS)),
    st.sampled_from(list(NORMALIZATIONS)),
)
def test_classifying_agrees_with_a_plain_loop_over_frames(
    lengths, data, batch, activation, normalization
):
    frames, labels, split = random_split(lengths, data)
    network = random_network(
        2 * (2 * data.k + 1), activation=activation, normalization=normalization
    )
    outcomes = classify(network, split, batch, torch.float32)

    network.eval()
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
            assert outcomes.predicted[frame] == logits.argmax()
            assert outcomes.top3[frame] == (better < 3)
            torch.testing.assert_close(
                outcomes.loss[frame], F.cross_entropy(logits, label), rtol=1e-4, atol=1e-5
            )
            frame += 1
    assert frame == len(outcomes.predicted) == len(outcomes.loss) == len(outcomes.top3)


@given(several_lengths, contexts, st.integers(1, 40))
def test_results_do_not_depend_on_the_batch_size(lengths, data, batch):
    _, _, split = random_split(lengths, data)
    network = random_network(split.windows.shape[1])
    all_at_once = classify(network, split, 1000, torch.float32)
    in_batches = classify(network, split, batch, torch.float32)
    assert torch.equal(in_batches.predicted, all_at_once.predicted)
    assert torch.equal(in_batches.top3, all_at_once.top3)
    torch.testing.assert_close(in_batches.loss, all_at_once.loss)


@given(several_lengths, contexts, st.integers(1, 40), st.integers(1, 8))
def test_predictions_of_neighbours_are_averaged_across_batches(lengths, data, batch, n):
    _, labels, split = random_split(lengths, data)
    network = random_network(split.windows.shape[1], neighbours=n)
    told = network.eval()(split.windows[split.starts]).log_softmax(2)  # (N, D, P)
    assert told.shape[1] == 2 * n + 1
    expected = averaged(told, split.starts)
    outcomes = classify(network, split, batch, torch.float32)
    shares = posteriors(network, split, batch, torch.float32)
    torch.testing.assert_close(shares, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(outcomes.predicted, shares.argmax(1))
    loss = F.nll_loss(expected, torch.tensor(labels), reduction="none")
    torch.testing.assert_close(outcomes.loss, loss, rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 9))
def test_the_result_of_each_frame_stands_in_its_row(codes, batch):
    planted = np.eye(5, dtype=np.float32)[codes]
    assert scored(planted, batch=batch).predicted.tolist() == codes


def test_the_order_stays_across_utterances_of_any_length():
    lengths = np.array([1, 5, 1, 3])
    codes = np.random.default_rng(0).integers(0, 3, 10)
    data = Data(k=2, padding="zero")
    middle = nn.Sequential(nn.Linear(5 * 3, 3, bias=False))
    middle[0].weight.data = torch.cat([torch.zeros(3, 6), torch.eye(3), torch.zeros(3, 6)], 1)
    split = put(np.eye(3, dtype=np.float32)[codes], lengths, None, data)
    outcomes = classify(middle, split, 3, torch.float32)
    assert outcomes.predicted.tolist() == codes.tolist()


def test_dropout_and_batch_statistics_stay_out_of_it():
    _, _, split = random_split(np.array([9, 5]), Data(k=1, padding="zero"))
    network = random_network(6, dropout=0.5).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = classify(network, split, 4, torch.float32)
    second = classify(network.train(), split, 4, torch.float32)
    assert torch.equal(first.loss, second.loss)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(("label", "among"), [(0, True), (1, True), (2, True), (3, False)])
def test_top3_holds_the_three_likeliest(label, among):
    assert scored([[4, 3, 2, 1]], np.array([label])).top3.tolist() == [among]


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_with_three_classes_or_fewer_every_label_is_among_the_top_3(classes):
    labels = np.arange(classes)
    assert scored(np.random.default_rng(0).normal(size=(classes, classes)), labels).top3.all()


def test_the_loss_is_the_cross_entropy_in_nats():
    outcomes = scored(np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]), np.array([1, 1]))
    assert outcomes.loss.tolist() == pytest.approx([-np.log(0.25), -np.log(0.8)], rel=1e-5)


def test_without_labels_there_are_predictions_alone():
    outcomes = scored([[0, 1], [3, 2], [0, 9]])
    assert outcomes.predicted.tolist() == [1, 0, 1]
    assert outcomes.loss.tolist() == [0, 0, 0]
    assert outcomes.top3.tolist() == [False, False, False]


def test_results_have_the_promised_types():
    outcomes = scored([[0, 1]], np.array([1], np.int16))
    types = [values.dtype for values in outcomes]
    assert types == [torch.int64, torch.float32, torch.bool]


@given(several_lengths, contexts)
def test_no_window_is_stored(lengths, data):
    _, _, split = random_split(lengths, data)
    rows = int(split.starts[-1]) + 2 * data.k + 1
    assert split.windows.untyped_storage().nbytes() == rows * 2 * 4
    assert len(split.windows) == rows - 2 * data.k


def test_arrays_may_be_memory_mapped(tmp_path):
    data = Data(k=1, padding="edge")
    lengths = np.array([2, 3])
    frames, labels, split = random_split(lengths, data)
    for name, array in {
        "frames": frames,
        "labels": labels.astype(np.int16),
        "starts": window_starts(lengths, 1, "edge"),
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = [
        np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("frames", "starts", "labels")
    ]
    placed = place(*mapped, data, CPU, torch.float32)
    assert torch.equal(placed.windows, split.windows)
    assert torch.equal(placed.starts, split.starts)
    assert torch.equal(placed.labels, split.labels)
    assert placed.labels.dtype == torch.int64


def test_bfloat16_stays_close_to_float32():
    lengths, data = np.array([30, 20]), Data(k=1, padding="zero")
    frames, labels, split = random_split(lengths, data)
    network = random_network(6, dropout=0.0)
    exact = classify(network, split, 16, torch.float32)
    coarse_split = put(frames, lengths, labels, data, torch.bfloat16)
    coarse = classify(network, coarse_split, 16, torch.bfloat16)
    assert coarse.loss.dtype == torch.float32
    torch.testing.assert_close(coarse.loss, exact.loss, rtol=0.05, atol=0.05)


def test_an_index_of_another_context_is_refused():
    starts = window_starts(np.array([2, 3]), 1, "zero")
    with pytest.raises(InputError, match="context index was made for other"):
        place(np.zeros((5, 2)), starts, None, Data(k=2, padding="zero"), CPU, torch.float32)


# --- the device it runs on


def test_auto_takes_the_cpu_where_there_is_nothing_else(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU


@pytest.mark.parametrize(("cuda", "mps", "taken"), [(1, 1, "cuda"), (1, 0, "cuda"), (0, 1, "mps")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, cuda, mps, taken):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert choose_device("auto").type == taken
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_missing_gpu_is_named(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"runtime.device is {name}, .* set it to auto"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "device", "dtype"),
    [
        ("fp32", "cpu", torch.float32),
        ("auto", "mps", torch.float32),
        ("auto", "cuda", torch.bfloat16),
        ("fp32", "cuda", torch.float32),
        ("bf16", "cpu", torch.bfloat16),
    ],
)
def test_precision_is_halved_on_a_gpu_or_where_asked_for(name, device, dtype):
    assert choose_precision(name, torch.device(device)) == dtype


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("amx", [False, True])
def test_precision_is_halved_on_a_cpu_with_instructions_for_it(monkeypatch, bf16, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    dtype = torch.bfloat16 if bf16 or amx else torch.float32
    assert choose_precision("auto", CPU) == dtype
