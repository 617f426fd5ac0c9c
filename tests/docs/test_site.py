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


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("[a](no_such_page.md)", "no_such_page"),
        ("[a](other.md#no-such-heading)", "no-such-heading"),
        ("[a](#nowhere)", "nowhere"),
        ("![a](pictures/no_such_picture.svg)", "no_such_picture"),
        ("", "isn't included in any toctree"),  # a page that nothing leads to
    ],
)
def test_what_is_broken_is_an_error(text, trouble, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    shown = "" if not text else "other\n"
    (docs / "index.md").write_text(f"# Index\n\n{text}\n\n```{{toctree}}\n{shown}```\n")
    (docs / "other.md").write_text("# Other\n")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode
    assert trouble in done.stderr
