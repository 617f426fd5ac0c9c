"""An exported model is compared with torch, and refused where it differs."""

import numpy as np
import pytest
from export.toys import FEATURES, K, base, bundle, stacked

from phonemes.errors import InputError
from phonemes.export.check import TOLERANCE, check, difference, generated
from phonemes.export.model import onnx_model


def content(given):
    return onnx_model(given).SerializeToString()


@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
def test_a_model_that_agrees_is_taken(features):
    given = bundle(base(target_context=1), stacked=[stacked()], features=features)
    found = check(content(given), given)
    assert 0 < found.difference < TOLERANCE / 10
    assert found.lengths == (1, 2, K + 1, 2 * K + 40)


def test_sounds_of_the_check_are_loud_and_quiet():
    *_, sound = generated(bundle())
    levels = [part.std() for part in np.array_split(sound, 5)]
    assert np.abs(sound).max() == pytest.approx(1, abs=1e-4)
    assert max(levels) > 4 * min(levels)


@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
@pytest.mark.parametrize(
    "other",
    [{"padding": "edge"}, {"relevance": 11.0}, {"over": "corpus"}, {"variance": False}],
    ids=str,
)
def test_a_model_that_differs_is_refused(features, other):
    with pytest.raises(InputError) as refused:
        check(content(bundle(features=features, **other)), bundle(features=features))
    message = str(refused.value)
    assert message.startswith("the model cannot be exported: its log posteriors would differ by ")
    assert "from those of torch, more than 0.0001: " in message


def test_a_small_change_of_one_weight_is_seen():
    given, other = base(hidden=(4, 4)), base(hidden=(4, 4))
    other.network[-1].bias.data[2] += 0.001
    with pytest.raises(InputError, match="would differ by"):
        check(content(bundle(other)), bundle(given))


def test_posteriors_that_are_no_numbers_are_refused():
    broken = base()
    broken.network[0].weight.data[:] = 3e38
    with pytest.raises(InputError, match="would differ by nan"):
        check(content(bundle(broken)), bundle(broken))


def test_the_largest_difference_is_that_of_any_utterance():
    ones = [np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)]
    others = [ones[0], ones[1] + np.float32(0.25)]
    assert difference(ones, others) == 0.25
    assert np.isnan(difference(ones, [ones[0], ones[1] * np.nan]))
    infinite = [ones[0], ones[1] * -np.inf]
    assert np.isnan(difference(infinite, infinite))
