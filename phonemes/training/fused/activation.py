"""Activations and their slopes, and columns of a batch and sums over their rows."""

import triton
import triton.language as tl


@triton.jit
def activate(value, KIND: tl.constexpr):
    """Return the activation of a value and its slope there."""
    if KIND == "relu":
        slope = tl.where(value > 0, 1.0, 0.0)
        active = value * slope
    elif KIND == "gelu":
        # Abramowitz and Stegun (1964), 7.1.26: within 1.5e-7 of the error function. The root is of
        # a number from 1 on: a division would take nine instructions, to be right for any number
        bell = tl.exp2(-0.7213475204444817 * value * value)
        root = tl.rsqrt(1 + 0.23164189 * tl.abs(value))
        t = root * root
        series = ((0.5307027145 * t - 0.7265760135) * t + 0.7107068705) * t - 0.142248368
        beyond = (series * t + 0.127414796) * t * bell
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
        tl.static_assert(KIND == "tanh")
        active = 2 * tl.sigmoid(2 * value) - 1
        slope = 1 - active * active
    return active, slope


@triton.jit
def columns_of_program(columns, C: tl.constexpr):
    """Return the columns of this program, and which of them there are."""
    column = tl.program_id(0) * C + tl.arange(0, C)
    return column, column < columns


@triton.jit
def store_part(sums, first, second, column, inside, columns):
    """Store both sums of each column over this program's rows."""
    part = sums + tl.program_id(1) * 2 * columns + column
    tl.store(part, tl.sum(first, 0), mask=inside)
    tl.store(part + columns, tl.sum(second, 0), mask=inside)
