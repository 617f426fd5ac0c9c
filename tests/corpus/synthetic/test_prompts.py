"""Prompts are sentences of words with a pronunciation, and none comes twice."""

from itertools import islice

import numpy as np
import pytest

from phonemes.corpus.synthetic.prompts import read_lexicon, write_prompts
from phonemes.inventory import ARPABET_STRESS


@pytest.fixture(scope="module")
def lexicon():
    return read_lexicon()


def prompts(lexicon, seed=1):
    return list(islice(write_prompts(lexicon, np.random.default_rng(seed)), 500))


def test_every_word_of_a_prompt_is_in_the_lexicon(lexicon):
    words = {word for prompt in prompts(lexicon) for clause in prompt for word in clause}
    assert words <= lexicon.keys()


def test_the_lexicon_says_all_phonemes_but_silence_and_noise(lexicon):
    phones = {phone for pronunciation in lexicon.values() for phone in pronunciation}
    assert phones == set(ARPABET_STRESS) - {"SIL", "SPN"}


def test_no_prompt_comes_twice_and_each_has_words(lexicon):
    written = prompts(lexicon)
    assert len(set(written)) == len(written)
    assert all(clause for prompt in written for clause in prompt)


def test_prompts_depend_on_the_seed_alone(lexicon):
    assert prompts(lexicon) == prompts(lexicon) != prompts(lexicon, seed=2)
