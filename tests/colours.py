"""How different colours look, to people with and without colour blindness."""

from itertools import combinations

import numpy as np

# what remains of red, green and blue, as light: Machado, Oliveira and Fernandes (2009), "A
# physiologically-based model for simulation of color vision deficiency", severity 1
VISION = {
    "all": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}  # fmt: skip
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)  # fmt: skip
WHITE = XYZ.sum(1)


def light(colour: str) -> np.ndarray:
    """Return the light of a colour, as #1f5fbf: red, green and blue in [0, 1], linear."""
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(linear: np.ndarray) -> np.ndarray:
    """Return a light in CIELAB, in which distances are those that are seen."""
    ratio = XYZ @ linear.clip(0, 1) / WHITE
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def nearest(colours) -> float:
    """Return the distance of the two colours that look most alike to anybody."""
    return min(
        float(np.linalg.norm(lab(np.array(seen) @ light(a)) - lab(np.array(seen) @ light(b))))
        for seen in VISION.values()
        for a, b in combinations(colours, 2)
    )
