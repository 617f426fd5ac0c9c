"""What the evaluate section of params.yaml sets."""

from dataclasses import dataclass
from typing import Annotated

from phonemes.schema import Number


@dataclass(frozen=True)
class EvaluateParams:
    """What is shown of the mistakes."""

    pairs: Annotated[int, Number(1, 1000)]  # most confused pairs in the plot
