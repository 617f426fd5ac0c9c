"""A TextGrid means what Praat reads from it, all of it; a damaged one is an error."""

import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonemes.corpus.audio.textgrid import Interval, Tier, read
from phonemes.errors import InputError

parselmouth = pytest.importorskip("parselmouth")


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def long_format(tiers):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", "xmax = 1.5"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, end, intervals) in enumerate(tiers, 1):
        kind, items = ("TextTier", "points") if intervals is None else ("IntervalTier", "intervals")
        lines += [f"    item [{number}]:", f'        class = "{kind}"']
        lines += [f"        name = {quoted(name)}", "        xmin = 0", f"        xmax = {end!r}"]
        lines += [f"        {items}: size = {1 if intervals is None else len(intervals)}"]
        if intervals is None:
            lines += ["        points [1]:", "            number = 0.5", '            mark = "H*"']
        for row, (start, stop, text) in enumerate(intervals or [], 1):
            lines += [f"        intervals [{row}]:", f"            xmin = {start!r}"]
            lines += [f"            xmax = {stop!r}", f"            text = {quoted(text)}"]
    return "\n".join(lines) + "\n"


def short_format(tiers):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "1.5", "<exists>"]
    lines += [str(len(tiers))]
    for name, end, intervals in tiers:
        kind = "TextTier" if intervals is None else "IntervalTier"
        lines += [f'"{kind}"', quoted(name), "0", repr(end)]
        lines += ["1", "0.5", '"H*"'] if intervals is None else [str(len(intervals))]
        for start, stop, text in intervals or []:
            lines += [repr(start), repr(stop), quoted(text)]
    return "\n".join(lines) + "\n"


@st.composite
def interval_lists(draw):
    """Draw intervals that start one after the other, with gaps or not; Praat writes 1e-17 too."""
    times = st.floats(0, 1e4) | st.floats(0, 1e-9)
    edges = sorted(draw(st.lists(times, min_size=2, max_size=6, unique=True)))
    return [
        Interval(start, draw(st.floats(start, end)), draw(texts)) for start, end in pairwise(edges)
    ]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from('\t\n"?<!'))
tiers = st.lists(
    st.builds(Tier, texts, st.just(1.5), st.none() | interval_lists()), min_size=1, max_size=4
)
in_both_formats = pytest.mark.parametrize("written", [long_format, short_format])
with_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
EXAMPLE = [
    Tier("phones", 1.5, [Interval(0.0, 0.5, ""), Interval(0.5, 1.5, 'say "AA1"! x = 1')]),
    Tier("tones", 1.5, None),
]


def read_text(folder, content, encoding="utf-8"):
    path = folder / "ä.TextGrid"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return read(path)


# What is read


@in_both_formats
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@with_one_folder
@given(tiers=tiers)
def test_what_is_written_is_read(written, encoding, tmp_path, tiers):
    assert read_text(tmp_path, written(tiers), encoding) == tiers


@in_both_formats
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("<exists>", "<exists> ! two tiers follow: 3 4"),
        lambda text: text.replace('"ooTextFile"', '"ooTextFile short"'),
        lambda text: re.sub(r"\b0\.5\b", "5e-1", text),
    ],
)
def test_lines_and_comments_do_not_matter(written, change, tmp_path):
    assert read_text(tmp_path, change(written(EXAMPLE))) == EXAMPLE


@pytest.mark.parametrize("save", ["save_as_text_file", "save_as_short_text_file"])
def test_what_praat_saves_is_read(save, tmp_path):
    read_text(tmp_path, long_format([*EXAMPLE, Tier("ʃ", 1.5, [Interval(0.0, 1.5, "æ")])]))
    grid = parselmouth.Data.read(str(tmp_path / "ä.TextGrid"))
    getattr(grid, save)(str(tmp_path / "saved.TextGrid"))  # as UTF-16, for the letters
    assert read(tmp_path / "saved.TextGrid") == read(tmp_path / "ä.TextGrid")


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    read_text(tmp_path, short_format(EXAMPLE))
    monkeypatch.chdir(tmp_path)
    assert read((tmp_path / "ä.TextGrid").relative_to(tmp_path)) == EXAMPLE


