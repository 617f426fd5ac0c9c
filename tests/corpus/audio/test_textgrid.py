"""A TextGrid means what Praat's manual says, all of it; a damaged one is an error."""

import re
import time
from importlib.util import find_spec
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonemes.corpus.audio.textgrid import Interval, Tier, read
from phonemes.errors import InputError

needs_praat = pytest.mark.skipif(
    find_spec("parselmouth") is None, reason="parselmouth, to compare with Praat, is not installed"
)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def long_format(tiers):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", "xmax = 1.5"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, _, end, intervals) in enumerate(tiers, 1):
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
    for name, _, end, intervals in tiers:
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
    st.builds(Tier, texts, st.just(0.0), st.just(1.5), st.none() | interval_lists()),
    min_size=1,
    max_size=4,
)
in_both_formats = pytest.mark.parametrize("written", [long_format, short_format])
with_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
EXAMPLE = [
    Tier("phones", 0.0, 1.5, [Interval(0.0, 0.5, ""), Interval(0.5, 1.5, 'say "AA1"! x = 1')]),
    Tier("tones", 0.0, 1.5, None),
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


@needs_praat
@pytest.mark.parametrize("save", ["save_as_text_file", "save_as_short_text_file"])
def test_what_praat_saves_is_read(save, tmp_path):
    import parselmouth

    tiers = [*EXAMPLE, Tier("ʃ", 0.0, 1.5, [Interval(0.0, 1.5, "æ")])]
    assert read_text(tmp_path, long_format(tiers)) == tiers
    grid = parselmouth.Data.read(str(tmp_path / "ä.TextGrid"))
    getattr(grid, save)(str(tmp_path / "saved.TextGrid"))  # as UTF-16, for the letters
    assert read(tmp_path / "saved.TextGrid") == tiers


@needs_praat
@in_both_formats
@with_one_folder
@given(tiers=tiers)
def test_praat_reads_the_same(written, tmp_path, tiers):
    import parselmouth
    from parselmouth.praat import call

    found = read_text(tmp_path, written(tiers))
    grid = parselmouth.Data.read(str(tmp_path / "ä.TextGrid"))
    for number, tier in enumerate(found, 1):
        assert call(grid, "Get tier name", number) == tier.name
        for row, interval in enumerate(tier.intervals or [], 1):
            assert interval == (
                call(grid, "Get start time of interval", number, row),
                call(grid, "Get end time of interval", number, row),
                call(grid, "Get label of interval", number, row),
            )


@needs_praat
@pytest.mark.parametrize(
    "text",
    [
        # the shortest form in Praat's manual, with its comments
        '"ooTextFile"\n"TextGrid"\n0 2.3   ! time domain of TextGrid\n<exists>\n1 tiers\n'
        '"IntervalTier" "Mary" ! type and name of tier 1\n0 2.3   ! time domain of tier 1\n'
        '1 interval coming\n0 2.3 "" ! interval 1 on tier 1\n',
        '"ooTextFile"\n"TextGrid" ! "Table"\n0 1 <exists> 1 "IntervalTier" ! <absent> 8 "x"\n'
        '"a!b" 0 1 2 0 0.5 "x! y" 0.5 1 "!"\n',
        'File type = "ooTextFile" x\rObject class = "TextGrid"\r0 1 <exists>\r1 "IntervalTier" '
        '"phones" 0 1\r1 0 1 "a"\r',
        '  "ooTextFile"\n"TextGrid"\n! "one"\n0\n! 5\n1\n<exists>\n1\n"IntervalTier"\n"p"\n'
        '0\n1\n1\n0\n1\n"say ""a"" b"',
    ],
)
def test_comments_and_free_form_are_read_as_praat_reads_them(text, tmp_path):
    import parselmouth
    from parselmouth.praat import call

    (tier,) = read_text(tmp_path, text)
    grid = parselmouth.Data.read(str(tmp_path / "ä.TextGrid"))
    assert call(grid, "Get tier name", 1) == tier.name
    assert [interval.text for interval in tier.intervals] == [
        call(grid, "Get label of interval", 1, row + 1) for row in range(len(tier.intervals))
    ]
    assert (grid.xmin, grid.xmax) == (tier.start, tier.end)


@pytest.mark.parametrize(("many", "tiers"), [(20_000, 1), (10, 2_000)])
def test_time_grows_with_the_number_of_items_and_tiers(many, tiers, tmp_path):
    def seconds(count):
        intervals = [Interval(float(n), n + 1.0, "AA1") for n in range(many // count)]
        path = tmp_path / f"{count}.TextGrid"
        path.write_text(short_format([Tier("phones", 0.0, 1.5, intervals)] * (tiers // count or 1)))
        started = time.process_time()
        read(path)
        return time.process_time() - started

    fewer = max(min(seconds(4) for _ in range(5)), 1e-3)
    more = many / (many // 4) * tiers / (tiers // 4 or 1)  # times as many intervals
    assert min(seconds(1) for _ in range(5)) < 3 * more * fewer


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    read_text(tmp_path, short_format(EXAMPLE))
    monkeypatch.chdir(tmp_path)
    assert read((tmp_path / "ä.TextGrid").relative_to(tmp_path)) == EXAMPLE


def test_unordered_intervals_are_put_in_order(tmp_path):
    first, second = EXAMPLE[0].intervals
    unordered = [Tier("phones", 0.0, 1.5, [second, first])]
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
        ("xmax = 0.5", "xmax = half", r"line 18: expected a number, found '\"\"'"),
        ("xmax = 0.5", "xmax = 0.5s", r"line 17: '0\.5s' is no number; write it again"),
        ("size = 2\n        intervals", "size = 3\n        intervals", "expected a number, found"),
        ("intervals: size = 2", "intervals: size = 1", "line 20: expected a text in quotes"),
        ("intervals: size = 2", "intervals: size = -2", r"'-2' is no number of items"),
        ("intervals: size = 2", "intervals: size = 999999999", "expected a number, found"),
        ("tiers? <exists>\nsize = 2", "tiers? <exists>\nsize = 1", "line 24: there are more items"),
        ("points: size = 1", "points: size = 0", "more items than it declares"),
        ('"TextTier"', '"PitchTier"', "expected IntervalTier or TextTier, found 'PitchTier'"),
        ("! x", '! "x', "line 22: a quote is not closed, or not doubled"),
        ("ooTextFile", "ooBinaryFile", "no TextGrid in text format; write it with Praat's"),
        ('"TextGrid"', '"Table"', "no TextGrid in text format"),
        ("<exists>", "<absent>", "no TextGrid in text format"),
        ("<exists>", "<Absent>", "no TextGrid in text format"),
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


def test_what_is_no_utf_8_is_taken_for_latin_1_as_praat_does(tmp_path):
    (tier, _) = read_text(tmp_path, short_format(EXAMPLE).replace("AA1", "Ä"), "latin-1")
    assert tier.intervals[1].text == 'say "Ä"! x = 1'
