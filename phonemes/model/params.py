"""The section `model` of params.yaml: what a network is made of."""

from dataclasses import dataclass
from typing import Annotated

from phonemes.schema import Choice, Items, Number

Width = Number(1, 65_536)
Widths = Annotated[tuple[int, ...], Items(2, 12, Width)]
Dropout = Annotated[float, Number(0, 0.95, usual=(0, 0.7))]


@dataclass(frozen=True)
class ModelParams:
    """The network."""

    full_rate_context: Annotated[int, Number(0, 1000, usual=(0, 60))]
    target_context: Annotated[int, Number(0, 1000, usual=(0, 20))]
    hidden: Widths
    activation: Annotated[str, Choice(("relu", "gelu", "silu", "leaky_relu", "elu", "tanh"))]
    norm: Annotated[str, Choice(("batch", "layer", "none"))]
    norm_position: Annotated[str, Choice(("before", "after"))]
    dropout: Dropout
    residual: bool
    initialization: Annotated[str, Choice(("default", "kaiming", "xavier", "orthogonal"))]
    max_parameters: Annotated[int, Number(0, 1_000_000_000)]
    precision: Annotated[str, Choice(("auto", "fp32", "fp16", "bf16"))]
