"""Where utterances come from: each module opens one kind of data as a `Source`.

A source hands over utterances as they are; `phonemes.corpus` checks and packs them.
"""
