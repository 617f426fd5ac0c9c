"""Seeds by role: what is drawn for one purpose has nothing in common with any other draw.

Seeds that are counted up, train.seed + 1, + 2, ..., are the same for neighbouring values of
train.seed, so that runs meant to be independent would share networks.
"""

import numpy as np


def derived(seed: int, role: str) -> int:
    """Return a seed, 0 to 2**63 - 1, for one role under a seed, by numpy's `SeedSequence`.

    Args:
        seed: 0 or more.
        role: what is drawn; every role has seeds of its own.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=tuple(role.encode()))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