def test_unordered_intervals_are_put_in_order(tmp_path):
    first, second = EXAMPLE[0].intervals
    unordered = [Tier("phones", 1.5, [second, first])]
    assert read_text(tmp_path, short_format(unordered)) == EXAMPLE[:1]


# What is refused


@in_both_formats
@with_one_folder
@given(data=st.data())
def test_a_truncated_file_is_an_error(written, tmp_path, data):
    text = written(EXAMPLE).rstrip("\n")
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(InputError, match=r"ä\.TextGrid"):
        read_text(tmp_path, text[:cut])


@in_both_formats
@settings(with_one_folder, max_examples=200)
@given(data=st.data())
def test_damage_is_at_worst_an_input_error(written, tmp_path, data):
    intact = written(EXAMPLE).encode(data.draw(st.sampled_from(["utf-8", "utf-16"])))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(intact))] * 2)))
    end = data.draw(st.sampled_from([start, min(start + 4, len(intact)), end]))
    words = [b"-1", b"1e999", b"99999999", b"nan", b'"', b'""', b"<absent>", b"\0", b"\xff"]
    damage = data.draw(st.binary() | st.sampled_from(words))
    try:
        read_text(tmp_path, intact[:start] + damage + intact[end:])
    except InputError as error:
        assert "ä.TextGrid" in str(error)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("xmax = 0.5", "xmax = half", r"cannot read .*ä\.TextGrid: Found a string while looking"),
        ("xmax = 0.5", "xmax = -1", r"Wrong xmin 0 and xmax -1; write it again"),
        ("size = 2\n        intervals", "size = 3\n        intervals", "cannot read"),
        ("intervals: size = 2", "intervals: size = 1", "cannot read"),
        ("tiers? <exists>\nsize = 2", "tiers? <exists>\nsize = 1", "does not read all of its te"),
        ("points: size = 1", "points: size = 0", "more than the file declares"),
        ("xmin = 0.5", "xmin = 0.0", "do items of a tier start together"),
        ('"TextTier"', '"PitchTier"', "cannot read"),
        ("ooTextFile", "ooBinaryFile", "no TextGrid in text format; write it with Praat's"),
        ('"TextGrid"', '"Table"', "no TextGrid in text format"),
        ("<exists>", "<absent>", "no TextGrid in text format"),  # crashes Praat
        ("<exists>", "<Absent>", "no TextGrid in text format"),
        ("say", "say\0", r"Ignored 1 null bytes .* write it again as UTF-8"),
    ],
)
def test_messages_name_the_file_and_what_is_wrong(old, new, message, tmp_path):
    text = long_format(EXAMPLE)
    assert old in text
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, text.replace(old, new, 1))


@pytest.mark.parametrize("content", [b"", b"not a TextGrid", b"RIFF\0\0\0\0WAVEfmt "])
def test_what_is_no_textgrid_is_an_error(content, tmp_path):
    with pytest.raises(InputError, match=r"ä\.TextGrid is no TextGrid in text format"):
        read_text(tmp_path, content)


def test_utf_16_without_a_byte_order_mark_is_an_error(tmp_path):
    with pytest.raises(InputError, match="is no TextGrid in text format"):
        read_text(tmp_path, long_format(EXAMPLE), "utf-16-le")


@pytest.mark.parametrize("name", ["missing.TextGrid", "."])
def test_a_file_that_cannot_be_opened_is_named(name, tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*"):
        read(tmp_path / name)


def test_a_text_beyond_unicode_is_an_error(tmp_path):
    text = short_format(EXAMPLE).encode().replace(b"AA1", b"\xf4\xa6\x80\x80")
    with pytest.raises(InputError, match=r"cannot read .*ä\.TextGrid: .*can't decode bytes"):
        read_text(tmp_path, text)
