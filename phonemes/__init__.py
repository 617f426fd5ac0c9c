"""Frame-level phoneme classification with feed-forward networks.

The library behind the pipeline's stages: arrays in, arrays out. The alphabet
of shapes used by every docstring:

T  frames of one utterance        N  frames of a split
U  utterances of a split          C  coefficients (mel bands) of a frame
k  context frames on each side    W  frames of a window, 2k + 1
B  frames of a batch              P  phonemes
"""
