"""What exact mode asks of a chip's neuron, and the two kinds of neuron that can do it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.layer import CountLayer, Reach
from nmdeploy.convert.exact.renewal import CLEAR, RESTORE, Renewal, lifting, repeated
from nmdeploy.linear_maps import Array
from nmdeploy.network import Population
from nmdeploy.neurons import IF
from quantize import MantissaExponentFormat, Rounding, smallest_dtype


@dataclass(frozen=True, eq=False)
class Ramp:
    """How a layer turns sums into counts.

    Attributes:
        neuron: starts where it cannot fire, and integrates.
        gate: weights of the synapses that lift it when its inputs have ended, `[neurons, clocks]`.
        feedback: what a neuron's own spike adds to it one step later; 0 for nothing.
    """

    neuron: IF
    gate: Array
    feedback: int = 0


@dataclass(frozen=True)
class ExactRules(CountRules):
    """A chip whose neuron adds what arrives, fires when it reaches its threshold, and is reset to a value.

    Attributes:
        control: what a synapse from a clock can add, in weight units.
        step_sum: largest magnitude of what arrives in one step.
        read_out: largest magnitude of the potential of an output.
    """

    streams: ClassVar[bool] = True
    control: MantissaExponentFormat
    step_sum: int
    read_out: int

    def step(self, wanted: float) -> int:
        """The largest step d, up to `wanted`, that a drive can add."""
        return int(self.control.nearest(np.array(wanted), Rounding.FLOOR))

    def has_step(self, step: int) -> bool:
        return self.control.holds(np.array([step]))

    def excess(self, layer: CountLayer, levels: int, reach: Reach) -> float:
        """The largest ratio of what a layer needs to what there is; at most 1 where it fits."""
        largest = max(-int(reach.step_low.min()), int(reach.step_high.max()))
        inputs = largest / self.step_sum
        if layer.step is not None:
            return max(inputs, self._hidden_excess(layer, layer.step, levels, reach))
        low, high = layer.bias + reach.low, layer.bias + reach.high
        return max(inputs, max(-int(low.min()), int(high.max())) / self.read_out)

    @abstractmethod
    def ramp(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> Ramp:
        """The neuron of a hidden layer of step d that fits, and its gate."""

    @abstractmethod
    def renewal(self, population: Population) -> Renewal | None:
        """How a population of an exact network is made ready for the next sample.

        Args:
            population: hidden, as `ramp` has it, or an output that integrates.

        Returns:
            None for an output that can go on from where it is.
        """

    @abstractmethod
    def _hidden_excess(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> float:
        """The largest ratio of what a hidden layer needs to what there is."""


@dataclass(frozen=True)
class SignedPotential(ExactRules):
    """Potentials reach far below zero, and a spike resets to zero (Loihi).

    The threshold is d. A neuron starts G + L d below B + h; the gate adds G. After its
    first spike a drive alone brings it from 0 to d again. Inhibition takes every potential to
    the lowest one, whatever it was, and outputs too.

    Attributes:
        lowest: the potential at which it saturates, in weight units.
    """

    lowest: int

    def _hidden_excess(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> float:
        gate = _needed_gate(layer, step, levels, reach)
        room = self.step_sum - step  # the first drive comes with the gate
        if gate > room:
            return gate / room
        deepest = self._lift(gate) + levels * step - int((layer.offset + reach.low).min())
        return max(gate / room, self._lift(gate) / room, deepest / -self.lowest)

    def ramp(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> Ramp:
        clocks, weight = self._clocks(_needed_gate(layer, step, levels, reach))
        below = clocks * weight + levels * step
        gate = np.full((layer.population.size, clocks), weight, dtype=np.int64)
        return Ramp(IF(step, v_init=compact(layer.offset - below), reset="zero"), gate)

    def renewal(self, population: Population) -> Renewal:
        neuron = population.neuron
        if not isinstance(neuron, IF):
            # What integrates and never fires is a neuron of the largest threshold.
            neuron = IF(self.read_out, v_init=getattr(neuron, "v_init", 0), fire=">", reset="zero")
        start = np.broadcast_to(np.asarray(neuron.v_init, dtype=np.int64), population.shape).reshape(-1)
        clocks = self.step_sum // self.control.maximum
        most = np.full((population.size, clocks), -self.control.maximum, dtype=np.int64)
        depth = int(np.max(neuron.threshold)) - self.lowest
        clear = repeated(CLEAR, most, -(-depth // (clocks * self.control.maximum)))
        restore = lifting(start - self.lowest, self.control, self.step_sum)
        steps = len(clear.train) + max((len(each.train) for each in restore), default=0)
        return Renewal(replace(neuron, v_min=self.lowest), clear, restore, steps)

    def _lift(self, amount: int) -> int:
        """What a gate of at least `amount` adds."""
        clocks, weight = self._clocks(amount)
        return clocks * weight

    def _clocks(self, amount: int) -> tuple[int, int]:
        """How many clock neurons, and their weight, that add at least `amount` in one step."""
        clocks = max(1, -(-amount // self.control.maximum))
        share = -(-amount // clocks)
        exponent = max(share.bit_length() - self.control.mantissa_bits, 0)
        weight = -(-share // (1 << exponent)) << exponent
        return clocks, min(weight, self.control.maximum)


def _needed_gate(layer: CountLayer, step: int, levels: int, reach: Reach) -> int:
    """The least G that keeps every neuron below its threshold d before the gate: highest sum - G - L d < d."""
    highest = int((layer.offset + reach.high).max())
    return max(highest - (levels + 1) * step + 1, 1)


@dataclass(frozen=True)
class FlooredPotential(ExactRules):
    """Potentials have a floor at the value that a spike resets to (SpiNNaker).

    Counted from the floor, a neuron starts at M + B + h, M so high that no partial sum
    meets the floor, and fires at Th, so high that none reaches it. The gate adds
    Th - (L + 1) d - M, which may be negative; a spike gives the neuron Th - d back, so that
    the next drive alone brings it to Th again. An inhibition of Th clears. Outputs are
    not cleared: their potentials reach far enough for a sample after the other.

    Attributes:
        highest: the highest Th.
    """

    highest: int

    def _hidden_excess(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> float:
        gate = int(np.abs(self._gate(layer, step, levels, reach)).max())
        return max(_threshold(step, levels, reach) / self.highest, gate / self.step_sum)

    def ramp(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> Ramp:
        threshold = _threshold(step, levels, reach)
        neuron = IF(threshold, v_init=compact(-reach.low), v_min=0, reset="zero")
        return Ramp(neuron, self._gate(layer, step, levels, reach).reshape(-1, 1), feedback=threshold - step)

    def renewal(self, population: Population) -> Renewal | None:
        neuron = population.neuron
        if not isinstance(neuron, IF):
            return None
        start = np.broadcast_to(np.asarray(neuron.v_init, dtype=np.int64), population.shape).reshape(-1, 1)
        clear = repeated(CLEAR, np.full_like(start, -int(np.max(neuron.threshold))), 1)
        # No partial sum meets the floor once it is restored, also by what arrives in the same step.
        return Renewal(neuron, clear, (repeated(RESTORE, start, 1),), steps=1)

    def _gate(self, layer: CountLayer, step: int, levels: int, reach: Reach) -> Array:
        """Th - (L + 1) d - M of every neuron."""
        margin = -(layer.offset + reach.low)
        gate: Array = _threshold(step, levels, reach) - (levels + 1) * step - margin
        return gate


def _threshold(step: int, levels: int, reach: Reach) -> int:
    """The least Th that no partial sum reaches, nor L drives of a neuron that the gate threw to the floor."""
    return max(int((reach.high - reach.low).max()), levels * step) + 1


def compact(values: Array) -> Array | int:
    """One number where all are alike, else an array of the smallest integer type."""
    lowest, highest = int(values.min()), int(values.max())
    return lowest if lowest == highest else values.astype(smallest_dtype(lowest, highest))
