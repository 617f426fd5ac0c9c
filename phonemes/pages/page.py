"""The frame that all pages share: one self-contained document in light and dark."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def environment() -> Environment:
    """Return the templates of this folder; what they are given is escaped."""
    return Environment(
        loader=PackageLoader("phonemes.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def asset(name: str) -> str:
    """Return the text of a file of this folder."""
    return files("phonemes.pages").joinpath(name).read_text("utf-8")


def render(template: str, **values: object) -> str:
    """Return a page: a template of this folder, which extends `page.html`, filled in."""
    return environment().get_template(template).render(theme=asset("theme.css"), **values)
