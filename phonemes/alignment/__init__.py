"""From a recording and its text to words and phonemes with times."""
