"""Features and normalization of an exported model are those of the pipeline."""

from dataclasses import replace

import numpy as np
import pytest
from export.toys import FEATURES, STRIDE, WIDTH, base, both_ways, bundle, sounds

from phonemes.errors import InputError
from phonemes.export.check import expected, open_session
from phonemes.export.features import fourier, log_mel
from phonemes.export.graph import Graph, Value
from phonemes.features.log_mel import FeatureParams, mel_filters
from phonemes.features.log_mel import log_mel as of_the_library


def exported(samples, features: FeatureParams):
    """Return the frames of one recording, (T, C), and their number."""
    graph = Graph()
    found = log_mel(graph, "samples", "lengths", features)
    model = graph.model(
        [Value("samples", np.float32, ("B", "S")), Value("lengths", np.int64, ("B",))],
        [Value(found.frames, np.float32, ("B", "T", "C")), Value(found.counts, np.int64, ("B",))],
    )
    session = open_session(model.SerializeToString())
    frames, counts = session.run(None, {"samples": samples[None], "lengths": [len(samples)]})
    return frames[0], counts[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fft": 64},
        {"fft": 100},  # no power of 2
        {"fft": 65, "frame_width": 7.7},
        {"stride": 11, "frame_width": 8},  # samples between frames are skipped
        {"floor": 1.0},
        {"low": 900, "high": 3000, "bands": 3},
    ],
    ids=str,
)
def test_frames_are_those_of_the_library(changes):
    features = replace(FEATURES, **changes)
    (samples,) = sounds(20)
    wanted = of_the_library(samples, features)
    frames, count = exported(samples, features)
    assert count == len(wanted)
    np.testing.assert_allclose(frames, wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", [WIDTH, WIDTH + 1, WIDTH + STRIDE - 1, WIDTH + STRIDE])
def test_a_frame_is_there_as_soon_as_its_samples_are(size):
    frames, count = exported(np.ones(size, np.float32), FEATURES)
    assert len(frames) == count == len(of_the_library(np.ones(size), FEATURES))


@pytest.mark.parametrize("size", [0, 1, WIDTH - 1])
def test_what_is_shorter_than_a_frame_has_none(size):
    frames, count = exported(np.ones(size, np.float32), FEATURES)
    assert count == 0
    assert not frames.any()


def test_bands_beside_a_loud_tone_are_as_exact_as_in_float64(params):
    features = params.features
    times = np.arange(4000) / features.sample_rate
    samples = (0.9 * np.sin(2 * np.pi * 300 * times)).astype(np.float32)
    samples += np.random.default_rng(0).normal(scale=1e-5, size=4000).astype(np.float32)
    width, stride = 400, 160
    windows = np.lib.stride_tricks.sliding_window_view(samples, width)[::stride]
    hann = np.hanning(width + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft((windows * hann).astype(np.float64), features.fft)) ** 2
    wanted = np.log(power @ mel_filters(features).astype(np.float64) + np.float32(features.floor))
    assert np.ptp(wanted, axis=1).min() > 15  # 65 dB
    np.testing.assert_allclose(exported(samples, features)[0], wanted, atol=4e-6, rtol=0)


def test_a_transform_larger_than_any_file_is_refused_before_room_is_made_for_it():
    with pytest.raises(InputError, match=r"constants take 32\.0 GiB or more, .* less than 2; "):
        fourier(Graph(), 65_536, 65_536)


@pytest.mark.parametrize("relevance", [0, 10, 1e9])
@pytest.mark.parametrize("variance", [True, False])
@pytest.mark.parametrize("over", ["utterance", "speaker", "corpus", "none"])
def test_frames_are_normalized_as_by_the_pipeline(over, variance, relevance):
    model = bundle(base(), over=over, variance=variance, relevance=relevance)
    utterances = sounds(1, 4, 50)
    wanted = expected(model, utterances)
    for found, theirs in zip(both_ways(model, utterances), [*wanted, *wanted], strict=True):
        np.testing.assert_allclose(found, theirs, atol=1e-4, rtol=0)


def test_a_constant_recording_is_normalized_with_the_smallest_deviation():
    model = bundle(base(), relevance=0)
    silence = [np.zeros(1000, np.float32)]
    for found in both_ways(model, silence):
        np.testing.assert_allclose(found, expected(model, silence)[0], atol=1e-4)
