"""Gather the windows of a batch, distorted and pooled, in one kernel."""

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from phonemes.inference.windows import DeviceSplit
from phonemes.training import augmentation
from phonemes.training.augmentation import COSINES, Draw, Room
from phonemes.training.fused.random import hash32, step_key, uniform
from phonemes.training.params import AugmentParams

TILE = (2, 32)  # rows, units of bands
WARPS = 2
MEL_SCALE = tl.constexpr(int(Draw.MEL_SCALE))
MEL_SHIFT = tl.constexpr(int(Draw.MEL_SHIFT))
TIME_WARP = tl.constexpr(int(Draw.TIME_WARP))
GAIN = tl.constexpr(int(Draw.GAIN))
SPECTRAL_TILT = tl.constexpr(int(Draw.SPECTRAL_TILT))
MASKS = tl.constexpr(int(Draw.MASKS))
EQUALIZER = tl.constexpr(int(Room.EQUALIZER))
FIRST_COSINE = tl.constexpr(COSINES.start)
AFTER_COSINES = tl.constexpr(COSINES.stop)
BACKGROUND = tl.constexpr(int(Room.BACKGROUND))
BACKGROUND_LEVEL = tl.constexpr(int(Room.BACKGROUND_LEVEL))
BACKGROUND_SLOPE = tl.constexpr(int(Room.BACKGROUND_SLOPE))
LOWEST = tl.constexpr(augmentation.BACKGROUND_LEVELS[0])
HIGHEST = tl.constexpr(augmentation.BACKGROUND_LEVELS[1])
SLOPE = tl.constexpr(augmentation.BACKGROUND_SLOPE)
NATS = tl.constexpr(augmentation.NATS)


@triton.jit
def in_mask(key, row, place, length, widest, FIRST: tl.constexpr):
    """Return which places of an axis lie in a mask of each row; rows and places broadcast."""
    size = tl.floor(uniform(key, row, FIRST) * (widest + 1))
    begin = tl.floor(uniform(key, row, FIRST + 1) * tl.maximum(length + 1 - size, 1.0))
    past = (place - begin.to(tl.int32)).to(tl.uint32)  # huge before the mask
    return past < size.to(tl.uint32)


@triton.jit
def interpolation(where, count):
    """Return the lower of the two places, of `count`, that a position lies between, and how far on.

    The upper one is the next, so that a load of it needs no address of its own.
    """
    where = tl.minimum(tl.maximum(where, 0.0), count - 1.0)
    lower = tl.minimum(where.to(tl.int32), tl.maximum(count - 2, 0))
    return lower, where - lower


@triton.jit
def warped(
    source, scales, time, first, key, row, mel_scale, mel_shift, time_warp, length,
    BANDS: tl.constexpr, G: tl.constexpr, SCALED: tl.constexpr, WARP: tl.constexpr,
):  # fmt: skip
    """Return values as `distorted` does, but with the time and mel axes distorted alone."""
    along = tl.arange(0, G)
    if WARP:
        pace = 1 + time_warp * (2 * uniform(key, row, TIME_WARP) - 1)
        when = length // 2 + (time - length // 2) * pace
        early, later = interpolation(when, length)
        scale = 1 + mel_scale * (2 * uniform(key, row, MEL_SCALE) - 1)
        shift = mel_shift * (2 * uniform(key, row, MEL_SHIFT) - 1)
        low, higher = interpolation(first * scale + shift + along * scale, BANDS)
        # from the corner of the four values between which a position lies to the others
        up: tl.constexpr = 1 if BANDS > 1 else 0
        on = tl.where(length > 1, BANDS, 0)
        corner = source + early * BANDS + low
        a = tl.load(corner).to(tl.float32)
        b = tl.load(corner + up).to(tl.float32)
        c = tl.load(corner + on).to(tl.float32)
        d = tl.load(corner + (on + up)).to(tl.float32)
        a += (c - a) * later
        b += (d - b) * later
        if SCALED:
            a *= tl.load(scales + low).to(tl.float32)
            b *= tl.load(scales + low + up).to(tl.float32)
        value = a + (b - a) * higher
    else:
        value = tl.load(source + time * BANDS + first + along).to(tl.float32)
        if SCALED:
            value *= tl.load(scales + first + along).to(tl.float32)
    return value


@triton.jit
def with_background(value, band, key, row, share, BANDS: tl.constexpr, ROOM: tl.constexpr):
    """Return values, those of a share of the rows with stationary noise."""
    level = uniform(key, row, ROOM + BACKGROUND_LEVEL) * (HIGHEST - LOWEST) + LOWEST
    slope = (2 * uniform(key, row, ROOM + BACKGROUND_SLOPE) - 1) * SLOPE
    level += slope * (band * (2.0 / max(BANDS - 1, 1)) - 1)
    above = value - level
    louder = tl.log(1 + tl.exp(-tl.abs(above) * NATS)) / NATS  # than the louder of the two
    noisy = tl.maximum(above, 0.0) + level + louder
    return tl.where(uniform(key, row, ROOM + BACKGROUND) < share, noisy, value)


