"""What the pipeline makes, and how it tells that it is at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.exact import QuantizedAnn
from nmdeploy.deployment import Deployment
from nmdeploy.network import Network
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.progress import Progress
from nmdeploy.report.selection import Selection

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress display for a stage of that title."""


def silent(_title: str) -> AbstractContextManager[Progress]:
    """A `Stage` that shows nothing."""
    return nullcontext(lambda _done, _total: None)


@dataclass(frozen=True)
class Stages:
    """Every form a network takes on its way to the chip.

    Attributes:
        graph: the trained network.
        spiking: float network of spiking neurons.
        integers: the same in the chip's integers.
        deployment: on the chip.
        recipe: how it was converted; never `auto`, but what that chose.
        quantized: what the chip computes; with the recipe `exact` only.
        selection: what `auto` chose from; None when the recipe was named.
    """

    graph: AnnGraph
    spiking: Network
    integers: Network
    deployment: Deployment
    recipe: Recipe
    quantized: QuantizedAnn | None = None
    selection: Selection | None = None
