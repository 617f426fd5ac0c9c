"""How the kernels share out a batch; found by trying, on an H100."""

from typing import NamedTuple

import triton

LARGE = 8192  # rows of a batch from which on other tiles are faster


class Tile(NamedTuple):
    """What a program of a kernel goes through."""

    rows: int
    columns: int
    warps: int
    repeats: int  # tiles, one below the other; 0: as many as there are in a part of the rows


class Tiles(NamedTuple):
    """Tiles of the kernels of normalization."""

    parts: int  # into which the rows are divided for sums over them
    moments: Tile
    forward: Tile
    gradient_sums: Tile
    backward: Tile


SMALL_TILES = Tiles(
    16, Tile(32, 32, 2, 0), Tile(32, 64, 2, 1), Tile(64, 64, 4, 0), Tile(32, 64, 2, 1)
)
LARGE_TILES = Tiles(
    32, Tile(256, 32, 8, 0), Tile(64, 64, 4, 1), Tile(128, 32, 4, 0), Tile(64, 64, 4, 1)
)


def tiles_for(batch: int) -> Tiles:
    """Return the tiles for a batch of so many rows."""
    return LARGE_TILES if batch >= LARGE else SMALL_TILES


def grid(tile: Tile, parts: int, rows: int, columns: int) -> tuple[tuple[int, int], dict[str, int]]:
    """Return the programs of a kernel over rows and columns, and its constants."""
    part = tile.rows * tile.repeats
    if not part:
        part = triton.cdiv(triton.cdiv(rows, parts), tile.rows) * tile.rows
    programs = triton.cdiv(rows, part) if tile.repeats else parts
    constants = {"PART": part, "R": tile.rows, "C": tile.columns, "num_warps": tile.warps}
    return (triton.cdiv(columns, tile.columns), programs), constants
