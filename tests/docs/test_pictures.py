"""The pictures of the documentation show what the code computes and dvc.yaml says now."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
import yaml
from helpers import ROOT

for name in ("soxr", "espeakng_loader"):
    pytest.importorskip(name)

FOLDER = ROOT / "docs/pictures"
NAMES = sorted(path.stem for path in FOLDER.glob("*.svg"))
MOST_BYTES = 62_000
ROUNDED = ("smoothing", "normalization")  # have numbers that another machine may round elsewhere


def texts(path):
    """Return all texts of a picture, in the order they are drawn."""
    return [
        "".join(each.itertext()).strip()
        for each in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_in_git_has_the_texts_that_the_code_draws(name, tmp_path):
    if name == "step":
        pytest.importorskip("triton")
    from docs.generate.pictures import draw

    draw(name, tmp_path / "made.svg")
    drawn, kept = texts(tmp_path / "made.svg"), texts(FOLDER / f"{name}.svg")
    if name in ROUNDED:
        drawn, kept = ([re.sub(r"-?\d+", "0", text) for text in each] for each in (drawn, kept))
    assert drawn == kept, "run `make docs`"


def test_pictures_are_small_and_all_are_shown():
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert set(re.findall(r"\(pictures/(\w+)\.svg\)", pages)) == set(NAMES)
    for name in NAMES:
        assert (FOLDER / f"{name}.svg").stat().st_size < MOST_BYTES, name


@pytest.mark.heavy
def test_a_step_computes_gradients_of_weights_beside_those_that_the_layer_before_waits_for():
    pytest.importorskip("triton")
    from docs.generate.training import traced_step

    steps = traced_step(blocks=3)
    aside = [work.what for work in steps if work.aside]
    assert aside == [*["layer: gradient of its weights"] * 3, "optimizer: other layers"]
    products = [work.what for work in steps if work.kind == "product" and not work.aside]
    assert products == [
        *["layer: product"] * 4,
        *["layer: gradient of its inputs"] * 3,
        "layer: gradient of its weights",  # of the first layer, which nothing runs beside
    ]
    assert [work.kind for work in steps if work.kind == "optimizer"] == ["optimizer"] * 2


@pytest.mark.heavy
def test_a_block_is_copied_before_it_is_needed_and_after_the_one_two_before_was_trained_on():
    from docs.generate.training import traced_blocks

    blocks = traced_blocks(4096, 64)
    assert len(blocks) == 4
    assert (blocks[0].begin, blocks[-1].end) == (0, 64)
    assert [block.end for block in blocks[:-1]] == [block.begin for block in blocks[1:]]
    assert all(block.copied <= block.begin for block in blocks)
    assert all(later.copied >= earlier.begin for earlier, later in pairwise(blocks))


def test_what_passes_between_stages_is_what_dvc_says():
    from docs.generate.stages import SHAPES, passed

    assert passed("corpus", "context") == ["lengths (U,) int64"]
    assert passed("train", "predict") == ["the model"]
    assert "labels (N,) int16" in passed("corpus", "train")
    assert "frames (N, C) float32" not in passed("corpus", "train")  # it takes normalized ones
    with pytest.raises(ValueError, match="corpus takes nothing of predict"):
        passed("predict", "corpus")
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"].values()
    written = [out for stage in stages for out in stage["outs"]]
    assert all(any(path.startswith(out) for out in written) for path in SHAPES)
