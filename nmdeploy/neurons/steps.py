"""A neuron's step as data, for engines that compute it without calling the model."""

from __future__ import annotations

from dataclasses import dataclass

from nmdeploy.linear_maps import Array
from quantize import IntegerFormat

Number = int | float | Array


@dataclass(frozen=True, eq=False)
class Scan:
    """A neuron's step as data, for engines that compute it without calling `step`.

    One step, with I the current; parameters broadcast to the population::

        I := min(excitation, ceiling) - min(inhibition, ceiling)      (only for a model with separate signs)
        v := v + I * 2**shift + bias      (not while refractory)
        v := wrap format (v)              (where given)
        v := min(max(v, low), high)       (where given)
        s := [v > above]                  (not while refractory)
        v := v - s * subtract             (or v := reset where s, when subtract is None)

    A refractory neuron, for `refractory` steps after a spike, neither integrates nor fires.

    Attributes:
        shift: of the current, at least 0.
        bias: added at every step.
        wrap: format whose overflow wraps.
        low, high: ends of the potential; it saturates there.
        above: the largest potential that does not fire; None for a neuron that never fires.
        subtract: what a spike takes off.
        reset: where a spike puts the potential when `subtract` is None.
        refractory: silent steps after a spike.
        ceiling: where the sum of each sign saturates; None where it does not.
    """

    shift: int = 0
    bias: Number = 0
    wrap: IntegerFormat | None = None
    low: Number | None = None
    high: Number | None = None
    above: Number | None = None
    subtract: Number | None = None
    reset: Number = 0
    refractory: int = 0
    ceiling: int | None = None


@dataclass(frozen=True, eq=False)
class EventRule:
    """How a neuron of a chip without time steps takes a single synaptic event.

    One event of weight w (parameters broadcast to the population)::

        v := potential format (v + w)
        v := max(v, low)                  (where given, when `clamps_events`)
        s := [v >= threshold]             (only when w > 0, unless `fires_on_any`)
        v := v - s * subtract             (or v := 0 where s, when subtract is None)

    so a neuron fires at most once an event. One tick of the slow clock::

        v := potential format (v + leak);  v := max(v, low)
        s := [v >= threshold], with the reset above     (only when `fires_on_tick`)

    Attributes:
        threshold: a potential that reaches it fires; None for a neuron that never fires.
        subtract: what a spike takes off.
        low: floor of the potential.
        potential: format of v; its overflow rule decides what happens at the edge.
        leak: added at every tick of the slow clock, one tick at the end of every time step; 0 everywhere for no clock.
        clamps_events: whether the floor holds for events, not for ticks alone.
        fires_on_any: whether an event of weight 0 or below can fire a neuron that is above its threshold.
        fires_on_tick: whether a tick can make a neuron fire.
        order: in which the neurons that one event reaches take it and fire, slowest axis
            first: a permutation of the letters `c`, `y`, `x`; a population `(N,)` is N channels.
    """

    threshold: Number | None
    subtract: Number | None
    low: Number | None
    potential: IntegerFormat | None
    leak: Number = 0
    clamps_events: bool = True
    fires_on_any: bool = True
    fires_on_tick: bool = False
    order: str = "yxc"
