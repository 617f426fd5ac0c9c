"""Generated frames are written, learnt from to their last, and removed."""

import re

import numpy as np
import pytest

from benchmarks import thousand_hours
from phonemes.storage.frames import FORMS, widened

pytestmark = pytest.mark.heavy

SMALL = "data.k=1 model.hidden=[64,64] train.lr=1e-2 train.kernels=torch"


def test_the_first_and_the_last_frames_are_learnt(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "frames"
    command = f"thousand_hours {folder} --frames 60000 --steps 60 --batch 512 --forms int8".split()
    monkeypatch.setattr("sys.argv", [*command, "--set", SMALL])
    thousand_hours.main()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("60,000 frames as int8: ")
    before, after = map(float, re.search(r"loss (\S+) to (\S+);", line).groups())
    first, last = map(float, re.search(r"frames (\S+), of the last (\S+)$", line).groups())
    assert after < before / 2
    assert min(first, last) > 0.5
    assert not folder.exists()


@pytest.mark.parametrize("form", FORMS)
def test_frames_repeat_the_pool_with_its_labels(tmp_path, monkeypatch, form):
    monkeypatch.setattr(thousand_hours, "POOL", 2_000)
    monkeypatch.setattr(thousand_hours, "LENGTH", 130)
    thousand_hours.write(tmp_path, form, 5_005, 2)
    split = thousand_hours.read(tmp_path)
    assert split.frames.shape == (5_005, 40) and split.frames.dtype == FORMS[form]
    assert len(split.starts) == len(split.labels) == 5_005
    loud = widened(np.array(split.frames), split.scales)[np.arange(5_005), split.labels % 40]
    assert abs(loud.mean() - thousand_hours.LOUD) < 0.2
