"""Pages need no network, and look as their style says."""

import re
from importlib.resources import files

import pytest
from colours import nearest
from jinja2 import UndefinedError

from phonemes.pages.page import render


def test_a_page_needs_no_other_file_and_escapes_what_it_shows():
    page = render("page.html", title="<script>alert(1)</script>")
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page and "src=" not in page and "url(" not in page


def test_a_page_without_one_of_its_values_is_an_error():
    with pytest.raises(UndefinedError):
        render("page.html")


def test_pages_are_part_of_the_package():
    assert files("phonemes.pages").joinpath("theme.css").is_file()


PAGES = ("report.html", "report_parts.html", "comparison.html", "search.html", "recording.html")
NAMED = re.compile(r'class="([^"]*)"')
WITHOUT_LOOK = {"agreement"}  # by which tests find it


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_calls_by_a_class_has_a_look(name):
    folder = files("phonemes.pages")
    names = ("theme.css", "report.css", "recording.css")
    styles = "".join(folder.joinpath(each).read_text("utf-8") for each in names)
    page = re.sub(r"{{.*?}}|{%.*?%}", " ", folder.joinpath(name).read_text("utf-8"))
    classes = {word for found in NAMED.findall(page) for word in found.split()}
    assert {each for each in classes if not re.search(rf"\.{each}\b", styles)} <= WITHOUT_LOOK


def test_better_and_worse_look_different_to_everybody():
    theme = files("phonemes.pages").joinpath("theme.css").read_text("utf-8")
    good, bad = (re.findall(rf"--{each}: (#\w+);", theme) for each in ("good", "bad"))
    assert [nearest(pair) > 40 for pair in zip(good, bad, strict=True)] == [True, True]
    assert nearest(["#1a7f4b", "#b3261e"]) < 20  # green and red
