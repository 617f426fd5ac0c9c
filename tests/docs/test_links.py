"""Every link to a file of the project, and to a heading in it, leads there on GitHub."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from docs.commands import PAGES
from helpers import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

READER = MarkdownIt("commonmark").enable("table")
LINKING = sorted(
    {
        *PAGES,
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.ipynb"),
        *(ROOT / ".github").rglob("*.md"),
    }
)


def source(page: Path) -> str:
    """Return the Markdown of a page, that of a notebook's cells one after the other."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def inline(text: str) -> Iterator[Token]:
    """Yield what stands in a text's paragraphs, headings and cells."""
    for token in READER.parse(text):
        yield from token.children or []


def targets(text: str) -> list[str]:
    """Return where the links and pictures of a text lead, but for addresses with a scheme."""
    found = [
        str(token.attrs[name]) for token in inline(text) for name in ("href", "src")
        if name in token.attrs
    ]  # fmt: skip
    return [unquote(target) for target in found if not re.match(r"[a-z][a-z+.-]*:", target)]


def anchors(text: str) -> list[str]:
    """Return what GitHub calls the headings of a text in addresses.

    In lower case, without what is neither a letter, digit, "_", "-" nor space; spaces become "-",
    and a second heading of the same name gets "-1".
    """
    tokens, seen, names = READER.parse(text), Counter[str](), []
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            shown = "".join(
                part.content
                for part in heading.children or []
                if part.type in ("text", "code_inline")
            )
            name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            names.append(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return names


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for target in targets(source(page)):
        name, _, part = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (part and part not in anchors(source(file))):
            found.append(target)
    return found


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page):
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "other.md").write_text(
        "# Other `code`, twice?\n\n## Other code twice\n\n## A_b 1.5\n"
    )
    wrong = ["gone.md", "other.md#other", "#nowhere", "gone.png", "other.md#a_b-1.5"]
    right = ["other.md", "other.md#other-code-twice", "other.md#other-code-twice-1", "#here"]
    lines = [f"[a]({target})" for target in [*wrong[:3], *wrong[4:], *right]]
    page = tmp_path / "page.md"
    page.write_text(
        "\n\n".join(["# Here", *lines, "![a](gone.png)", "| [a][b] |\n|---|\n| c |", "[b]: no.md"])
        + "\n\n```sh\n# nowhere\n[a](in_code.md)\n```\n\n[a](https://example.org/x#y)\n"
    )
    assert sorted(broken(page)) == sorted([*wrong, "no.md"])
    assert targets("`[a](code.md)`") == []