@triton.jit
def distorted(
    source, scales, time, first, key, row, mel_scale, mel_shift, time_warp, gain, spectral_tilt,
    noise, time_mask_width, band_mask_width, equalizer, background, length,
    BANDS: tl.constexpr, G: tl.constexpr, SCALED: tl.constexpr,
    WARP: tl.constexpr, COLOR: tl.constexpr, NOISE: tl.constexpr,
    TIME_MASKS: tl.constexpr, BAND_MASKS: tl.constexpr, CURVE: tl.constexpr,
    NOISY: tl.constexpr,
):  # fmt: skip
    """Return distorted values of windows, rows (R, 1, 1), at times (U, 1), G bands from `first`.

    The distortions are those of phonemes/training/augmentation.py.
    """
    along = tl.arange(0, G)
    band = first + along
    value = warped(
        source, scales, time, first, key, row, mel_scale, mel_shift, time_warp, length, BANDS, G,
        SCALED, WARP,
    )  # fmt: skip
    room: tl.constexpr = MASKS + 2 * (TIME_MASKS + BAND_MASKS)
    if NOISY:
        value = with_background(value, band, key, row, background, BANDS, room)
    if CURVE:
        for cosine in tl.static_range(FIRST_COSINE, AFTER_COSINES):
            height = 2 * uniform(key, row, room + EQUALIZER + cosine - FIRST_COSINE) - 1
            value += equalizer * height * tl.cos((cosine * 3.14159265358979 / BANDS) * (band + 0.5))
    if COLOR:
        level = gain * (2 * uniform(key, row, GAIN) - 1)
        slope = spectral_tilt * (2 * uniform(key, row, SPECTRAL_TILT) - 1)
        rise = slope * (2.0 / max(BANDS - 1, 1))
        value += level - slope + first * rise + along * rise
    if NOISE:
        place = (time * BANDS + band).to(tl.uint32)
        bits = hash32(hash32(row.to(tl.uint32) + key) ^ place)
        pairs = (bits & 0xFF00FF) + ((bits >> 8) & 0xFF00FF)  # four bytes, added up
        four = (pairs & 0xFFFF) + (pairs >> 16)
        value += (four.to(tl.int32).to(tl.float32) - 510) * (noise / 147.8)  # nearly normal
    for mask in tl.static_range(TIME_MASKS):
        hidden = in_mask(key, row, time, length, time_mask_width, MASKS + 2 * mask)
        value = tl.where(hidden, 0.0, value)
    for mask in tl.static_range(BAND_MASKS):
        hidden = in_mask(key, row, band, BANDS, band_mask_width, MASKS + 2 * (TIME_MASKS + mask))
        value = tl.where(hidden, 0.0, value)
    return value


