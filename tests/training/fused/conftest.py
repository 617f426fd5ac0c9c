"""Small tiles for all tests of the fused step."""

import pytest


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Share out tiny batches to several programs of a kernel."""
    from phonemes.training.fused.tiles import Tile, Tiles  # needs Triton

    sums, rows = Tile(16, 16, 1, 0), Tile(16, 16, 1, 1)
    package = "phonemes.training.fused"
    monkeypatch.setattr(f"{package}.tiles.SMALL_TILES", Tiles(2, sums, rows, sums, rows))
    monkeypatch.setattr(f"{package}.loss.PARTS", 4)
    monkeypatch.setattr(f"{package}.loss.TILE", 4)
    monkeypatch.setattr(f"{package}.gather.TILE", (16, 8))
    monkeypatch.setattr(f"{package}.optimizer.TILE", 512)
