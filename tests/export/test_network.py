"""Every network that can be configured gives, exported, what it gives in torch."""

import itertools

import numpy as np
import pytest
from export.toys import CLASSES, FEATURES, base, both_ways, bundle, frames, session, sounds, stacked
from torch import nn

from phonemes.errors import InputError
from phonemes.export.check import expected, run
from phonemes.export.graph import Graph
from phonemes.export.network import applied
from phonemes.model.architecture import ACTIVATIONS, NORMS

COUNTS = (1, 2, 3, 5, 23)  # frames, of a window up to 7
CHOICES = [
    *({"activation": each} for each in ACTIVATIONS),
    *(
        {"norm": norm, "norm_position": position, "activation": "gelu"}
        for norm, position in itertools.product(NORMS, ("before", "after"))
    ),
    {"pooling": (1, 2)},
    {"pooling": (3,), "norm": "none"},
    {"hidden": (8,) * 3, "residual": True},
    {"hidden": (8,) * 5, "residual": True, "norm_position": "after", "activation": "silu"},
    {"hidden": (8,) * 3, "residual": True, "norm": "layer"},
    *({"target_context": n} for n in (1, 4, 30)),
    {"hidden": (9,) * 5, "residual": True, "pooling": (1, 2), "target_context": 2},
]


def require_agreement(model, utterances):
    """Compare an exported model, utterances alone and side by side, with torch."""
    wanted = expected(model, utterances)
    for found, theirs in zip(both_ways(model, utterances), [*wanted, *wanted], strict=True):
        np.testing.assert_allclose(found, theirs, atol=1e-4, rtol=0)
    assert wanted[-1].std(0).min() > 1e-3  # frames differ


@pytest.mark.parametrize("padding", ["zero", "edge"])
@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_every_architecture_gives_what_it_gives_in_torch(choices, padding):
    require_agreement(bundle(base(**choices), features=None, padding=padding), frames(*COUNTS))


@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_several_networks_give_the_mean_of_their_posteriors(features, padding):
    networks = [base(1), base(2, target_context=2), base(3, pooling=(2,), activation="tanh")]
    model = bundle(*networks, features=features, padding=padding)
    require_agreement(model, (sounds if features else frames)(*COUNTS))


@pytest.mark.parametrize("features", [FEATURES, None], ids=["samples", "frames"])
def test_stacked_networks_see_the_posteriors_of_base_networks(features):
    above = [stacked(4), stacked(5, target_context=1, activation="gelu")]
    model = bundle(base(1), base(2), stacked=above, features=features, padding="edge")
    require_agreement(model, (sounds if features else frames)(*COUNTS))


@pytest.mark.parametrize("count", [1, 64])
def test_a_batch_gives_what_its_utterances_give(count):
    model = bundle(base(target_context=2), stacked=[stacked()])
    utterances = sounds(*(1 + 7 * number % 40 for number in range(count)))
    together = run(session(model), utterances)
    assert [len(each) for each in together] == [len(each) for each in expected(model, utterances)]
    for found, wanted in zip(together, expected(model, utterances), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_posteriors_add_up_to_1():
    (found,) = run(session(bundle()), sounds(9))
    assert found.shape == (9, CLASSES)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-5)


def test_a_layer_that_is_not_known_is_refused():
    with pytest.raises(InputError, match=r"cannot be exported: no operator .* for Hardswish\(\)"):
        applied(Graph(), nn.Hardswish(), "rows")
