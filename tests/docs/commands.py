"""The commands that README and docs/ tell a user to type.

A fenced block of `sh` holds commands, one of `console` those after "$ " and what they print; "..."
there stands for any lines. Spans of code in the text that begin with a program are commands too,
perhaps without what they need: `dvc exp run`.

A block is run in a copy of a small project, unless a comment above says what it needs besides:

    <!-- needs: data -->       files of the user's own (data), gpu, network, minutes, or others
    <!-- output: varies -->    it is run, but what it prints is not compared
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from helpers import ROOT

PAGES = sorted(
    [
        *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md"),  # names what is gone
        *(ROOT / "docs").glob("*.md"),
        ROOT / "phonemes/english/MODEL_CARD.md",
        ROOT / "data/raw/README.md",
    ]
)
PROGRAMS = ("phonemes", "dvc", "make", "python", "pip", "pytest")
FENCED = re.compile(
    r"(?P<comments>(?:^<!--[^\n]*-->\n\n?)*)^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.M | re.S,
)
COMMENT = re.compile(r"<!-- (needs|output): (.*?) -->")
SPAN = re.compile(rf"`((?:{'|'.join(PROGRAMS)})(?: [^`]+)?)`")
SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
ENDS = {";", "&&", "||", "|", "&"}


class Block(NamedTuple):
    """A fenced block of commands."""

    page: str  # its path in the repository
    line: int
    kind: str  # sh or console
    text: str
    needs: tuple[str, ...]  # besides the small project
    compared: bool  # whether what is printed is the same everywhere

    def __str__(self) -> str:
        """Return where it is."""
        return f"{self.page}:{self.line}"

    def runs(self) -> list[tuple[str, str]]:
        """Return each command to run, and what it prints: "..." where that is not said."""
        if self.kind == "sh":
            return [(self.text, "...")]
        joined = self.text.replace("\\\n", "")
        parts = re.split(r"^\$ ", joined, flags=re.M)[1:]
        pairs = [part.partition("\n")[::2] for part in parts]
        return [(command, output if self.compared else "...") for command, output in pairs]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of commands of a page."""
    text = page.read_text("utf-8")
    for found in FENCED.finditer(text):
        if found["kind"] in ("sh", "console"):
            marks = dict(COMMENT.findall(found["comments"]))
            needs = tuple(marks["needs"].split(", ")) if "needs" in marks else ()
            line = text.count("\n", 0, found.start("kind")) + 1
            yield Block(
                page.relative_to(ROOT).as_posix(),
                line,
                found["kind"],
                found["text"],
                needs,
                marks.get("output") != "varies",
            )


def spans(page: Path) -> list[str]:
    """Return the commands in the text of a page, each once."""
    text = FENCED.sub("", page.read_text("utf-8"))
    return [*dict.fromkeys(" ".join(span.split()) for span in SPAN.findall(text))]


def words(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell's text; those of $(...) as commands before."""
    for line in text.replace("\\\n", " ").splitlines():
        while inner := SUBSTITUTION.search(line):
            yield from words(inner[1])
            line = line[: inner.start()] + line[inner.end() :]
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word not in ENDS:
                command.append(word)
            elif command:
                yield without_surroundings(command)
                command = []


def without_surroundings(command: list[str]) -> list[str]:
    """Return a command without redirections and without variables set for it alone."""
    for place, word in enumerate(command):
        if set(word) <= set("<>"):
            command = command[:place]
            break
    while command and re.match(r"[A-Z_]+=", command[0]):
        command = command[1:]
    return command


def matches(expected: str, printed: str) -> bool:
    """Return whether a command printed what is expected, where "..." is any text of whole lines."""
    pattern = "".join(
        "(?:.*\n)*" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", ".*") + "\n"
        for line in expected.rstrip("\n").splitlines()
    )
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is not None
