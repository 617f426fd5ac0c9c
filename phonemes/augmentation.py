"""Distort every window anew each time it is trained on: another voice, pace or room.

Each window of a batch gets distortions of its own, so that not even its neighbours, which
hold nearly the same frames, come with the same ones. The frame in the middle stays there,
unless shifts are asked for, and keeps its label; nothing beyond the window is read.

Frames are normalized before: 0 is a band's mean, 1 its standard deviation. Voice: the mel
axis is scaled and shifted, as a vocal tract of another length would (Jaitly and Hinton,
2013, "Vocal Tract Length Perturbation (VTLP) improves speech recognition"). Pace: the time
axis is scaled about the middle (cf. Ko et al., 2015, "Audio augmentation for speech
recognition"), and shifted, for labels that are not exact. Room: an echo that fades from frame
to frame and shows where nothing louder follows (energies decay exponentially in a room, so
their logarithms do linearly), level, slope over the bands and noise. Masks over time and
bands: Park et al. (2019), "SpecAugment", arXiv 1904.08779; single bands are dropped as well.

On a GPU the fused step does the same while it gathers a batch (phonemes/kernels.py).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from phonemes.params import Augment


class Draws(NamedTuple):
    """What is drawn for each window of a batch."""

    uniform: Tensor  # (B, D) float32 in [0, 1): D as in `draws`
    noise: Tensor | None  # (B, W, C) of standard deviation 1


def draws(augment: Augment) -> int:
    """Return the numbers that a window needs: five, and two a mask."""
    return 5 + 2 * (augment.time_masks + augment.band_masks)


def draw(augment: Augment, windows: Tensor) -> Draws:
    """Draw for a batch of windows, (B, W, C), from torch's current random state."""
    batch, device = len(windows), windows.device
    uniform = torch.rand((batch, draws(augment)), device=device)
    noise = torch.randn(windows.shape, device=device) if augment.noise > 0 else None
    return Draws(uniform, noise)


def distort(windows: Tensor, augment: Augment, drawn: Draws) -> Tensor:
    """Return windows, (B, W, C), distorted as drawn."""
    width, bands = windows.shape[1:]
    device, dtype = windows.device, windows.dtype
    signed = (2 * drawn.uniform[:, :5] - 1)[:, :, None]  # (B, 5, 1)
    time = torch.arange(width, device=device)
    band = torch.arange(bands, device=device)
    if augment.speed > 0:
        when = width // 2 + (time - width // 2) * (1 + augment.speed * signed[:, 2])
        windows = _between(when, width).to(dtype) @ windows
    if augment.mel_scale > 0 or augment.mel_shift > 0:
        scale, shift = augment.mel_scale * signed[:, 0], augment.mel_shift * signed[:, 1]
        where = band * (1 + scale) + shift
        windows = windows @ _between(where, bands).to(dtype).transpose(1, 2)
    if augment.gain > 0 or augment.tilt > 0:
        slope = 2 * band / max(bands - 1, 1) - 1
        level = augment.gain * signed[:, 3] + augment.tilt * signed[:, 4] * slope  # (B, C)
        windows = windows + level[:, None].to(dtype)
    if drawn.noise is not None:
        windows = torch.add(windows, drawn.noise.to(dtype), alpha=augment.noise)
    first = 5
    for axis, masks, widest in (
        (time, augment.time_masks, augment.time_mask),
        (band, augment.band_masks, augment.band_mask),
    ):
        if masks:
            size = (drawn.uniform[:, first : first + 2 * masks : 2] * (widest + 1)).floor()
            room = (len(axis) + 1 - size).clamp(min=1)
            begin = (drawn.uniform[:, first + 1 : first + 2 * masks : 2] * room).floor()
            after = axis >= (begin + size)[:, :, None]
            kept = (after | (axis < begin[:, :, None])).all(1).to(dtype)  # (B, W or C)
            windows = windows * (kept[:, :, None] if axis is time else kept[:, None])
            first += 2 * masks
    return windows


def _between(where: Tensor, count: int) -> Tensor:
    """Return the weights, (B, M, count), of `count` places in values at positions (B, M)."""
    place = torch.arange(count, device=where.device)
    return (1 - (where.clamp(0, count - 1)[:, :, None] - place).abs()).clamp(min=0)
