"""`phonemes report` writes one page, of the workspace or of revisions, or nothing."""

import pytest
from click.testing import CliRunner
from pages.report.made import Made, write_run

from phonemes.commands.report import report
from phonemes.errors import InputError
from phonemes.storage.layout import TABLES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder with a run."""
    write_run(Made(utterances=6), tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(report, arguments, catch_exceptions=False)


def test_without_revision_the_page_is_of_the_workspace(folder):
    result = call()
    page = (folder / "report.html").read_text("utf-8")
    assert (
        result.output
        == f"report.html: {len(page.encode()) / 1e6:.1f} MB; next: open it in a browser\n"
    )
    assert "<h1>Report of workspace</h1>" in page


def test_two_revisions_are_compared(folder):
    call("workspace", "workspace", "--out", "both.html")
    assert "<h1>workspace compared with workspace</h1>" in (folder / "both.html").read_text("utf-8")
    assert not (folder / "report.html").exists()


def test_three_revisions_are_refused(folder):
    with pytest.raises(InputError, match="3 revisions are given; expected two at most"):
        call("a", "b", "c")


def test_after_an_error_the_page_of_before_is_there(folder):
    (folder / "report.html").write_text("before")
    (TABLES / "dev/boundaries.csv").write_text("x")
    with pytest.raises(InputError, match=r"boundaries\.csv of workspace is damaged"):
        call()
    assert (folder / "report.html").read_text() == "before"
    assert {path.name for path in folder.glob("*.html")} == {"report.html"}
