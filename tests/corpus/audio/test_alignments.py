"""Every frame gets the phone spoken at its time, whatever the format and its names of phones."""

import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonemes.corpus.audio.alignments import RATES, Alignment, frame_labels, read_alignment
from phonemes.corpus.audio.recordings import LAYOUTS
from phonemes.corpus.audio.textgrid import Interval
from phonemes.errors import InputError
from phonemes.inventory import INVENTORIES

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

0 1.5 <exists> 3
"TextTier" "tones" 0 1.5 1
0.7 "H*"
"IntervalTier" "words" 0 1.5 1
0 1.5 "ÄH"
"IntervalTier" "phones" 0 1.5 3
0 0.5 "sil"
0.5 0.9 "AA1"
0.9 1.4 "B"
"""
SPOKEN = [Interval(0.0, 0.5, "sil"), Interval(0.5, 0.9, "AA1"), Interval(0.9, 1.4, "B")]
PHN = "0 8000 h#\n8000 14400 aa\n14400 22400 b\n"
FESTIVAL = (
    "separator ;\nnfields 1\n#\n\t0.5\t26\tpau ; score -3 ;\n 0.9 125 aa\n0.9 125 sp\n1.4 125 b\n"
)
HTS = "0 5000000 pau\n5000000 9000000 x^pau-aa+b=x@1_2/A:0\n9000000 14000000 pau^aa-b+x=x@2\n"


@pytest.fixture
def read(tmp_path):
    """Return what reads the alignment in a file of this content."""

    def read(content, suffix=".TextGrid", tier="phones", rate=16000, encoding="utf-8"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_alignment(path, tier, rate)

    return read


def labels_of(intervals, times, phonemes="arpabet-stress", seconds=1.5, duration=1.5):
    alignment = Alignment([Interval(*interval) for interval in intervals], duration)
    labels = frame_labels(alignment, np.array(times), seconds, phonemes, "a.TextGrid")
    return [INVENTORIES[phonemes][label] for label in labels]


# Formats


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", [".TextGrid", ".textgrid"])
def test_one_tier_of_a_textgrid_is_read(suffix, encoding, read):
    assert read(TEXTGRID, suffix, encoding=encoding) == Alignment(SPOKEN, 1.5)


def test_labels_in_another_encoding_are_an_error(read):
    with pytest.raises(InputError, match=r"a\.phn is not UTF-8.*save it as UTF-8"):
        read(PHN.replace("aa", "ä"), ".phn", encoding="latin-1")


def test_a_byte_order_mark_before_labels_is_no_part_of_them(read):
    assert read(PHN, ".phn", encoding="utf-8-sig") == read(PHN, ".PHN")


@pytest.mark.parametrize("suffix", [".TextGrid", ".PHN", ".lab"])
def test_a_pipe_is_refused_and_not_waited_for(suffix, tmp_path):
    os.mkfifo(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match=rf"cannot read .*a\{suffix}: it is not a file"):
        read_alignment(tmp_path / f"a{suffix}", "phones", 16000)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_alignments_of_every_layout_are_read(layout, read):
    suffix = LAYOUTS[layout].alignment
    examples = {".TextGrid": TEXTGRID, ".PHN": PHN, ".lab": HTS}
    intervals = read(examples[suffix], suffix).intervals
    assert [(start, end) for start, end, _ in intervals] == [(0, 0.5), (0.5, 0.9), (0.9, 1.4)]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*missing\.lab"):
        read_alignment(tmp_path / "missing.lab", "phones", 16000)


@pytest.mark.parametrize("tier", ["phone", "tones"])
def test_a_missing_tier_is_an_error_that_names_the_tiers_there_are(tier, read):
    with pytest.raises(
        InputError, match=rf"no interval tier '{tier}'.*tones \(points\), words, ph"
    ):
        read(TEXTGRID, tier=tier)


def test_phn_counts_samples_at_the_rate_of_the_audio(read):
    timit = [(0.0, 0.5, "h#"), (0.5, 0.9, "aa"), (0.9, 1.4, "b")]
    assert read(PHN, ".phn") == Alignment(timit, rate=16000)
    assert read(PHN, ".phn", rate=8000).intervals[-1].end == 2.8


def test_festival_labels_give_the_ends_after_a_header(read):
    festival = [(0.0, 0.5, "pau"), (0.5, 0.9, "aa"), (0.9, 0.9, "sp"), (0.9, 1.4, "b")]
    assert read(FESTIVAL, ".lab") == Alignment(festival)


def test_hts_labels_count_units_of_100_ns_and_may_carry_context(read):
    assert read(HTS, ".lab") == Alignment([(0.0, 0.5, "pau"), (0.5, 0.9, "aa"), (0.9, 1.4, "b")])


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        (
            "0 8000 h#\n8000 aa\n",
            ".phn",
            r"a\.phn, line 2: expected start, end, phone; got '8000 aa'",
        ),
        ("0 eight h#\n", ".phn", "line 1: expected start, end, phone"),
        ("#\n0.5 125\n", ".lab", "line 2: expected end, code, phone; got '0.5 125'"),
        ("pau\naa\n", ".lab", "line 1: expected start, end, phone"),
        ("", ".phn", r"a\.phn has no phones"),
        ("0 100  h#\n\n50 200 aa\n", ".phn", r"'aa' from 0.003 to 0.013 s follows 0.000 to 0.006"),
        ("0 100 h#\n200 150 aa\n", ".phn", "expected times that rise and do not overlap"),
        ("-500 100 h#\n", ".phn", "expected times that rise"),
        ("#\n0.5 1 aa\n0.4 1 b\n", ".lab", r"'b' from 0.500 to 0.400 s follows"),
    ],
)
def test_a_message_says_what_is_wrong_and_where(text, suffix, message, read):
    with pytest.raises(InputError, match=message):
        read(text, suffix)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5 0.9", "0.4 0.9", r"a\.TextGrid: 'AA1' from 0.400 to 0.900 s follows 0.000 to 0.500"),
        ("0.9 1.4", "0.3 0.4", r"'B' from 0.300 to 0.400 s follows"),
        ("0.5 0.9", "0.9 0.9", "tier 'phones': 'AA1' and 'B' start together, at 0.900 s; keep one"),
        ("0 0.5", "-1 0.5", r"'sil' from -1.000 to 0.500 s follows .*; expected times that rise"),
        ("0.9 1.4", "0.9 --undefined--", "line 12: '--undefined--' is no number"),
        ('3\n0 0.5 "sil"', '2\n0 0.5 "sil"', "more items than it declares"),
        ('3\n0 0.5 "sil"\n0.5 0.9 "AA1"\n0.9 1.4 "B"', '1\n0 1.5 " "', "has no phones"),
    ],
)
def test_a_message_says_what_is_wrong_in_a_textgrid(old, new, message, read):
    assert old in TEXTGRID
    with pytest.raises(InputError, match=message):
        read(TEXTGRID.replace(old, new))


@pytest.mark.parametrize(
    ("names", "tier"),
    [
        (("phones", "words"), "phones"),
        (("s0 - words", "s0 - phones"), "* - phones"),
        (("s?", "s1"), "s?"),  # a name comes before a pattern
        (("[a]", "a"), "[a]"),
        (("Ame\u0301lie - phones", "x"), "Amélie - *"),
    ],
)
def test_a_tier_may_be_given_by_its_name_or_a_pattern(names, tier, read):
    place = next(n for n, name in enumerate(names) if name not in ("words", "s0 - words", "x"))
    text = two_tiers(*names)
    assert read(text, tier=tier).intervals[0].text == str(place)


def two_tiers(first, second):
    """Return a TextGrid of two tiers with one interval each, which tells its place."""
    tiers = [f'"IntervalTier" "{name}" 0 1 1 0 1 "{n}"' for n, name in enumerate((first, second))]
    return "\n".join(['"ooTextFile"', '"TextGrid" 0 1 <exists> 2', *tiers])


@pytest.mark.parametrize(
    ("names", "tier"), [(("phones", "phones"), "phones"), (("a - phones", "b - phones"), "*phones")]
)
def test_two_tiers_that_could_be_meant_are_an_error_that_names_both(names, tier, read):
    first, second = names
    with pytest.raises(InputError, match=rf"2 interval .*: tier 1 '{first}', tier 2 '{second}'; r"):
        read(two_tiers(first, second), tier=tier)


def test_only_the_tier_that_is_used_is_checked(read):
    text = TEXTGRID.replace('1.5 1\n0.7 "H*"', '1.5 3\n0.7 "a"\n0.7 "b"\n9 "c"').replace(
        '"words" 0 1.5 1', '"words" 0 1.5 3\n0 0.5 "x"\n0 0.9 "y"'
    )
    assert read(text) == Alignment(SPOKEN, 1.5)
    with pytest.raises(InputError, match="'x' and 'y' start together"):
        read(text, tier="words")


@pytest.mark.parametrize("origin", [0.04, 5.0, -2.0])
def test_times_of_a_textgrid_count_from_its_own_beginning(origin, read):
    intervals = [(origin, origin + 0.5, "sil"), (origin + 0.5, origin + 1.0, "B")]
    rows = "".join(f'{start} {end} "{text}"\n' for start, end, text in intervals)
    domain = f"{origin} {origin + 1}"
    found = read(
        f'"ooTextFile"\n"TextGrid" {domain} <exists> 1 "IntervalTier" "phones" {domain} 2 {rows}'
    )
    assert found.origin == origin and found.duration == pytest.approx(1.0)
    times = np.array([0.0, 0.49, 0.51, 0.99])
    labels = frame_labels(found, times, 1.0, "arpabet-plain", "a.TextGrid")
    assert [INVENTORIES["arpabet-plain"][label] for label in labels] == ["SIL", "SIL", "B", "B"]


@pytest.mark.parametrize(("origin", "seconds"), [(0.04, 1.04), (5.0, 6.0)])
def test_a_textgrid_that_fits_from_0_only_is_an_error_with_its_reason(origin, seconds):
    alignment = Alignment([Interval(0.0, 1.0, "B")], 1.0, origin)
    message = (
        rf"times run from {origin:.3f} to {seconds:.3f} s, .* from 0 to {seconds:.3f} s; shift"
    )
    with pytest.raises(InputError, match=message):
        frame_labels(alignment, np.array([0.5]), seconds, "timit", "a.TextGrid")


def test_times_rounded_to_milliseconds_do_not_overlap(read):
    assert read("0 1000 h#\n999 2000 aa\n", ".phn", rate=1000).intervals[1].start == 0.999


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        (TEXTGRID, ".TextGrid"),
        (PHN, ".phn"),
        (FESTIVAL, ".lab"),
        (HTS, ".lab"),
    ],
)
def test_damage_is_at_worst_an_input_error(text, suffix, read, data):
    intact = text.encode()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(intact))] * 2)))
    damage = data.draw(
        st.binary() | st.sampled_from([b"-1", b"1e999", b"nan", b'"', b"#\n", b"\0"])
    )
    damaged = data.draw(st.sampled_from([intact[:start] + damage + intact[end:], damage]))
    try:
        alignment = read(damaged, suffix)
        frame_labels(alignment, np.arange(3.0), alignment.intervals[-1].end, "timit", "a.")
    except InputError as error:
        assert "a." in str(error)


# Frames


def test_a_phone_begins_with_its_start_and_ends_before_its_end():
    assert labels_of(SPOKEN, [0, 0.499, 0.5, 0.899, 0.9]) == ["SIL", "SIL", "AA1", "AA1", "B"]


def test_what_no_interval_covers_is_silence():
    spoken = [(0.2, 0.4, "B"), (0.6, 0.8, "D")]
    assert labels_of(spoken, [0.1, 0.3, 0.5, 0.7, 0.9, 1.52]) == [
        "SIL",
        "B",
        "SIL",
        "D",
        "SIL",
        "SIL",
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["sil", "B", "D"])), min_size=1))
def test_frames_agree_with_a_search_through_all_intervals(lengths):
    edges = np.cumsum([0] + [length for length, _ in lengths]) / 4
    spoken = [(a, b, phone) for (a, b), (_, phone) in zip(pairwise(edges), lengths, strict=True)]
    times = np.arange(0, edges[-1], 0.25) + 0.1
    expected = [phone.upper() for time in times for a, b, phone in spoken if a <= time < b]
    assert labels_of(spoken, times, seconds=edges[-1], duration=None) == expected


@pytest.mark.parametrize("gap", [1e-12, 1 / 16000, 0.001])
def test_a_gap_of_rounding_belongs_to_the_phone_before(gap):
    spoken = [(0.0, 0.405, "B"), (0.405 + gap, 1.0, "D")]
    times = [0.405 - 1e-9, 0.405, 0.405 + gap / 2, 0.405 + gap]
    assert labels_of(spoken, times, seconds=1.0, duration=1.0) == ["B", "B", "B", "D"]


def test_a_gap_that_a_frame_can_see_is_silence():
    assert labels_of([(0.0, 0.4, "B"), (0.405, 1.5, "D")], [0.402]) == ["SIL"]


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.5, 3.0, 10.0, 60.0])
def test_samples_of_another_rate_are_an_error_at_any_length(seconds):
    for rate in RATES:
        for other in RATES:
            last = seconds * other / rate  # s, as it seems
            alignment = Alignment([Interval(0.0, last, "b")], rate=rate)
            if other == rate:
                assert frame_labels(alignment, np.array([0.1]), seconds, "timit", "a.PHN")[0] > 0
            else:
                with pytest.raises(InputError, match=f"a.PHN: .*{rate} Hz.*fits samples at"):
                    frame_labels(alignment, np.array([0.1]), seconds, "timit", "a.PHN")


@pytest.mark.parametrize(("seconds", "last"), [(0.4, 0.32), (1.0, 0.8), (2.0, 1.6), (8.0, 7.55)])
def test_timits_unlabelled_end_is_silence(seconds, last):
    alignment = Alignment([Interval(0.0, last, "b")], rate=16000)
    labels = frame_labels(alignment, np.array([0.1, seconds - 0.01]), seconds, "timit", "a.PHN")
    assert [INVENTORIES["timit"][label] for label in labels] == ["b", "h#"]


@pytest.mark.parametrize(
    ("seconds", "duration", "fits"),
    [
        (1.54, 1.5, True),  # rounding
        (1.46, 1.5, True),
        (1.56, 1.5, False),
        (1.44, 1.5, False),
        (1.8, None, True),  # .PHN and .lab end at 1.4 s and do not give the duration
        (2.0, None, False),
        (1.3, None, False),
        (1.43, None, True),
        (1.37, 1.4, True),
    ],
)
def test_an_alignment_must_be_as_long_as_its_recording(seconds, duration, fits):
    if fits:
        assert labels_of(SPOKEN, [1.0], seconds=seconds, duration=duration) == ["B"]
    else:
        with pytest.raises(
            InputError, match=rf"a.TextGrid: .* 1\.[45]00 s long, .* {seconds:.3f} s"
        ):
            labels_of(SPOKEN, [1.0], seconds=seconds, duration=duration)


@pytest.mark.parametrize(
    ("seconds", "last", "duration"),
    [(0.3, 0.27, 0.27), (0.3, 0.33, 0.33), (0.5, 0.3, None), (0.6, 0.4, None), (0.4, 0.43, None)],
)
def test_a_short_recording_leaves_less_room(seconds, last, duration):
    with pytest.raises(InputError, match="do they belong together"):
        labels_of([(0.0, last, "B")], [0.1], seconds=seconds, duration=duration)
