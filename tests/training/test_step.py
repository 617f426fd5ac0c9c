"""A step learns the labels of the frames under the cursor, from their own windows alone."""

import copy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import changed
from torch.utils._python_dispatch import TorchDispatchMode
from training.toy import (
    CLASSES,
    STEPS,
    TRAIN_LENGTHS,
    as_bytes,
    copied,
    finished,
    new_run,
    toy,
    weights,
    windows_of,
)

import phonemes.training.step
from phonemes.context import DataParams, window_starts
from phonemes.inference.classify import classify
from phonemes.storage.layout import HostSplit
from phonemes.training.loop import epochs
from phonemes.training.run import begin
from phonemes.training.state import restore, state
from phonemes.training.step import FUSED_FROM, fuses, make_step

FULL = {"batch_size": 1000, "epochs": 1}  # one step of all frames


def logits_of(run):
    """Return what the network gives for each frame of the toy, in its order, (N, ...)."""
    split = toy(TRAIN_LENGTHS, DataParams(1, "zero"), 0)
    with torch.no_grad():
        return run.classifier.network(windows_of(split, TRAIN_LENGTHS, 1))


def inputs(run):
    """Train to the end; return the windows of each step, (B, W C), as they enter the network."""
    seen = []
    run.classifier.network.register_forward_pre_hook(
        lambda network, given: seen.append(given[0].clone()) if network.training else None
    )
    finished(run)
    return seen


# What is learnt


def test_a_window_is_learnt_with_the_label_of_its_middle_frame(tiny):
    run = new_run(changed(tiny, train=FULL))
    logits, labels = logits_of(run), run.batches.split.labels
    (row,) = finished(run).history
    assert row.train_loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    assert row.train_accuracy == pytest.approx(accuracy)


