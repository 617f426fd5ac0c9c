from importlib.resources import files

import pytest
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
