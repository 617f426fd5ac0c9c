"""Words and phonemes are found when they are spoken; a text that was not spoken is refused."""

import numpy as np
import pytest
from alignment.toys import STRIDE, acoustics, speech

from phonemes.alignment.align import Clock, Spoken, align
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_PLAIN, TIMIT

CAT = Spoken("Cat", [("K", "AE1", "T")])
EITHER = Spoken("either", [("IY1", "DH", "ER0"), ("AY1", "DH", "ER0")])
THE = Spoken("the", [("DH", "AH0"), ("DH", "AH1"), ("DH", "IY0")])
SAID = [
    ("SIL", 10),
    ("AY1", 12),
    ("DH", 6),
    ("ER0", 9),
    ("SIL", 20),
    ("K", 7),
    ("AE0", 11),
    ("T", 5),
]


def clock(frames: int, start: float = 0.0) -> Clock:
    return Clock(start, STRIDE, frames * STRIDE + 0.015)


def found(words, said=SAID, start=0.0, phonemes=None):
    kind = {} if phonemes is None else {"phonemes": phonemes}
    posteriors = speech(*said, **kind)
    using = acoustics() if phonemes is None else acoustics(phonemes)
    return align(posteriors, words, using, clock(len(posteriors), start))


def test_phonemes_begin_where_they_are_spoken():
    aligned = found([EITHER, CAT])
    assert [(each.label, round(each.start, 6)) for each in aligned.phones] == [
        ("SIL", 0),
        ("AY1", 0.1),
        ("DH", 0.22),
        ("ER0", 0.28),
        ("SIL", 0.37),
        ("K", 0.57),
        ("AE1", 0.64),  # as the dictionary has it, whatever stress was heard
        ("T", 0.75),
    ]
    assert aligned.misfit == ""


def test_phonemes_follow_each_other_and_fill_the_recording():
    phones = found([EITHER, CAT]).phones
    assert phones[0].start == 0
    assert phones[-1].end == pytest.approx(0.8 + 0.015)
    assert [one.end for one in phones[:-1]] == [two.start for two in phones[1:]]


def test_words_are_as_written_with_their_times_and_nothing_between_them():
    assert [
        (each.label, *map(float, np.round(each[:2], 6))) for each in found([EITHER, CAT]).words
    ] == [
        ("either", 0.1, 0.37),
        ("Cat", 0.57, 0.815),
    ]


def test_the_same_word_twice_is_two_words():
    said = [("K", 7), ("AE1", 9), ("T", 6)] * 2
    assert [round(each.start, 6) for each in found([CAT, CAT], said).words] == [0, 0.22]


def test_confidence_is_the_mean_posterior_of_the_class():
    aligned = found([CAT], [("K", 7), ("AE1", 9), ("T", 6)])
    vowel = 0.9 + 2 * 0.1 / 70  # with its other stresses
    assert [each.confidence for each in aligned.phones] == pytest.approx(
        [0.9, vowel, 0.9], abs=1e-5
    )
    assert aligned.words[0].confidence == pytest.approx((13 * 0.9 + 9 * vowel) / 22, abs=1e-5)


def test_a_network_without_stress_gives_phonemes_without():
    said = [("SIL", 9), ("K", 7), ("AE", 9), ("T", 6)]
    aligned = found([CAT], said, phonemes=ARPABET_PLAIN)
    assert [each.label for each in aligned.phones] == ["SIL", "K", "AE", "T"]


def test_a_network_of_timit_gives_arpabet():
    said = [("h#", 9), ("kcl", 5), ("k", 3), ("ae", 9), ("tcl", 4), ("t", 3), ("h#", 5)]
    aligned = found([CAT], said, phonemes=TIMIT)
    assert [(each.label, round(each.start, 6)) for each in aligned.phones] == [
        ("SIL", 0), ("K", 0.09), ("AE", 0.17), ("T", 0.26), ("SIL", 0.33),
    ]  # fmt: skip


def test_the_first_frame_may_stand_for_a_later_time():
    phones = found([EITHER, CAT], start=0.0075).phones
    assert [round(each.start, 6) for each in phones[:3]] == [0, 0.1075, 0.2275]


def test_noise_beside_words_is_none_of_them():
    said = [("SIL", 9), ("SPN", 30), ("SIL", 5), ("K", 7), ("AE1", 9), ("T", 6), ("SPN", 20)]
    aligned = found([CAT], said)
    assert [each.label for each in aligned.phones] == ["SIL", "SPN", "SIL", "K", "AE1", "T", "SPN"]
    assert aligned.misfit == ""


def test_a_recording_that_is_too_short_is_refused_with_numbers():
    with pytest.raises(InputError, match=r"0\.04 s are 2 frames, and its 2 words have 5 phonemes"):
        found([THE, CAT], [("K", 2)])


def test_another_text_does_not_fit_from_its_first_word_on():
    dog = Spoken("dog", [("D", "AO1", "G")])
    assert found([dog, THE]).misfit.startswith("from word 1, 'dog', at ")


def test_words_that_were_not_said_are_named_with_their_time():
    many = [EITHER, *[Spoken(f"zoo{n}", [("Z", "UW1", "Z", "UW1")]) for n in range(6)], CAT]
    misfit = found(many).misfit
    assert misfit.startswith("from word 2, 'zoo0', at 0.")
    assert 0.25 < float(misfit.split(" at ")[1].split()[0]) < 0.6


def test_words_that_the_text_lacks_are_named_by_the_word_where_they_were_said():
    more = [("F", 40), ("UW1", 60), ("F", 50), ("UW1", 60), ("SH", 50), ("OY1", 80)]
    misfit = found([EITHER, CAT], [*SAID[:4], *more, *SAID[4:]]).misfit
    assert misfit.startswith(("from word 1, 'either', at 0.2", "after word 1, 'either', at 0.3"))
    before = found([CAT], [*more, *SAID[4:]]).misfit
    assert before.startswith(("before word 1, 'Cat', at 0.00 s", "from word 1, 'Cat', at 0.00 s"))


def test_a_phoneme_that_the_model_lacks_is_named():
    with pytest.raises(InputError, match=r"^the model has no phoneme AE1, as in 'Cat'$"):
        found([CAT], [("SIL", 20)], phonemes=("SIL", "K", "T"))


def test_a_vowel_without_stress_is_refused_where_vowels_are_named_with_it():
    with pytest.raises(InputError, match=r"the vowel AE of 'Cat' has no stress.*AE0, AE1 or AE2"):
        found([Spoken("Cat", [("K", "AE", "T")])])
