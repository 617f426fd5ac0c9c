"""The site is built without a warning, works offline, and a broken link would be an error."""

import os
import re
import subprocess
import sys

import pytest
from helpers import ROOT

pytest.importorskip("myst_nb")
pytestmark = pytest.mark.heavy

LOADED = re.compile(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"((?:https?:)?//[^\"]+)\"")
STYLES = re.compile(
    r"<link\b[^>]*\brel=\"(?:stylesheet|preload|icon)\"[^>]*\bhref=\"((?:https?:)?//[^\"]+)"
)
IMPORTED = re.compile(r"(?:url\(|@import )[\"']?https?:")


def build(source, out):
    """Run Sphinx as `make docs` does."""
    command = ["-q", "-W", "--keep-going", "-b", "html", "-c", ROOT / "docs", source, out]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *command], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_site_has_a_page_for_every_page_of_docs_and_begins_at_its_index(site):
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / "docs" / f"{page.stem}.html").exists(), page.name
    assert (site / "docs/transcribe.html").exists()
    assert "url=docs/index.html" in (site / "index.html").read_text("utf-8")


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert LOADED.findall(text) + STYLES.findall(text) == [], page
    for style in site.rglob("*.css"):
        assert (
            re.findall(r"url\([\"']?https?:|@import [\"']?https?:", style.read_text("utf-8")) == []
        )


def test_every_row_of_a_table_belongs_to_one_with_a_heading():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for rows in re.findall(r"(?:^\|.*\n)+", page.read_text("utf-8"), re.M):
            assert re.search(r"\A.*\n(\| ?:?-+:? ?)+\|\n", rows), f"{page.name}: {rows[:80]}"


def test_what_is_broken_is_an_error(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    links = [
        "[a](no_such_page.md)",
        "[a](other.md#no-such-heading)",
        "[a](#nowhere)",
        "![a](no_such_picture.svg)",
        "[right](other.md#other)",
    ]
    toctree = "```{toctree}\nother\n```"
    (docs / "index.md").write_text("\n\n".join(["# Index", *links, toctree]))
    (docs / "other.md").write_text("# Other\n")
    (docs / "alone.md").write_text("# Nothing leads here\n")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode
    found = [line for line in done.stderr.splitlines() if "WARNING" in line]
    for trouble in ("no_such_page", "no-such-heading", "nowhere", "no_such_picture", "alone.md"):
        assert sum(trouble in line for line in found) == 1, done.stderr
    assert len(found) == 5
