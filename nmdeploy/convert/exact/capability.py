"""What exact mode asks of every chip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nmdeploy.convert.exact.layer import CountLayer, Reach
from quantize import IntegerFormat


@dataclass(frozen=True)
class CountRules(ABC):
    """A chip whose neurons can count as a quantized network does.

    Attributes:
        weights: format of a synapse of the network.
    """

    streams: ClassVar[bool] = False
    """Whether samples can follow each other in one run."""
    weights: IntegerFormat

    @abstractmethod
    def step(self, wanted: float) -> int:
        """The largest step d, up to `wanted`, that clocks can add."""

    def has_step(self, step: int) -> bool:
        """Whether clocks can add exactly `step`."""
        return True

    @abstractmethod
    def excess(self, layer: CountLayer, levels: int, reach: Reach) -> float:
        """The largest ratio of what a layer needs to what there is; at most 1 where it fits."""
