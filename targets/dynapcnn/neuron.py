"""The integrate-and-fire neuron of DYNAP-CNN and Speck, stated once: event by event, and as sinabs' time steps.

Names of the parameters are those of samna's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, ClassVar, Literal

import numpy as np

from nmdeploy.errors import UsageError
from nmdeploy.neurons import Array, EventRule, NeuronModel, Number, Scan, State, fill, held
from quantize import IntegerFormat, Overflow

STATE = IntegerFormat(16)
"""Potential and thresholds: signed 16 bits (sinabs 3.1.3, discretize.py and docs/speck/overview.md)."""
WEIGHT = IntegerFormat(8)
"""A synaptic weight: signed 8 bits (same sources)."""
COUNT = IntegerFormat(16, signed=False)
"""Spikes of one neuron within one time step, as nmdeploy keeps them."""
NO_FLOOR = STATE.minimum - WEIGHT.minimum
"""-32640, the lowest `threshold_low` from which no single event leaves 16 bits, so that overflow plays no part."""


@dataclass(frozen=True, eq=False, repr=False)
class ChipNeuron(NeuronModel):
    """What the chip's configuration tells of a core's neurons; integers.

    Attributes:
        threshold_high: a potential that reaches it fires; 1..32767, one for all neurons of a core.
        threshold_low: floor of the potential; -32768..0.
        return_to_zero: whether a spike sets the potential to 0 instead of subtracting `threshold_high`.
        v_init: potential at the start, not compared with the threshold before something arrives.
        leak: added at every tick (events) or time step (steps); one number for each feature.
    """

    threshold_high: Number
    threshold_low: Number = NO_FLOOR
    return_to_zero: bool = False
    v_init: Number = 0
    leak: Number = 0

    def __post_init__(self) -> None:
        self.freeze_arrays()

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if not self.is_integer:
            return [*found, "all parameters must be integers"]
        # A threshold of 0 can be written, and the design rules tell of it; the arithmetic has no meaning below.
        if np.any(np.less(self.threshold_high, 0)):
            found.append(f"threshold_high is {np.min(self.threshold_high)}, it must be at least 0")
        if np.any(np.greater(self.threshold_low, 0)):
            found.append(f"threshold_low is {np.max(self.threshold_low)}, it must be at most 0")
        return found

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        return {"v": fill(self.v_init, shape, dtype)}

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        other = "reset by subtraction" if self.return_to_zero else "reset to zero"
        return {
            "threshold comparison": {
                "fires above the threshold, not at it": replace(self, threshold_high=np.add(self.threshold_high, 1))
            },
            "reset": {other: replace(self, return_to_zero=not self.return_to_zero)},
        }


@dataclass(frozen=True, eq=False, repr=False)
class SpeckIAF(ChipNeuron):
    """The neuron of the chip, which knows events and no time steps.

    One event of weight w::

        v := 16 bits (v + w)                    (`overflow`)
        v := max(v, threshold_low)              (where `clamps_events`)
        s := [v >= threshold_high]              (where w > 0, or `fires_on_any`)
        v := v - s * threshold_high             (or v := 0 where s, with `return_to_zero`)

    so it fires at most once an event, and what is left above the threshold fires at the
    next one. One tick of the slow clock, where a leak is configured::

        v := max(16 bits (v + leak), threshold_low)
        s := [v >= threshold_high], with the reset above       (only where `fires_on_tick`)

    Threshold, residual, reset and leak are documented or measured (sinabs 3.1.3,
    docs/speck: faqs/tips_for_training.md, notebooks/leak_neuron.ipynb,
    notebooks/using_readout_layer.ipynb; samna's configuration pages). The policies below are
    not published; their defaults are the likeliest reading. They make no difference while
    weights <= threshold_high <= 32767 - 127, -32640 <= threshold_low, 0 <= v_init < threshold_high
    and leak = 0, but for the order, and for the floor where a potential comes down to it.

    Attributes:
        overflow: of a sum beyond 16 bits: `saturate` or `wrap`.
        clamps_events: whether `threshold_low` holds for events (sinabs, specksim), not for leak alone
            (samna's wording).
        fires_on_any: whether an event of weight 0 or below can fire a neuron that is still above threshold.
        fires_on_tick: whether a leak tick can make a neuron fire.
        order: in which the neurons that one event reaches take it and fire, slowest axis first.
    """

    kind: ClassVar[str] = "dynapcnn.IAF"
    overflow: Literal["saturate", "wrap"] = "saturate"
    clamps_events: bool = True
    fires_on_any: bool = True
    fires_on_tick: bool = False
    order: str = "yxc"

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if self.overflow not in ("saturate", "wrap"):
            found.append(f"overflow {self.overflow!r} is neither 'saturate' nor 'wrap'")
        if sorted(self.order) != ["c", "x", "y"]:
            found.append(f"order {self.order!r} is no order of 'y', 'x' and 'c'")
        return found

    @property
    def largest_spike(self) -> int:
        """Spikes that one step of the emulation counts: as many as 16 bits hold."""
        return COUNT.maximum

    def step(self, state: State, current: Array) -> Array:
        """There is no step: a sum of events does not tell what each of them did.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "the neuron takes single events, no sums of a time step",
            where=self.kind,
            hint="run the network with nmdeploy.emulate, or lower it with the profile 'step'",
        )

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        overflow: Literal["saturate", "wrap"] = "wrap" if self.overflow == "saturate" else "saturate"
        floor = "the floor holds for leak alone" if self.clamps_events else "the floor holds for events too"
        saturations: dict[str, NeuronModel] = {
            f"sums beyond 16 bits {overflow}": replace(self, overflow=overflow),
            floor: replace(self, clamps_events=not self.clamps_events),
        }
        orders: dict[str, NeuronModel] = {
            f"neurons fire in the order {', '.join(order)}": replace(self, order=order)
            for order in map("".join, permutations("yxc"))
            if order != self.order
        }
        return {**super().misreadings(), "saturation": saturations, "event order": orders}

    def event_rule(self) -> EventRule:
        return EventRule(
            threshold=self.threshold_high,
            subtract=None if self.return_to_zero else self.threshold_high,
            low=self.threshold_low,
            potential=IntegerFormat(STATE.bits, overflow=Overflow(self.overflow)),
            leak=self.leak,
            clamps_events=self.clamps_events,
            fires_on_any=self.fires_on_any,
            fires_on_tick=self.fires_on_tick,
            order=self.order,
        )


@dataclass(frozen=True, eq=False, repr=False)
class SpeckStepIAF(ChipNeuron):
    """The neuron as sinabs 3.1.3 simulates it, in time steps (layers/functional/lif.py, activation/), in integers.

    One step, with I the sum of all events of the step::

        v := v + I + leak
        s := trunc(v / threshold_high) where v > 0, else 0      (MultiSpike)
        s := [v >= threshold_high]                              (SingleSpike, not `multi_spike`)
        v := v - s * threshold_high                             (MembraneSubtract)
        v := (v where s = 0, else 0) + reset_value              (MembraneReset, with `return_to_zero`)
        v := max(v, threshold_low)

    `reset_value` comes to neurons that do not fire, too: that is sinabs' formula. sinabs
    computes in float32, which is exact while potentials and sums stay below 2**24; here there is
    no such limit, and none of 16 bits either.

    Attributes:
        multi_spike: whether a step can hold several spikes of a neuron, as on the chip.
        reset_value: of sinabs' MembraneReset; the chip has 0.
    """

    kind: ClassVar[str] = "dynapcnn.StepIAF"
    multi_spike: bool = True
    reset_value: int = 0

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if self.multi_spike and np.any(np.equal(self.threshold_high, 0)):
            found.append("threshold_high is 0, by which several spikes a step are divided")
        if self.reset_value and not self.return_to_zero:
            found.append(f"reset_value is {self.reset_value} in a neuron that subtracts")
        return found

    @property
    def largest_spike(self) -> int:
        return COUNT.maximum if self.multi_spike else 1

    def step(self, state: State, current: Array) -> Array:
        v = state["v"] + (current + self.leak)
        spikes = np.maximum(v, 0) // self.threshold_high if self.multi_spike else (v >= self.threshold_high)
        spikes = held(spikes.astype(np.int64), COUNT, "spikes of one step")
        subtracted = v - spikes * self.threshold_high
        after = np.where(spikes == 0, v, 0) + self.reset_value if self.return_to_zero else subtracted
        state["v"] = np.maximum(after, self.threshold_low)
        return spikes.astype(np.uint16 if self.multi_spike else np.uint8)

    def scan(self, largest_current: int) -> Scan | None:
        if type(self) is not SpeckStepIAF or self.multi_spike or self.reset_value:
            return None
        if np.any(np.equal(self.threshold_high, 0)):
            return None  # below 0 the floor comes before the reset in a scan, so that it might fire there
        return Scan(
            bias=self.leak,
            low=self.threshold_low,
            above=np.subtract(self.threshold_high, 1, dtype=np.int64),
            subtract=None if self.return_to_zero else self.threshold_high,
        )