# what differs from one network to the next is known at run time alone: compiling takes seconds
@triton.jit(
    do_not_specialize=[
        "salt", "time_mask_width", "band_mask_width", "length", "units", "stored", "wanted"
    ]
)  # fmt: skip
def gather_kernel(
    frames, scales, starts, labels, order, cursor, epoch, steps, windows, targets, batch, salt,
    mel_scale, mel_shift, time_warp, gain, spectral_tilt, noise, time_mask_width,
    band_mask_width, equalizer, background, firsts, counts, length, units, stored, wanted,
    BANDS: tl.constexpr, MOST: tl.constexpr, R: tl.constexpr, U: tl.constexpr, G: tl.constexpr,
    SCALED: tl.constexpr,
    AUGMENT: tl.constexpr, WARP: tl.constexpr, COLOR: tl.constexpr, NOISE: tl.constexpr,
    TIME_MASKS: tl.constexpr, BAND_MASKS: tl.constexpr, CURVE: tl.constexpr,
    NOISY: tl.constexpr, MOVE: tl.constexpr,
):  # fmt: skip
    """Copy the windows and targets of the batch under the cursor; count the step.

    Frames may be of any type; those of 8 bits are multiplied by the scales of their bands.

    A frame has `stored` labels, from which the `wanted` targets of its window are taken: those
    of the frames that the window shows, where the time axis is warped.

    Windows of `length` frames are distorted and pooled: mean i is of `counts[i]` frames, at most
    MOST, from `firsts[i]` on. They are made in units of G bands of a frame, so that a thread has
    them all and computes what depends on the frame once.
    """
    if tl.program_id(0) == 0:
        tl.store(steps, tl.load(steps) + 1)
    row = tl.program_id(0) * R + tl.arange(0, R)
    here = row < batch
    frame = tl.load(order + tl.load(cursor) * batch + row, mask=here, other=0)
    start = tl.load(starts + frame, mask=here, other=0).to(tl.int64)
    source = (frames + start * BANDS)[:, None, None]
    target = (windows + row.to(tl.int64) * units * G)[:, None, None]
    # not the count of steps, which another program may have raised by now
    key = hash32(step_key(epoch, salt) + tl.load(cursor).to(tl.uint32))
    rows = row[:, None, None]
    pace = 1.0
    if MOVE:
        pace = 1 + time_warp * (2 * uniform(key, row, TIME_WARP) - 1)
    for each in range(0, wanted):
        offset = tl.floor((each - wanted // 2) * pace + 0.5).to(tl.int32) + stored // 2
        label = tl.load(labels + frame * stored + offset, mask=here)
        tl.store(targets + row * wanted + each, label, mask=here)
    copies: tl.constexpr = MOST == 1 and not AUGMENT
    for begin in tl.range(0, units, U, loop_unroll_factor=4 if copies else 1):
        unit = begin + tl.arange(0, U)[:, None]
        there = here[:, None, None] & (unit < units)
        unit = tl.minimum(unit, units - 1)
        column = unit * G + tl.arange(0, G)
        if copies:
            value = tl.load(source + column)
            if SCALED:
                band = unit % (BANDS // G) * G + tl.arange(0, G)
                value = value.to(tl.float32) * tl.load(scales + band).to(tl.float32)
        else:
            time, first = unit // (BANDS // G), unit % (BANDS // G) * G
            value = tl.zeros((R, U, G), tl.float32)
            count = 1
            if MOST > 1:
                count = tl.load(counts + time)
                time = tl.load(firsts + time)
            for member in tl.static_range(MOST):
                one = distorted(
                    source, scales, tl.minimum(time + member, length - 1), first, key, rows,
                    mel_scale, mel_shift, time_warp, gain, spectral_tilt, noise,
                    time_mask_width, band_mask_width, equalizer, background, length, BANDS, G,
                    SCALED, WARP, COLOR, NOISE, TIME_MASKS, BAND_MASKS, CURVE, NOISY,
                )  # fmt: skip
                value += tl.where(member < count, one, 0.0)
            value = value / count
        tl.store(target + column, value, mask=there)


class Pooling(NamedTuple):
    """The frames of each value that enters the first product."""

    firsts: Tensor  # (S,) int32, first frame of each mean
    counts: Tensor  # (S,) int32, frames of each
    most: int  # of one

    @classmethod
    def of(cls, widths: tuple[int, ...], device: torch.device) -> "Pooling":
        """Return runs of frames that follow each other, as long as `widths` says."""
        counts = torch.tensor(widths)
        first = (counts.cumsum(0) - counts).int()
        return cls(first.to(device), counts.int().to(device), max(widths))


def gather(
    split: DeviceSplit,
    order: Tensor,
    cursor: Tensor,
    epoch: Tensor,
    steps: Tensor,
    windows: Tensor,
    targets: Tensor,
    pooling: Pooling,
    augment: AugmentParams,
    salt: int,
) -> None:
    """Fill `windows`, (B, S C), and `targets`, (B, D), with the batch under the cursor.

    Args:
        split: on the device; its labels reach as far as `augmentation.reached_context`.
        order: (S B,) int64, frames of the split.
        cursor: (1,) int64, the step of the epoch.
        epoch: () int64, from 0.
        steps: () float32, of all epochs; raised by one.
        windows: bfloat16, to be filled.
        targets: int64, to be filled.
        pooling: of the frames of a window.
        augment: how windows are distorted.
        salt: seed of what is drawn.
    """
    assert split.labels is not None
    batch, bands = len(windows), split.bands
    unit = math.gcd(8, bands)
    scales = split.windows if split.scales is None else split.scales  # not read without scales
    kernel = gather_kernel[(triton.cdiv(batch, TILE[0]),)]
    kernel(
        split.windows, scales, split.starts, split.labels, order, cursor, epoch, steps,
        windows, targets, batch, salt, augment.mel_scale, augment.mel_shift, augment.time_warp,
        augment.gain, augment.spectral_tilt, augment.noise, augment.time_mask_width,
        augment.band_mask_width, augment.equalizer, augment.background, pooling.firsts,
        pooling.counts, split.windows.shape[1] // bands, windows.shape[1] // unit,
        split.labels[0].numel(), targets.shape[1], bands, pooling.most, *TILE, unit,
        SCALED=split.scales is not None, AUGMENT=augment.any(),
        WARP=augment.mel_scale + augment.mel_shift + augment.time_warp > 0,
        COLOR=augment.gain + augment.spectral_tilt > 0,
        NOISE=augment.noise > 0, TIME_MASKS=augment.time_masks, BAND_MASKS=augment.band_masks,
        CURVE=augment.equalizer > 0, NOISY=augment.background > 0,
        MOVE=augment.time_warp > 0, num_warps=WARPS,
    )  # fmt: skip
