"""The parts of a start are timed one after the other, in processes of their own."""

import pytest

from benchmarks import first_step

pytestmark = pytest.mark.heavy


def test_the_parts_of_a_start_add_up(project, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["first_step", str(project), "--runs", "1"])
    capsys.readouterr()
    first_step.main()
    table = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, *_ in table] == [*first_step.PARTS, "in all"]
    *parts, total = (float(seconds) for _, seconds in table)
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(total, abs=0.03)


def test_a_start_that_fails_says_why_in_the_words_of_its_process(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("sys.argv", ["first_step", str(tmp_path)])
    with pytest.raises(SystemExit, match=f"no first step in {tmp_path}"):
        first_step.main()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: cannot read params.yaml")
