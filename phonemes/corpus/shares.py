"""Draw splits: a seeded share of the speakers for each, the others for the training set."""

from collections.abc import Mapping, Sequence

import numpy as np


def share_sizes(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return how many of `count` speakers each split gets by its share, at least one each."""
    return {split: max(1, round(share * count)) for split, share in shares.items()}


def draw_splits(names: Sequence[str], sizes: Mapping[str, int], seed: int) -> dict[str, str]:
    """Return the split of each of some names, train where no other one is drawn.

    Args:
        names: in an order that does not change, as that of the alphabet.
        sizes: names to draw for each split, together fewer than there are.
        seed: which names.
    """
    drawn = [split for split, size in sizes.items() for _ in range(size)]
    order = np.random.default_rng(seed).permutation(len(names))
    return {
        names[index]: drawn[rank] if rank < len(drawn) else "train"
        for rank, index in enumerate(order)
    }
