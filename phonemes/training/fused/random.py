"""Random numbers that are never stored: hashes of seed, step, layer and position.

Every kernel that needs a number computes it anew, so a dropout mask takes no memory and
the same seed gives the same bytes.
"""

import triton
import triton.language as tl


@triton.jit
def hash32(bits):
    """Return a hash of 32 bits (Wellons's lowbias32)."""
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits ^ (bits >> 16)


@triton.jit
def drop(value, key, index, dropout):
    """Return values with a share of them zeroed and the others scaled up."""
    least = tl.ceil(dropout * 16777216).to(tl.uint32) << 8  # of the hashes that are kept
    kept = hash32(index.to(tl.uint32) ^ key) >= least
    return tl.where(kept, value * (1 / (1 - dropout)), 0.0)


@triton.jit
def step_key(steps, salt):
    """Return the key of a layer's dropout mask in this step."""
    return hash32(hash32(tl.load(steps).to(tl.uint32) + 0x9E3779B9) ^ salt)


@triton.jit
def uniform(key, row, DRAW: tl.constexpr):
    """Return a number in [0, 1) for each row, another for each DRAW."""
    bits = hash32(hash32(row.to(tl.uint32) ^ key) + DRAW * 0x1E3779B9 % 4294967296)
    return (bits >> 8).to(tl.float32) * (1 / 16777216)
