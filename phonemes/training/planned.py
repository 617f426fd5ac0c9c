"""The networks that a training will make, known before it starts, and the limit of their size."""

from dataclasses import replace
from typing import NamedTuple

from phonemes.errors import InputError
from phonemes.model.architecture import Architecture
from phonemes.model.params import ModelParams
from phonemes.model.size import largest_layers, parameter_count
from phonemes.model.store import posterior_bands
from phonemes.training.params import FitParams, StackingParams
from phonemes.training.stacking import stacked_params

MOST_NAMED = 3  # layers in a message
STEP = 8  # of widths that are suggested: products are slow on others


class Planned(NamedTuple):
    """The networks of a model; those of a kind are alike."""

    base: list[Architecture]
    stacked: list[Architecture]

    @property
    def parameters(self) -> int:
        """Return the parameters of all networks: each of them predicts."""
        return parameter_count([*self.base, *self.stacked])


def plan_networks(params: FitParams, stacking: StackingParams, bands: int, classes: int) -> Planned:
    """Return the networks that training makes of frames of C = `bands` and P = `classes`."""
    windows = 2 * params.data.k + 1
    base = Architecture.of(params.model, windows, bands, classes)
    if not stacking.folds:
        return Planned([base], [])
    data, model, *_ = stacked_params(params, stacking, 0)
    stacked = Architecture.of(model, 2 * data.k + 1, posterior_bands(classes), classes)
    return Planned([base] * (1 + stacking.folds), [stacked] * stacking.networks)


def require_size(params: FitParams, stacking: StackingParams, bands: int, classes: int) -> None:
    """Refuse networks of more parameters than model.max_parameters, where that is a limit.

    Raises:
        InputError: says how many there are, where most of them are, and what would fit.
    """
    limit = params.model.max_parameters
    planned = plan_networks(params, stacking, bands, classes)
    if not limit or planned.parameters <= limit:
        return
    layers = [
        f"{count:,} in {number} x {name}" if number > 1 else f"{count:,} in {name}"
        for name, number, count in largest_layers([*planned.base, *planned.stacked], MOST_NAMED)
    ]
    count = f"{planned.parameters:,} parameters"
    if planned.stacked:
        count += f" in {len(planned.base)} base and {len(planned.stacked)} stacked networks"
    raise InputError(
        f"the model would have {count}; model.max_parameters is {limit:,}; "
        f"most are {', '.join(layers)}; {_fix(params, stacking, bands, classes)}, or set "
        "model.max_parameters to 0, which is no limit"
    )


def _fix(params: FitParams, stacking: StackingParams, bands: int, classes: int) -> str:
    """Return what would make the networks small enough."""
    limit = params.model.max_parameters
    single = replace(stacking, folds=0)
    if stacking.folds and plan_networks(params, single, bands, classes).parameters <= limit:
        return "set stacking.folds to 0, which leaves one network"
    for percent in range(99, 0, -1):
        model, narrow = (
            replace(each, hidden=tuple(_part(width, percent) for width in each.hidden))
            for each in (params.model, stacking)
        )
        assert isinstance(model, ModelParams) and isinstance(narrow, StackingParams)
        fitted = params._replace(model=model)
        if plan_networks(fitted, narrow, bands, classes).parameters <= limit:
            also = f" and stacking.hidden to {[*narrow.hidden]}" * bool(stacking.folds)
            return f"set model.hidden to {[*model.hidden]}{also}, which fits"
    return "lower model.hidden, data.k or model.target_context"


def _part(width: int, percent: int) -> int:
    """Return a part of a width, a multiple of `STEP` where it is at least one."""
    part = max(1, width * percent // 100)
    return part // STEP * STEP or part
