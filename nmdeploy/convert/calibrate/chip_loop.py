"""One layer on the chip: quantized, lowered by its target, and run on the spikes that reach it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from nmdeploy.emulator.result import Recording, Result
from nmdeploy.network import Network
from nmdeploy.subnetwork import behind_known, upstream
from nmdeploy.synapses import Shape
from nmdeploy.target import Choice

Spikes = Mapping[str, NDArray[Any]]
"""Spikes `[T, N, *shape]` by population."""


class Engine(Protocol):
    """Runs a lowered network; `nmdeploy.emulate`, or the engine of a chip whose events have an order."""

    def __call__(self, network: Network, inputs: Spikes, *, steps: int, record: Recording) -> Result: ...


@dataclass(frozen=True)
class ChipLoop:
    """A chip's own arithmetic, applied to parts of a float network.

    Attributes:
        chip: whose arithmetic.
        quantize: brings a float network to the chip's integers.
        engine: runs what the target has lowered.
        steps: steps of a run, the latency of the whole network included.
    """

    chip: Choice
    quantize: Callable[[Network], Network]
    engine: Engine
    steps: int

    def lowered(self, network: Network) -> Network:
        """A float network in the chip's terms."""
        profile = self.chip.target.inner_profile(self.chip.profile)
        return self.chip.target.lower(self.quantize(network), self.chip.chip, profile).network

    def layer(self, network: Network, name: str, known: Spikes) -> Network:
        """Population `name` in the chip's terms, fed by inputs in place of the populations whose spikes are known.

        Quantized and lowered with everything before it, so that scales and delays are
        those that it has in the whole network.
        """
        return behind_known(self.lowered(upstream(network, name)), name, known)

    def run(self, layer: Network, known: Spikes, samples: int | None = None, spikes: bool = False) -> Result:
        """Run a layer on the first `samples` of the known spikes; its counts are kept, its spikes when asked for."""
        inputs = {each.name: arranged(known[each.name][:, :samples], 2, each.shape) for each in layer.inputs}
        record = Recording(spikes=layer.outputs if spikes else (), counts=layer.outputs)
        return self.engine(layer, inputs, steps=self.steps, record=record)


def arranged(values: NDArray[Any], leading: int, shape: Shape) -> NDArray[Any]:
    """Values of a population, behind some leading axes, in the shape that a float or a lowered network has for it."""
    return values.reshape(*values.shape[:leading], *shape)
