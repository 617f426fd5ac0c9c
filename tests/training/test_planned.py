"""The networks of a training are known before it starts, and refused where they are too large."""

from dataclasses import replace

import pytest
from helpers import changed

from phonemes.errors import InputError
from phonemes.model.size import parameter_count
from phonemes.training.planned import plan_networks, require_size

BANDS, CLASSES = 4, 3
SINGLE = 12 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3  # of `tiny`: a window of 3 frames, blocks of 8 and 6
STACKED = 5 * 8 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3  # over 5 frames of 3 posteriors and 5 zeros


@pytest.fixture
def stacking(params):
    return replace(params.stacking, folds=4, networks=3)


def refused(params, stacking, limit) -> str:
    with pytest.raises(InputError) as refusal:
        require_size(changed(params, model={"max_parameters": limit}), stacking, BANDS, CLASSES)
    return str(refusal.value)


def test_without_stacking_there_is_one_network(params):
    planned = plan_networks(params.fit, params.stacking, BANDS, CLASSES)
    assert (len(planned.base), len(planned.stacked)) == (1, 0)
    assert planned.parameters == SINGLE


def test_with_stacking_every_base_and_every_stacked_network_counts(params, stacking):
    planned = plan_networks(params.fit, stacking, BANDS, CLASSES)
    assert (len(planned.base), len(planned.stacked)) == (5, 3)
    assert parameter_count(planned.stacked) == 3 * STACKED
    assert planned.parameters == 5 * SINGLE + 3 * STACKED


def test_as_many_parameters_as_the_limit_are_taken_and_one_more_is_refused(params):
    for limit in (0, SINGLE, SINGLE + 1):
        fit = changed(params.fit, model={"max_parameters": limit})
        require_size(fit, params.stacking, BANDS, CLASSES)
    assert refused(params.fit, params.stacking, SINGLE - 1).startswith(
        f"the model would have {SINGLE} parameters; model.max_parameters is {SINGLE - 1}; "
        "most are 104 in linear 12 -> 8, 54 in linear 8 -> 6, 21 in linear 6 -> 3; "
    )


def test_widths_that_fit_are_suggested(params):
    fit = changed(params.fit, model={"hidden": (64, 64), "norm": "batch"})
    message = refused(fit, params.stacking, 4_000)
    assert message.endswith(
        "set model.hidden to [48, 48], which fits, or set model.max_parameters to 0, "
        "which is no limit"
    )
    fit = changed(fit, model={"hidden": (48, 48), "max_parameters": 4_000})
    require_size(fit, params.stacking, BANDS, CLASSES)


def test_layers_alike_are_named_once(params):
    fit = changed(params.fit, model={"hidden": (8, 8, 8)})
    assert "144 in 2 x linear 8 -> 8" in refused(fit, params.stacking, 200)


def test_stacking_is_to_be_dropped_where_one_network_would_fit(params, stacking):
    assert (
        f"{5 * SINGLE + 3 * STACKED:,} parameters in 5 base and 3 stacked networks; "
    ) in refused(params.fit, stacking, 1_000)
    assert "set stacking.folds to 0, which leaves one network, or set model.max" in refused(
        params.fit, stacking, SINGLE
    )


def test_else_all_networks_are_to_be_narrower(params, stacking):
    message = refused(params.fit, replace(stacking, folds=2, networks=1), SINGLE - 1)
    assert "; set model.hidden to [" in message
    assert "] and stacking.hidden to [" in message


def test_where_no_width_fits_it_says_what_parameters_depend_on(params):
    assert refused(params.fit, params.stacking, 5).endswith(
        "linear 6 -> 3; lower model.hidden, data.k or model.target_context, or set "
        "model.max_parameters to 0, which is no limit"
    )