def test_labels_are_smoothed_as_torch_smooths_them(tiny):
    run = new_run(changed(tiny, train=FULL | {"label_smoothing": 0.2}))
    labels = run.batches.split.labels
    expected = F.cross_entropy(logits_of(run), labels, label_smoothing=0.2).item()
    assert finished(run).history[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_all_targets_of_a_window_are_learnt_with_equal_weight(tiny):
    n = 2
    run = new_run(changed(tiny, model={"target_context": n}, train=FULL))
    for weight in run.classifier.network.parameters():
        weight.data *= 4  # predictions of its own for each target
    logits, labels = logits_of(run), run.batches.split.labels  # (N, D, P), (N, D)
    (row,) = finished(run).history
    each = [F.cross_entropy(logits[:, j], labels[:, j]).item() for j in range(2 * n + 1)]
    assert row.train_loss == pytest.approx(np.mean(each), rel=1e-5)
    accuracy = (logits[:, n].argmax(1) == labels[:, n]).double().mean().item()
    assert row.train_accuracy == pytest.approx(accuracy)
    assert (logits[:, n].argmax(1) != logits[:, 0].argmax(1)).any()


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_frames_of_different_utterances_never_meet_in_a_window(tiny, padding):
    lengths, data = np.array([3, 1, 5, 2, 1]), DataParams(k=3, padding=padding)
    owner = np.repeat(np.arange(1, 6), lengths)  # 0 is padding
    frames = owner.astype(np.float32)[:, None]
    starts = window_starts(lengths, data.k, data.padding)
    split = HostSplit(frames, starts, np.zeros(len(owner), int))
    params = changed(tiny, train={"lr": 1e-9})._replace(data=data)
    batches = inputs(new_run(params, split, split))
    assert len(batches) == 2
    for batch in batches:
        own = batch[:, 3:4]
        assert own.flatten().sort().values.tolist() == owner.tolist()
        assert ((batch == own) | ((batch == 0) & (padding == "zero"))).all()


# Distortions


def test_windows_are_distorted_anew_in_every_step(tiny):
    run = new_run(changed(tiny, augment={"gain": 0.5}, train=FULL | {"lr": 1e-9, "epochs": 4}))
    plain = windows_of(toy(TRAIN_LENGTHS, tiny.data, 0), TRAIN_LENGTHS, 1)
    gains = []
    run.classifier.network.register_forward_pre_hook(
        lambda network, given: (
            gains.append(given[0] - plain[run.buffers.order]) if network.training else None
        )
    )
    finished(run)
    assert len(gains) == 4
    levels = torch.cat(gains)
    assert levels.std(1).max() < 1e-6  # one level a window
    levels = levels.mean(1)
    assert levels.abs().max() < 0.5
    assert len({round(level, 5) for level in levels.tolist()}) > 0.95 * len(levels)


def test_only_training_sees_distorted_windows(tiny):
    augment = {"noise": 5.0, "time_masks": 1, "time_mask_width": 3}
    run = new_run(changed(tiny, augment=augment, train={"epochs": 1}))
    split = run.batches.split
    run.dev, before = split, split.windows.clone()
    (epoch,) = finished(run).history
    assert torch.equal(split.windows, before)
    right = classify(run.classifier, split, torch.float32).predicted == split.labels
    assert epoch.dev_accuracy == pytest.approx(right.float().mean().item())


# Waiting


class Waiting(TorchDispatchMode):
    """Remembers the operations that wait for a device's values, since what follows needs them."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        chosen = args[1] if name == "index" else []
        if name in {"_local_scalar_dense", "masked_select", "nonzero"} or any(
            each is not None and each.dtype == torch.bool for each in chosen
        ):
            self.seen.add(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train": {"class_weights": "sqrt"}},
        {"train": {"class_weights": "balanced", "label_smoothing": 0.1}},
        {
            "model": {"target_context": 2},
            "train": {
                "clip_norm": 0.1, "label_smoothing": 0.1, "weight_decay": 0.1, "optimizer": "adamw",
            },
        },
        {"model": {"dropout": 0.1, "norm": "batch"}, "train": {"optimizer": "adam"}},
        {"augment": {"mel_scale": 0.1, "time_warp": 0.1, "gain": 0.1}},
        {"augment": {"noise": 0.1, "time_masks": 1, "band_masks": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_a_step_never_waits_for_the_device(tiny, changes):
    run = new_run(changed(tiny, **changes))
    begin(run, 0)
    with Waiting() as waiting:
        run.step.update(*run.buffers)
    assert waiting.seen == set()


def test_what_waits_for_the_device_is_noticed():
    values = torch.ones(2)
    with Waiting() as waiting:
        values[values > 0].sum().item()
    assert waiting.seen == {"index", "_local_scalar_dense"}


def test_a_step_moves_the_cursor_and_adds_to_the_totals(tiny):
    run = new_run(tiny)
    begin(run, 0)
    for step in range(1, STEPS + 1):
        run.step.update(*run.buffers)
        loss, correct, finite = run.buffers.totals.tolist()
        assert (int(run.buffers.cursor), finite) == (step, step)
        assert 0 < loss < 16 * step * 2 * np.log(CLASSES)
        assert correct == int(correct) <= 16 * step


# Products in float16


@pytest.mark.parametrize(
    "train", [{}, {"optimizer": "adam", "lr": 0.02}, {"clip_norm": 0.5}], ids=str
)
def test_float16_learns_as_float32_does(tiny, train):
    params = changed(tiny, train={"momentum": 0.9, "epochs": 10} | train)
    exact, halved = (
        finished(new_run(params, dtype=dtype)) for dtype in (torch.float32, torch.float16)
    )
    assert halved.optimizer.scale.tolist() == [2**16, 10 * STEPS]  # no gradient overflowed
    assert halved.history[-1].train_loss == pytest.approx(exact.history[-1].train_loss, rel=0.05)
    for one, other in zip(
        exact.classifier.network.parameters(), halved.classifier.network.parameters(), strict=True
    ):
        assert one.dtype == other.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("clip_norm", [0, 1])
def test_a_step_whose_gradients_overflow_is_left_out_and_lowers_the_scale(
    tiny, optimizer, clip_norm
):
    train = {"optimizer": optimizer, "momentum": 0.9, "clip_norm": clip_norm}
    run = new_run(changed(tiny, train=train), dtype=torch.float16)
    begin(run, 0)
    run.buffers.rates.fill_(0.01)
    run.optimizer.scale = torch.tensor([2.0**30, 5.0])  # more than float16 holds
    before, moments = copied(run), copy.deepcopy([*run.optimizer.state.values()])
    run.step.update(*run.buffers)
    assert as_bytes(copied(run)) == as_bytes(before)
    for values, expected in zip(run.optimizer.state.values(), moments, strict=True):
        assert all(torch.equal(values[name], expected[name]) for name in expected)
    assert run.optimizer.scale.tolist() == [2.0**29, 0]
    assert run.buffers.totals[2] == 1  # the loss is finite
    run.optimizer.scale = torch.tensor([2.0**10, 0.0])
    run.step.update(*run.buffers)
    assert as_bytes(copied(run)) != as_bytes(before)


def test_only_float16_scales_its_loss(tiny):
    for dtype in (torch.float32, torch.bfloat16):
        run = new_run(tiny, dtype=dtype)
        assert not run.optimizer.scaler.is_enabled()
        assert run.optimizer.scale.tolist() == []


def test_training_in_float16_goes_on_from_a_state_with_the_same_weights(tiny):
    params = changed(tiny, train={"epochs": 3, "optimizer": "adam"})
    undisturbed = new_run(params, dtype=torch.float16)
    states = [copy.deepcopy(state(undisturbed)) for _ in epochs(undisturbed, progress=False)]
    resumed = new_run(params, dtype=torch.float16)
    restore(resumed, states[0])
    assert weights(finished(resumed)) == weights(undisturbed)
    assert resumed.optimizer.scale.tolist() == undisturbed.optimizer.scale.tolist()


# Whose kernels


@pytest.fixture
def fusible(tiny):
    model = {"norm": "batch", "norm_position": "before", "hidden": (16, 6)}
    return changed(tiny, model=model, train={"kernels": "triton"})


@pytest.mark.parametrize(
    ("changes", "weighted", "dtype", "expected"),
    [
        ({}, False, torch.bfloat16, True),
        ({"train": {"kernels": "auto"}}, False, torch.bfloat16, True),
        ({"train": {"kernels": "torch"}}, False, torch.bfloat16, False),
        ({"model": {"norm": "none"}}, False, torch.bfloat16, True),
        ({"model": {"norm": "none", "norm_position": "after"}}, False, torch.bfloat16, True),
        (
            {"model": {"norm": "none", "residual": True, "hidden": (8, 8)}},
            False, torch.bfloat16, False,
        ),
        ({"model": {"norm": "layer"}}, False, torch.bfloat16, False),
        ({"model": {"norm_position": "after"}}, False, torch.bfloat16, False),
        ({}, True, torch.bfloat16, False),
        ({}, False, torch.float32, False),
    ],
)  # fmt: skip
def test_there_is_a_fused_step_in_bfloat16_with_batch_normalization_before_activations_or_none(
    fusible, changes, weighted, dtype, expected
):
    params = changed(fusible, **changes)
    assert fuses(new_run(params).classifier, params.train, weighted, dtype) == expected


def made_on_a_gpu(monkeypatch, params, steps=FUSED_FROM, batch=16, fused=None, capability=(8, 0)):
    """Return the step that would be made on a GPU, "torch" or "fused"."""
    module = SimpleNamespace(FusedStep=lambda *_: "fused") if fused is None else fused
    monkeypatch.setitem(sys.modules, "phonemes.training.fused.step", module or None)
    monkeypatch.setattr(phonemes.training.step, "TorchStep", lambda *_: "torch")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    split = SimpleNamespace(windows=SimpleNamespace(device=torch.device("cuda"), shape=(35, 12)))
    classifier = new_run(changed(params, train={"kernels": "torch"})).classifier
    return make_step(classifier, None, split, batch, steps, params, None, torch.bfloat16)


@pytest.mark.parametrize(
    ("kernels", "steps", "batch", "expected"),
    [
        ("auto", FUSED_FROM, 16, "fused"),
        ("auto", FUSED_FROM - 1, 16, "torch"),
        ("triton", 1, 16, "fused"),
        ("torch", FUSED_FROM, 16, "torch"),
        ("triton", 2**24 - 1, 16, "fused"),
        ("triton", 2**24, 16, "torch"),  # steps are counted in float32
        ("triton", FUSED_FROM, 2**27 - 1, "fused"),
        ("triton", FUSED_FROM, 2**27, "torch"),  # the widest layer has 16 values: 2**31 in all
    ],
)
def test_a_gpu_takes_the_fused_step_where_compiling_it_is_won_back(
    monkeypatch, fusible, kernels, steps, batch, expected
):
    params = changed(fusible, train={"kernels": kernels})
    assert made_on_a_gpu(monkeypatch, params, steps, batch) == expected


def test_without_a_fused_step_or_triton_torchs_step_is_taken(monkeypatch, tiny, fusible):
    unfusible = changed(fusible, model={"norm": "layer"})
    assert made_on_a_gpu(monkeypatch, unfusible) == "torch"
    assert made_on_a_gpu(monkeypatch, fusible, fused=False) == "torch"  # cannot be imported


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "torch"), ((9, 0), "fused")])
def test_a_gpu_that_triton_does_not_compile_for_takes_torchs_step(
    monkeypatch, fusible, capability, expected
):
    assert made_on_a_gpu(monkeypatch, fusible, capability=capability) == expected


def test_on_a_cpu_torchs_step_is_taken(fusible):
    run = new_run(fusible, dtype=torch.bfloat16)
    assert fuses(run.classifier, run.train, False, run.dtype)
    assert run.step.kernels == "torch"


# Parts of the gradients, for several processes


def test_all_gradients_are_one_part_and_what_they_become_is_used(tiny):
    run, doubled = new_run(tiny), new_run(tiny)
    for each in (run, doubled):
        begin(each, 0)
        each.buffers.rates.fill_(0.01)
    before = copied(run)
    run.step.update(*run.buffers)
    for gradients in doubled.step.parts(*doubled.buffers):
        assert len(gradients) == len([*doubled.classifier.network.parameters()])
        for gradient in gradients:
            gradient.mul_(2)
    for name, value in copied(run).items():
        torch.testing.assert_close(copied(doubled)[name] - before[name], 2 * (value - before[name]))


def test_one_gradient_that_overflows_after_the_parts_were_averaged_leaves_the_step_out(tiny):
    run = new_run(tiny, dtype=torch.float16)
    begin(run, 0)
    run.buffers.rates.fill_(0.01)
    before, scale = copied(run), run.optimizer.scale[0]
    for gradients in run.step.parts(*run.buffers):
        gradients[0].view(-1)[0] = float("inf")  # as of another process
    assert as_bytes(copied(run)) == as_bytes(before)
    assert run.optimizer.scale.tolist() == [scale / 2, 0]
