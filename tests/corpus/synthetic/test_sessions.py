"""Each frame of a spoken sentence has the label of its phone, with pauses and noises around it."""

import numpy as np

from phonemes.corpus.synthetic.espeak import Speech
from phonemes.corpus.synthetic.sessions import add_surroundings, label_frames
from phonemes.inventory import ARPABET_STRESS

RATE = 22_050


def test_a_frame_has_the_label_of_the_phone_at_its_centre():
    speech = Speech(np.zeros(400, np.float32), 100, ("SIL", "AA1", "T"), np.array([0, 100, 250]))
    labels = label_frames(speech, np.array([0.0, 0.99, 1.0, 2.49, 2.5, 3.9]))
    assert [ARPABET_STRESS[label] for label in labels] == ["SIL", "SIL", "AA1", "AA1", "T", "T"]


def test_surroundings_shift_the_phones_with_their_samples():
    tone = np.sin(np.arange(RATE // 2)).astype(np.float32)
    speech = Speech(tone, RATE, ("AA1", "T"), np.array([0, 4000]))
    for seed in range(20):
        longer = add_surroundings(speech, np.random.default_rng(seed))
        start = longer.starts[longer.phones.index("AA1")]
        assert longer.starts[longer.phones.index("T")] == start + 4000
        np.testing.assert_array_equal(longer.samples[start:][: len(speech.samples)], speech.samples)


def test_speech_is_surrounded_by_silence_and_at_times_by_noise():
    speech = Speech(np.ones(RATE, np.float32), RATE, ("AA1",), np.array([0]))
    found = {add_surroundings(speech, np.random.default_rng(seed)).phones for seed in range(40)}
    quiet = ("SIL", "AA1", "SIL")
    assert found == {quiet, ("SIL", "SPN", *quiet), (*quiet, "SPN", "SIL")}
