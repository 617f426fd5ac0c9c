"""Triton kernels for everything between two matrix products of a training step.

Shapes: rows B of a batch, columns H of a layer; activations are (B, H) in bfloat16, sums
are float32. Sums over rows come in parts, added up in a fixed order by whoever needs
them, so the same input gives the same bytes. A dropout mask is never stored: it is a
hash of seed, step, layer and position, and every kernel that needs it computes it anew.

Ioffe and Szegedy (2015), arXiv 1502.03167, have the gradient of batch normalization.
"""

import triton
import triton.language as tl


@triton.jit
def _activate(value, KIND: tl.constexpr):
    """Return the activation of a value and its slope there."""
    if KIND == "relu":
        slope = tl.where(value > 0, 1.0, 0.0)
        active = value * slope
    elif KIND == "gelu":
        # Abramowitz and Stegun (1964), 7.1.26: within 1.5e-7 of the error function
        bell = tl.exp(-0.5 * value * value)
        t = 1 / (1 + 0.23164189 * tl.abs(value))
        series = ((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736
        beyond = 0.5 * (series * t + 0.254829592) * t * bell
        below = tl.where(value > 0, 1 - beyond, beyond)
        active = value * below
        slope = below + value * bell * 0.3989422804014327
    elif KIND == "silu":
        below = tl.sigmoid(value)
        active = value * below
        slope = below * (1 + value * (1 - below))
    elif KIND == "leaky_relu":
        slope = tl.where(value > 0, 1.0, 0.01)
        active = value * slope
    elif KIND == "elu":
        slope = tl.where(value > 0, 1.0, tl.exp(tl.minimum(value, 0.0)))
        active = tl.where(value > 0, value, slope - 1)
    else:
        active = 2 * tl.sigmoid(2 * value) - 1
        slope = 1 - active * active
    return active, slope


@triton.jit
def _mixed(bits):
    """Return a hash of 32 bits (Wellons's lowbias32)."""
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits ^ (bits >> 16)


@triton.jit
def _dropped(value, key, index, dropout):
    """Return values with a share of them zeroed and the others scaled up."""
    chance = (_mixed(index.to(tl.uint32) ^ key) >> 8).to(tl.float32)  # of 2**24
    return tl.where(chance >= dropout * 16777216, value * (1 / (1 - dropout)), 0.0)


@triton.jit
def _key(steps, salt):
    """Return the key of a layer's dropout mask in this step."""
    return _mixed(_mixed(tl.load(steps).to(tl.uint32) + 0x9E3779B9) ^ salt)


@triton.jit
def _columns(columns, C: tl.constexpr):
    """Return the columns of this program, and which of them there are."""
    column = tl.program_id(0) * C + tl.arange(0, C)
    return column, column < columns


@triton.jit
def _affine(gamma, beta, mean, inverse, column, inside):
    """Return what a column is multiplied by to normalize it, and what is added then."""
    scale = tl.load(gamma + column, mask=inside, other=0.0) * inverse
    return scale, tl.load(beta + column, mask=inside, other=0.0) - mean * scale


@triton.jit
def _store_part(sums, first, second, column, inside, columns):
    """Store both sums of each column over this program's rows."""
    part = sums + tl.program_id(1) * 2 * columns + column
    tl.store(part, tl.sum(first, 0), mask=inside)
    tl.store(part + columns, tl.sum(second, 0), mask=inside)


@triton.jit
def _sum_of_parts(sums, column, inside, columns, PARTS: tl.constexpr):
    """Return both sums of each column: over the parts of `sums`, (PARTS, 2, columns)."""
    part = sums + tl.arange(0, PARTS)[:, None] * 2 * columns + column
    first = tl.sum(tl.load(part, mask=inside, other=0.0), 0)
    second = tl.sum(tl.load(part + columns, mask=inside, other=0.0), 0)
    return first, second


@triton.jit
def _uniform(key, row, DRAW: tl.constexpr):
    """Return a number in [0, 1) for each row, another for each DRAW."""
    bits = _mixed(_mixed(row.to(tl.uint32) ^ key) + DRAW * 0x1E3779B9 % 4294967296)
    return (bits >> 8).to(tl.float32) * (1 / 16777216)


@triton.jit
def _masked(key, row, place, length, widest, FIRST: tl.constexpr):
    """Tell which places of an axis lie in a mask of each row; rows and places broadcast."""
    size = tl.floor(_uniform(key, row, FIRST) * (widest + 1))
    begin = tl.floor(_uniform(key, row, FIRST + 1) * tl.maximum(length + 1 - size, 1.0))
    past = (place - begin.to(tl.int32)).to(tl.uint32)  # huge before the mask
    return past < size.to(tl.uint32)


@triton.jit
def _between(where, COUNT: tl.constexpr):
    """Return the lower of the two places, of COUNT, that a position lies between, and how far on.

    The upper one is the next, so that a load of it needs no address of its own.
    """
    where = tl.minimum(tl.maximum(where, 0.0), COUNT - 1.0)
    lower = tl.minimum(where.to(tl.int32), tl.maximum(COUNT - 2, 0))
    return lower, where - lower


@triton.jit
def _warped(
    source, time, first, key, row, mel_scale, mel_shift, speed, BANDS: tl.constexpr,
    LENGTH: tl.constexpr, G: tl.constexpr, WARP: tl.constexpr,
):  # fmt: skip
    """Return values as `_distorted` does, time and bands distorted alone."""
    along = tl.arange(0, G)
    if WARP:
        pace = 1 + speed * (2 * _uniform(key, row, 2) - 1)
        when = LENGTH // 2 + (time - LENGTH // 2) * pace
        early, later = _between(when, LENGTH)
        scale = 1 + mel_scale * (2 * _uniform(key, row, 0) - 1)
        shift = mel_shift * (2 * _uniform(key, row, 1) - 1)
        low, higher = _between(first * scale + shift + along * scale, BANDS)
        # from the corner of the four values between which a position lies to the others
        up: tl.constexpr = 1 if BANDS > 1 else 0
        on: tl.constexpr = BANDS if LENGTH > 1 else 0
        corner = source + early * BANDS + low
        a = tl.load(corner).to(tl.float32)
        b = tl.load(corner + up).to(tl.float32)
        c = tl.load(corner + on).to(tl.float32)
        d = tl.load(corner + (on + up)).to(tl.float32)
        a += (c - a) * later
        b += (d - b) * later
        value = a + (b - a) * higher
    else:
        value = tl.load(source + time * BANDS + first + along).to(tl.float32)
    return value


@triton.jit
def _distorted(
    source, time, first, key, row, mel_scale, mel_shift, speed, gain, tilt, noise,
    time_mask, band_mask, BANDS: tl.constexpr, LENGTH: tl.constexpr, G: tl.constexpr,
    WARP: tl.constexpr, COLOUR: tl.constexpr, NOISE: tl.constexpr,
    TIME_MASKS: tl.constexpr, BAND_MASKS: tl.constexpr,
):  # fmt: skip
    """Return values of windows, rows (R, 1, 1), at times (U, 1), G bands from the first, (U, 1).

    Distortions are those of phonemes/augmentation.py, with draws in the same order.
    """
    along = tl.arange(0, G)
    band = first + along
    value = _warped(
        source, time, first, key, row, mel_scale, mel_shift, speed, BANDS, LENGTH, G, WARP
    )
    if COLOUR:
        level = gain * (2 * _uniform(key, row, 3) - 1)
        slope = tilt * (2 * _uniform(key, row, 4) - 1)
        rise = slope * (2.0 / max(BANDS - 1, 1))
        value += level - slope + first * rise + along * rise
    if NOISE:
        place = (time * BANDS + band).to(tl.uint32)
        bits = _mixed(_mixed(row.to(tl.uint32) + key) ^ place)
        pairs = (bits & 0xFF00FF) + ((bits >> 8) & 0xFF00FF)  # four bytes, added up
        four = (pairs & 0xFFFF) + (pairs >> 16)
        value += (four.to(tl.int32).to(tl.float32) - 510) * (noise / 147.8)  # nearly normal
    for mask in tl.static_range(TIME_MASKS):
        hidden = _masked(key, row, time, LENGTH, time_mask, 5 + 2 * mask)
        value = tl.where(hidden, 0.0, value)
    for mask in tl.static_range(BAND_MASKS):
        hidden = _masked(key, row, band, BANDS, band_mask, 5 + 2 * (TIME_MASKS + mask))
        value = tl.where(hidden, 0.0, value)
    return value


@triton.jit
def gather(
    frames, starts, labels, order, cursor, epoch, steps, windows, targets, batch, salt,
    mel_scale, mel_shift, speed, gain, tilt, noise, time_mask, band_mask, firsts, counts,
    BANDS: tl.constexpr, LENGTH: tl.constexpr, WIDTH: tl.constexpr, MOST: tl.constexpr,
    LABELS: tl.constexpr, R: tl.constexpr, U: tl.constexpr, G: tl.constexpr,
    AUGMENT: tl.constexpr, WARP: tl.constexpr, COLOUR: tl.constexpr, NOISE: tl.constexpr,
    TIME_MASKS: tl.constexpr, BAND_MASKS: tl.constexpr,
):  # fmt: skip
    """Copy the windows and labels, LABELS of each, of the batch under the cursor; count the step.

    Windows are distorted, and averaged where the context thins out: average i is of `counts[i]`
    frames, at most MOST, from `firsts[i]` on. They are made in units of G bands of a frame, so
    that a thread has them all and computes once what it needs to know of the frame.
    """
    if tl.program_id(0) == 0:
        tl.store(steps, tl.load(steps) + 1)
    row = tl.program_id(0) * R + tl.arange(0, R)
    here = row < batch
    frame = tl.load(order + tl.load(cursor) * batch + row, mask=here, other=0)
    for each in range(0, LABELS):
        label = tl.load(labels + frame * LABELS + each, mask=here)
        tl.store(targets + row * LABELS + each, label, mask=here)
    start = tl.load(starts + frame, mask=here, other=0).to(tl.int64)
    source = (frames + start * BANDS)[:, None, None]
    target = (windows + row.to(tl.int64) * WIDTH)[:, None, None]
    # not the count of steps, which another program may have raised by now
    key = _mixed(_key(epoch, salt) + tl.load(cursor).to(tl.uint32))
    rows = row[:, None, None]
    for begin in range(0, WIDTH // G, U):
        unit = begin + tl.arange(0, U)[:, None]
        there = here[:, None, None] & (unit < WIDTH // G)
        unit = tl.minimum(unit, WIDTH // G - 1)
        column = unit * G + tl.arange(0, G)
        if MOST == 1 and not AUGMENT:
            value = tl.load(source + column)
        else:
            time, first = unit // (BANDS // G), unit % (BANDS // G) * G
            value = tl.zeros((R, U, G), tl.float32)
            count = 1
            if MOST > 1:
                count = tl.load(counts + time)
                time = tl.load(firsts + time)
            for member in tl.static_range(MOST):
                one = _distorted(
                    source, tl.minimum(time + member, LENGTH - 1), first, key, rows,
                    mel_scale, mel_shift, speed, gain, tilt, noise, time_mask, band_mask,
                    BANDS, LENGTH, G, WARP, COLOUR, NOISE, TIME_MASKS, BAND_MASKS,
                )  # fmt: skip
                value += tl.where(member < count, one, 0.0)
            value = value / count
        tl.store(target + column, value, mask=there)


@triton.jit
def moments(
    h, sums, rows, columns, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """Sum each column, and its squares, about its first value: one part for each program."""
    column, inside = _columns(columns, C)
    pivot = tl.load(h + column, mask=inside, other=0.0).to(tl.float32)  # near the mean
    first = tl.zeros((R, C), tl.float32)
    second = tl.zeros((R, C), tl.float32)
    for offset in range(0, PART, R):
        row = tl.program_id(1) * PART + offset + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        value = tl.load(h + row[:, None] * columns + column, mask=there, other=0.0)
        value = tl.where(there, value.to(tl.float32) - pivot, 0.0)
        first += value
        second += value * value
    _store_part(sums, first, second, column, inside, columns)


@triton.jit
def forward(
    h, y, sums, gamma, beta, running_mean, running_variance, moments, steps, salt,
    dropout, momentum, eps, rows, columns,
    KIND: tl.constexpr, DROP: tl.constexpr, PARTS: tl.constexpr,
    PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Normalize a layer's output, activate it and drop a share; move the running statistics."""
    column, inside = _columns(columns, C)
    first, second = _sum_of_parts(sums, column, inside, columns, PARTS)
    shift = first / rows
    variance = tl.maximum(second / rows - shift * shift, 0.0)
    mean = shift + tl.load(h + column, mask=inside, other=0.0).to(tl.float32)
    inverse = 1 / tl.sqrt(variance + eps)
    if tl.program_id(1) == 0:
        tl.store(moments + column, mean, mask=inside)
        tl.store(moments + columns + column, inverse, mask=inside)
        running = tl.load(running_mean + column, mask=inside)
        tl.store(running_mean + column, running + momentum * (mean - running), mask=inside)
        running = tl.load(running_variance + column, mask=inside)
        unbiased = variance * (rows / (rows - 1.0))
        tl.store(running_variance + column, running + momentum * (unbiased - running), mask=inside)
    scale, offset = _affine(gamma, beta, mean, inverse, column, inside)
    key = _key(steps, salt)
    # from the last rows to the first: the last ones are still in the cache
    last = tl.num_programs(1) - 1 - tl.program_id(1)
    for step in range(0, PART, R):
        row = last * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        value = tl.load(h + index, mask=there, other=0.0).to(tl.float32)
        value, _slope = _activate(value * scale + offset, KIND)
        if DROP:
            value = _dropped(value, key, index, dropout)
        tl.store(y + index, value, mask=there)


@triton.jit
def _through_activation(
    dy, h, index, there, mean, inverse, scale, offset, key, dropout,
    KIND: tl.constexpr, DROP: tl.constexpr,
):  # fmt: skip
    """Return the gradient of what enters the activation, and the normalized values."""
    value = tl.load(h + index, mask=there, other=0.0).to(tl.float32)
    gradient = tl.load(dy + index, mask=there, other=0.0).to(tl.float32)
    if DROP:
        gradient = _dropped(gradient, key, index, dropout)
    _active, slope = _activate(value * scale + offset, KIND)
    return gradient * slope, (value - mean) * inverse


@triton.jit
def gradient_sums(
    dy, h, sums, gamma, beta, moments, steps, salt, dropout, rows, columns,
    KIND: tl.constexpr, DROP: tl.constexpr, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Sum, for each column, the gradient at the activation, and its product with the input."""
    column, inside = _columns(columns, C)
    mean = tl.load(moments + column, mask=inside, other=0.0)
    inverse = tl.load(moments + columns + column, mask=inside, other=0.0)
    scale, offset = _affine(gamma, beta, mean, inverse, column, inside)
    key = _key(steps, salt)
    first = tl.zeros((R, C), tl.float32)
    second = tl.zeros((R, C), tl.float32)
    for step in range(0, PART, R):
        row = tl.program_id(1) * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        gradient, normal = _through_activation(
            dy, h, index, there, mean, inverse, scale, offset, key, dropout, KIND, DROP
        )
        first += gradient
        second += gradient * normal
    _store_part(sums, first, second, column, inside, columns)


@triton.jit
def backward(
    dy, h, later, sums, gamma, beta, dgamma, dbeta, moments, steps, salt, dropout, rows, columns,
    SKIPS: tl.constexpr, KIND: tl.constexpr, DROP: tl.constexpr, PARTS: tl.constexpr,
    PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Put the gradient of a layer's product in the place of the product, `h`.

    A product that skips has the gradient of the `later` one that it was added to as well.
    """
    column, inside = _columns(columns, C)
    mean = tl.load(moments + column, mask=inside, other=0.0)
    inverse = tl.load(moments + columns + column, mask=inside, other=0.0)
    scale, offset = _affine(gamma, beta, mean, inverse, column, inside)
    key = _key(steps, salt)
    first, second = _sum_of_parts(sums, column, inside, columns, PARTS)
    if tl.program_id(1) == 0:
        tl.store(dbeta + column, first, mask=inside)
        tl.store(dgamma + column, second, mask=inside)
    first, second = first / rows, second / rows
    last = tl.num_programs(1) - 1 - tl.program_id(1)
    for step in range(0, PART, R):
        row = last * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        gradient, normal = _through_activation(
            dy, h, index, there, mean, inverse, scale, offset, key, dropout, KIND, DROP
        )
        gradient = scale * (gradient - first - normal * second)
        if SKIPS:
            gradient += tl.load(later + index, mask=there).to(tl.float32)
        tl.store(h + index, gradient, mask=there)


@triton.jit
def _is(targets, row, rows, column, LABELS: tl.constexpr):
    """Tell which columns (C,) are the label of each row: (R, C). A row has LABELS of them."""
    return column == tl.load(targets + row * LABELS, mask=row < rows, other=0)[:, None]


@triton.jit
def _rows_of_logits(z, bias, row, rows, classes, PADDED: tl.constexpr, C: tl.constexpr):
    """Return logits, (R, C) with -inf beyond the classes, and what is known of each row."""
    column = tl.arange(0, C)
    inside = column < classes
    there = (row < rows)[:, None] & inside
    value = tl.load(z + row[:, None] * PADDED + column, mask=there, other=0.0).to(tl.float32)
    value = tl.where(inside, value + tl.load(bias + column, mask=inside, other=0.0), float("-inf"))
    highest = tl.max(value, 1)[:, None]
    power = tl.exp(value - highest)
    total = tl.sum(power, 1)[:, None]
    chosen = tl.min(tl.where(value == highest, column, C), 1)  # the first of the highest
    return value, power / total, highest + tl.log(total), chosen


@triton.jit
def loss(
    z, bias, targets, sums, rows, classes, smoothing, PADDED: tl.constexpr,
    TOLD: tl.constexpr, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Put the gradient of the mean cross-entropy in the place of the logits; sum loss and hits.

    A row has the logits of TOLD labels, one after the other; the one in the middle is hit or
    not. Beyond them the logits are 0, and so is their gradient.
    """
    column = tl.arange(0, C)
    inside = column < classes
    losses = tl.zeros((R, C), tl.float32)
    rights = tl.zeros((R, C), tl.float32)
    part = sums + tl.program_id(0) * (C * TOLD + 2)
    for each in range(0, TOLD):
        first = 0  # known to the compiler where there is one, so that it loads 16 bytes at a time
        if TOLD > 1:
            first = each * classes
        gradients = tl.zeros((R, C), tl.float32)
        for step in range(0, PART, R):
            row = tl.program_id(0) * PART + step + tl.arange(0, R)
            value, share, log_total, chosen = _rows_of_logits(
                z + first, bias + first, row, rows, classes, PADDED, C
            )
            there = (row < rows)[:, None] & inside
            target = _is(targets + each, row, rows, column, TOLD)
            wanted = tl.where(target, 1 - smoothing, 0.0) + smoothing / classes
            gradient = tl.where(there, (share - wanted) / (rows * TOLD), 0.0)
            tl.store(z + first + row[:, None] * PADDED + column, gradient, mask=there)
            gradients += gradient
            losses += wanted * tl.where(there, log_total - value, 0.0)
            hit = there & target & (chosen[:, None] == column) & (each == TOLD // 2)
            rights += tl.where(hit, 1.0, 0.0)
        tl.store(part + each * C + column, tl.sum(gradients, 0))
    tl.store(part + C * TOLD, tl.sum(tl.sum(losses, 1), 0) / TOLD)
    tl.store(part + C * TOLD + 1, tl.sum(tl.sum(rights, 1), 0))


@triton.jit
def score(
    z, bias, targets, predicted, losses, top3, rows, classes,
    PADDED: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Tell of each row the likeliest class, the loss, and whether less than three are likelier."""
    row = tl.program_id(0) * R + tl.arange(0, R)
    value, _share, log_total, chosen = _rows_of_logits(z, bias, row, rows, classes, PADDED, C)
    target = _is(targets, row, rows, tl.arange(0, C), 1)
    own = tl.sum(tl.where(target, value, 0.0), 1)[:, None]
    likelier = tl.sum(tl.where(value > own, 1, 0), 1)
    tl.store(predicted + row, tl.minimum(chosen, classes - 1), mask=row < rows)
    tl.store(losses + row, tl.sum(log_total - own, 1), mask=row < rows)
    tl.store(top3 + row, likelier < 3, mask=row < rows)


@triton.jit
def finish(
    sums, dbias, totals, rates, cursor, steps, scalars, classes, beta1, beta2,
    KIND: tl.constexpr, TOLD: tl.constexpr, PARTS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add up the parts of the loss, and get the scalars of this optimizer step ready."""
    column = tl.arange(0, C)
    part = sums + tl.arange(0, PARTS) * (C * TOLD + 2)
    for each in range(0, TOLD):
        summed = tl.sum(tl.load(part[:, None] + each * C + column), 0)
        tl.store(dbias + each * classes + column, summed, mask=column < classes)
    loss = tl.sum(tl.load(part + C * TOLD), 0)
    tl.store(totals, tl.load(totals) + loss)
    tl.store(totals + 1, tl.load(totals + 1) + tl.sum(tl.load(part + C * TOLD + 1), 0))
    tl.store(totals + 2, tl.load(totals + 2) + tl.where(tl.abs(loss) < float("inf"), 1.0, 0.0))
    now = tl.load(cursor)
    step = tl.load(steps)
    tl.store(scalars, tl.load(rates + now))
    if KIND != "sgd":
        tl.store(scalars + 1, 1 - tl.exp(step * tl.log(beta1)))
        tl.store(scalars + 2, 1 - tl.exp(step * tl.log(beta2)))
    tl.store(cursor, now + 1)


@triton.jit
def optimize(
    weights, copies, gradients, first, second, scalars, beta1, beta2, eps, decay, begin, end,
    KIND: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Take an optimizer's step; refresh the copies that enter the products."""
    index = begin + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = index < end
    rate = tl.load(scalars)
    gradient = tl.load(gradients + index, mask=there).to(tl.float32) * tl.load(scalars + 3)
    weight = tl.load(weights + index, mask=there)
    if KIND == "adamw":
        weight -= rate * decay * weight
    else:
        gradient += decay * weight
    mean = tl.load(first + index, mask=there)
    if KIND == "sgd":
        mean = beta1 * mean + gradient
        weight -= rate * mean
    else:
        mean += (1 - beta1) * (gradient - mean)
        square = tl.load(second + index, mask=there)
        square += (1 - beta2) * (gradient * gradient - square)
        tl.store(second + index, square, mask=there)
        size = tl.sqrt(square / tl.load(scalars + 2)) + eps
        weight -= rate / tl.load(scalars + 1) * mean / size
    tl.store(first + index, mean, mask=there)
    tl.store(weights + index, weight, mask=there)
    tl.store(copies + index, weight, mask=there)
