"""Distort every window anew each time it is trained on: another voice, pace or room.

Each window of a batch gets distortions of its own, so that not even its neighbours, which
hold nearly the same frames, come with the same ones. The frame in the middle stays there
and keeps its label; the targets around it move with the time axis. Nothing beyond the window
is read.

Frames are normalized before: 0 is a band's mean, 1 its standard deviation. Voice: the mel
axis is scaled and shifted, as a vocal tract of another length would (Jaitly and Hinton,
2013, "Vocal Tract Length Perturbation (VTLP) improves speech recognition"). Pace: the time
axis is scaled about the middle (cf. Ko et al., 2015, "Audio augmentation for speech
recognition"). Room and microphone: level, slope and a smooth curve over the bands, noise, and
a stationary noise whose power adds to that of speech. Masks over time and bands: Park et al.
(2019), "SpecAugment", arXiv 1904.08779.

On a GPU the fused step does the same while it gathers a batch (phonemes/training/fused).
"""

import math
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from phonemes.training.params import AugmentParams


class Draw(IntEnum):
    """What each random number of a window is for, here and in the Triton kernel."""

    MEL_SCALE = 0
    MEL_SHIFT = 1
    TIME_WARP = 2
    GAIN = 3
    SPECTRAL_TILT = 4
    MASKS = 5  # the first of them; two a mask, its width and its place: time masks, then band masks


class Room(IntEnum):
    """What the random numbers after those of the masks are for, counted from there."""

    EQUALIZER = 0  # the first of three, one a cosine
    BACKGROUND = 3  # whether there is any
    BACKGROUND_LEVEL = 4
    BACKGROUND_SLOPE = 5


COSINES = range(2, 5)  # half periods of each over the mel axis; a level has 0, a slope about 1
# levels of background noise in the middle band, and its slope, in standard deviations from a
# band's mean, of which each is about NATS of log power
BACKGROUND_LEVELS = (-3.0, -0.3)
BACKGROUND_SLOPE = 0.5
NATS = 2.5


class Draws(NamedTuple):
    """What is drawn for each window of a batch."""

    uniform: Tensor  # (B, draws) float32 in [0, 1), columns as in `Draw`
    noise: Tensor | None  # (B, W, C) of standard deviation 1


def draws(augment: AugmentParams) -> int:
    """Return how many random numbers a window needs."""
    room = Room.BACKGROUND_SLOPE + 1 if augment.equalizer > 0 or augment.background > 0 else 0
    return first_of_room(augment) + room


def first_of_room(augment: AugmentParams) -> int:
    """Return the column that those of `Room` are counted from."""
    return Draw.MASKS + 2 * (augment.time_masks + augment.band_masks)


def draw(augment: AugmentParams, windows: Tensor) -> Draws:
    """Draw for a batch of windows, (B, W, C), from torch's current random state."""
    batch, device = len(windows), windows.device
    uniform = torch.rand((batch, draws(augment)), device=device)
    noise = torch.randn(windows.shape, device=device) if augment.noise > 0 else None
    return Draws(uniform, noise)


def reached_context(context: int, augment: AugmentParams) -> int:
    """Return how far from the middle, in frames, the targets of n = `context` frames may lie."""
    return math.floor(context * (1 + augment.time_warp) + 0.5)


def warped_targets(labels: Tensor, context: int, augment: AugmentParams, drawn: Draws) -> Tensor:
    """Return the labels of the frames that distorted windows show, (B, 2n + 1).

    Args:
        labels: (B, 2m + 1) of the frames around the middle, m from `reached_context`.
        context: n.
        augment: whose time warp scales the time axis about the middle.
        drawn: for these windows.
    """
    pace = 1 + augment.time_warp * (2 * drawn.uniform[:, Draw.TIME_WARP, None] - 1)  # (B, 1)
    offset = torch.arange(-context, context + 1, device=labels.device)
    frame = (offset * pace + 0.5).floor().long() + labels.shape[1] // 2  # (B, 2n + 1)
    return labels.gather(1, frame)


def distort(windows: Tensor, augment: AugmentParams, drawn: Draws) -> Tensor:
    """Return windows, (B, W, C), distorted as drawn."""
    width, bands = windows.shape[1:]
    device, dtype = windows.device, windows.dtype
    signed = (2 * drawn.uniform[:, : Draw.MASKS] - 1)[:, :, None]  # (B, 5, 1) in [-1, 1)
    time = torch.arange(width, device=device)
    band = torch.arange(bands, device=device)
    if augment.time_warp > 0:
        when = width // 2 + (time - width // 2) * (
            1 + augment.time_warp * signed[:, Draw.TIME_WARP]
        )
        windows = _interpolation(when, width).to(dtype) @ windows
    if augment.mel_scale > 0 or augment.mel_shift > 0:
        scale, shift = (
            augment.mel_scale * signed[:, Draw.MEL_SCALE],
            augment.mel_shift * signed[:, Draw.MEL_SHIFT],
        )
        where = band * (1 + scale) + shift
        windows = windows @ _interpolation(where, bands).to(dtype).transpose(1, 2)
    room = drawn.uniform[:, first_of_room(augment) :, None, None]  # (B, 6, 1, 1) as in `Room`
    slope = 2 * band / max(bands - 1, 1) - 1
    if augment.background > 0:
        windows = _with_background(windows, augment.background, room, slope)
    if augment.equalizer > 0:
        cosines = torch.arange(COSINES.start, COSINES.stop, device=device)[:, None]
        waves = torch.cos(cosines * math.pi * (band + 0.5) / bands)  # (3, C)
        heights = 2 * room[:, Room.EQUALIZER : Room.EQUALIZER + len(COSINES), 0, 0] - 1  # (B, 3)
        windows = windows + (augment.equalizer * heights @ waves)[:, None].to(dtype)
    if augment.gain > 0 or augment.spectral_tilt > 0:
        level = (
            augment.gain * signed[:, Draw.GAIN]
            + augment.spectral_tilt * signed[:, Draw.SPECTRAL_TILT] * slope
        )  # (B, C)
        windows = windows + level[:, None].to(dtype)
    if drawn.noise is not None:
        windows = torch.add(windows, drawn.noise.to(dtype), alpha=augment.noise)
    first = int(Draw.MASKS)
    for axis, masks, widest in (
        (time, augment.time_masks, augment.time_mask_width),
        (band, augment.band_masks, augment.band_mask_width),
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


def _with_background(windows: Tensor, share: float, room: Tensor, slope: Tensor) -> Tensor:
    """Return windows, (B, W, C), a share of them with stationary noise.

    Its power is added to that of speech: of two log powers, the logarithm of their sum.
    """
    lowest, highest = BACKGROUND_LEVELS
    level = lowest + (highest - lowest) * room[:, Room.BACKGROUND_LEVEL]  # (B, 1, 1)
    level = level + BACKGROUND_SLOPE * (2 * room[:, Room.BACKGROUND_SLOPE] - 1) * slope
    level = level.to(windows.dtype)
    noisy = torch.logaddexp(NATS * windows, NATS * level) / NATS
    return torch.where(room[:, Room.BACKGROUND] < share, noisy, windows)


def _interpolation(where: Tensor, count: int) -> Tensor:
    """Return the weights, (B, M, count), of `count` places in values at positions (B, M)."""
    place = torch.arange(count, device=where.device)
    return (1 - (where.clamp(0, count - 1)[:, :, None] - place).abs()).clamp(min=0)
