"""A network's phonemes are classes of ARPAbet without stress, whose posteriors add up."""

import numpy as np
import pytest
from alignment.toys import acoustics, phone_model, speech

from phonemes.alignment.acoustics import LEAST_POSTERIOR, PRIOR_SCALE, acoustics_of
from phonemes.decoding.phone_model import PhoneModel
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, TIMIT


def test_stressed_and_unstressed_vowels_are_one_class():
    found = acoustics(ARPABET_STRESS)
    assert sorted(found.classes) == sorted([*ARPABET_PLAIN, "SPN"])
    assert found.stress
    assert found.pauses == ("SIL", "SPN")
    labels = found.labels
    assert labels["AA0"] == labels["AA1"] == labels["AA"] == found.classes.index("AA")


def test_a_network_without_stress_has_no_noise_between_words():
    found = acoustics(ARPABET_PLAIN)
    assert found.classes == ARPABET_PLAIN
    assert not found.stress
    assert found.pauses == ("SIL",)
    assert "SPN" not in found.labels


def test_closure_and_burst_of_a_stop_are_one_class_of_timit():
    found = acoustics(TIMIT)
    assert {*found.classes} == {*ARPABET_PLAIN}
    members = {
        name: [TIMIT[row] for row in np.flatnonzero(found.members[:, found.labels[name]])]
        for name in ("P", "T", "SIL", "AH", "ZH", "AO")
    }
    assert members == {
        "P": ["p", "pcl"],
        "T": ["dx", "t", "tcl"],
        "SIL": ["h#", "epi", "pau", "q"],
        "AH": ["ah", "ax", "ax-h"],
        "ZH": ["zh"],
        "AO": ["ao"],
    }


@pytest.mark.parametrize(
    ("phonemes", "shown"),
    [
        (("SIL", "a:", "b:"), "3 are others, such as a:, b:: "),
        (("AA", "B"), "2 are others, such as AA"),
    ],
)
def test_other_inventories_are_refused_with_some_of_their_names(phonemes, shown):
    with pytest.raises(InputError, match=f"phonemes of ARPAbet or TIMIT; the model's {shown}"):
        acoustics_of(phonemes, phone_model(len(phonemes)))


def test_posteriors_of_a_class_add_up():
    found = acoustics(ARPABET_STRESS)
    both = np.logaddexp(speech(("AA0", 1)), speech(("AA1", 1))) - np.log(2)
    aa = np.exp(found.log_posteriors(both))[0, found.labels["AA"]]
    assert aa == pytest.approx(0.9 / 2 + 0.9 / 2 + 0.1 / 70 * 2, abs=1e-5)
    assert np.exp(found.log_posteriors(both)).sum() == pytest.approx(1, abs=1e-5)


def test_no_class_is_impossible_in_a_frame():
    sure = speech(("AA0", 1), sure=1 - 1e-12)
    least = acoustics(ARPABET_STRESS).log_posteriors(sure).min()
    assert least == pytest.approx(np.log(LEAST_POSTERIOR))


def test_a_class_is_as_frequent_as_its_phonemes_and_left_as_often_on_average():
    phonemes = ("SIL", "AA0", "AA1", "B")
    model = PhoneModel(
        np.full(4, 0.25),
        phone_model(4).histories,
        np.array([[0.1, 0.2, 0.4, 0.3]] * 3),
        np.array([0.4, 0.3, 0.1, 0.2]),
    )
    found = acoustics_of(phonemes, model)
    assert found.classes == ("SIL", "AA", "B")
    np.testing.assert_allclose(np.exp(found.log_prior), [0.4, 0.4, 0.2], rtol=1e-6)
    aa = (0.3 * 0.2 + 0.1 * 0.4) / 0.4
    np.testing.assert_allclose(np.exp(found.durations.leaving), [[0.1, aa, 0.3]] * 3, rtol=1e-6)
    np.testing.assert_allclose(np.exp(found.durations.staying), [[0.9, 1 - aa, 0.7]] * 3, rtol=1e-6)
    np.testing.assert_allclose(
        found.scores(np.zeros((2, 3), np.float32)), -PRIOR_SCALE * np.log([[0.4, 0.4, 0.2]] * 2),
        rtol=1e-6,
    )  # fmt: skip
