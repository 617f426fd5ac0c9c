"""Names are compared in one form of Unicode."""

import unicodedata

from phonemes.corpus.source import composed


def test_names_are_the_same_in_both_forms_of_unicode():
    name = "Chloé"
    assert composed(unicodedata.normalize("NFD", name)) == composed(name) == name
