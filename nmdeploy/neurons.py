"""Neuron models: parameters plus a normative `step`.

A model is a frozen record whose docstring is its equation and whose `step` is the
definition every emulator obeys. The ideal models live here; a chip states its own
arithmetic once, in `targets/<chip>/neuron.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import EmulationOverflow
from nmdeploy.structure import Record, field_names
from quantize import IntegerFormat, OutOfRange, Overflow

Array = NDArray[Any]
Number = int | float | Array
_CHIP_WIDTHS = (8, 16, 24)
"""Widths of potentials in bits, as chips have them."""
State = dict[str, Array]
"""State variables by name, each `[N, *shape]`; `v` is the membrane potential."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A neuron's step as data, for engines that compute it without calling `step`.

    One step, with I the current; parameters broadcast to the population::

        v := v + I * 2**shift + bias      (not while refractory)
        v := wrap format (v)              (where given)
        v := min(max(v, low), high)       (where given)
        s := [v > above]                  (not while refractory)
        v := v - s * subtract             (or v := 0 where s, when subtract is None)

    A refractory neuron, for `refractory` steps after a spike, neither integrates nor fires.

    Attributes:
        shift: of the current, at least 0.
        bias: added at every step.
        wrap: format whose overflow wraps.
        low, high: ends of the potential; it saturates there.
        above: the largest potential that does not fire; None for a neuron that never fires.
        subtract: what a spike takes off.
        refractory: silent steps after a spike.
    """

    shift: int = 0
    bias: Number = 0
    wrap: IntegerFormat | None = None
    low: Number | None = None
    high: Number | None = None
    above: Number | None = None
    subtract: Number | None = None
    refractory: int = 0


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


class NeuronModel(Record, ABC):
    """Base of all neuron models. Subclasses are frozen dataclasses of parameters.

    Parameters that are arrays broadcast against the population's shape: `(C, 1, 1)`
    is one value per channel.

    Attributes:
        kind: the name under which bundles store the model.
        separate_signs: when True, `step` receives current with a leading axis of
            two: the sum of all positive contributions and the sum of the magnitudes
            of all negative ones (chips with separate excitatory and inhibitory
            accumulators); when False, their plain sum.
    """

    kind: ClassVar[str]
    separate_signs: ClassVar[bool] = False

    @abstractmethod
    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        """Fresh state for samples of a population; `shape` is `(N, *population.shape)`.

        Args:
            shape: samples, then the population's shape.
            dtype: int64 for integer networks, a float type otherwise.
        """

    @abstractmethod
    def step(self, state: State, current: Array) -> NDArray[np.uint8]:
        """Advance one time step in place and return the spikes.

        Args:
            state: as from `initial_state`; updated in place.
            current: this step's summed synaptic input, `[N, *shape]` (or
                `[2, N, *shape]`, see `separate_signs`); not modified.

        Returns:
            uint8 `[N, *shape]`: spikes emitted in this step.

        Raises:
            EmulationOverflow: if a variable leaves a format whose rule is `raise`.
        """

    def scan(self, largest_current: int) -> Scan | None:
        """The step as data, equal to `step` in every bit; None (the default) where it cannot be put so.

        A model that returns one has a state `v`, which `initial_state` gives, and integer
        parameters. Subclasses that step otherwise must not inherit it.

        Args:
            largest_current: no current of a run is larger in magnitude (proven).
        """
        return None

    def event_rule(self) -> EventRule | None:
        """How the neuron takes single events, on a chip without time steps; None (the default) on all others.

        A network whose neurons all have one is run event by event (`nmdeploy/emulator/events.py`);
        `step` is then not called.
        """
        return None

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        """What others may take this model for: models by what they differ in, by kind of mistake.

        The mistakes are `threshold comparison`, `reset`, `saturation` and `event order`; `nmdeploy compare` tries them.
        """
        return {}

    @property
    def largest_spike(self) -> int:
        """The largest value `step` can return for one neuron; 1 for binary spikes."""
        return 1

    @property
    def is_integer(self) -> bool:
        """Whether every numeric parameter is an integer."""
        values = (getattr(self, name) for name in field_names(self))
        return not any(isinstance(value, float) or _is_real_array(value) for value in values)

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        """What is wrong with the parameters for a population of `shape`; empty when nothing is."""
        found = []
        for name in field_names(self):
            value = getattr(self, name)
            if isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.ndarray)):
                continue
            if isinstance(value, int):
                if not -(1 << 63) <= value < 1 << 63:
                    found.append(f"{name} is {value}, more than 64 bits hold")
            elif not np.all(np.isfinite(value)):
                found.append(f"{name} is not finite")
            elif not broadcasts(np.shape(value), shape):
                found.append(f"{name} of shape {np.shape(value)} does not broadcast to {shape}")
        return found


def _is_real_array(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def broadcasts(part: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of shape `part` broadcasts to shape `whole`."""
    try:
        return np.broadcast_shapes(part, whole) == tuple(whole)
    except ValueError:
        return False


def fill(value: Number, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A new array of `shape` and `dtype` holding the broadcast of `value`."""
    return np.array(np.broadcast_to(value, shape), dtype=dtype)


def held(values: Array, form: IntegerFormat | None, variable: str) -> Array:
    """`values` in `form`; None means exact (reals, or integers proven to fit int64).

    Raises:
        EmulationOverflow: where the format's rule is `raise`.
    """
    if form is None:
        return values
    try:
        return form.apply(values)
    except OutOfRange as error:
        raise EmulationOverflow(
            f"{variable} overflows",
            index=error.index,
            found=error.found,
            limit=f"{error.minimum}..{error.maximum}",
        ) from error


@dataclass(frozen=True, eq=False, repr=False)
class IF(NeuronModel):
    """The ideal integrate-and-fire neuron, in reals or integers.

    One step, with I the current and all variables per neuron::

        v := v + I + bias                 (not while refractory: I is lost, v is kept)
        v := potential format (v)         (integers only; exact when no format is given)
        v := max(v, v_min)                (when v_min is given)
        s := [v >= threshold]             (or v > threshold, by `fire`)
        v := v - s * threshold            (reset "subtract")
        v := 0 where s                    (reset "zero")

    After a spike the neuron is refractory for `refractory` steps: it neither
    integrates nor fires in them.

    Attributes:
        threshold: firing threshold, above 0.
        bias: added at every step.
        v_init: membrane potential before the first step.
        v_min: floor of the membrane potential, at most 0; None for none.
        reset: `subtract` keeps the overshoot, `zero` loses it.
        fire: whether a potential equal to the threshold fires.
        refractory: silent steps after a spike.
        potential: format of v; its overflow rule decides what happens at the edge.
    """

    kind: ClassVar[str] = "IF"
    threshold: Number
    bias: Number = 0
    v_init: Number = 0
    v_min: Number | None = None
    reset: Literal["subtract", "zero"] = "subtract"
    fire: Literal[">=", ">"] = ">="
    refractory: int = 0
    potential: IntegerFormat | None = None

    def __post_init__(self) -> None:
        self.freeze_arrays()

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if np.any(np.less_equal(self.threshold, 0)):
            found.append(f"threshold is {np.min(self.threshold)}, it must be above 0")
        if self.v_min is not None and np.any(np.greater(self.v_min, 0)):
            found.append(f"v_min is {np.max(self.v_min)}, it must be at most 0")
        if self.reset not in ("subtract", "zero"):
            found.append(f"reset {self.reset!r} is neither 'subtract' nor 'zero'")
        if self.fire not in (">=", ">"):
            found.append(f"fire {self.fire!r} is neither '>=' nor '>'")
        if self.refractory < 0:
            found.append(f"refractory is {self.refractory}, it must be at least 0")
        return found

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        state = {"v": fill(self.v_init, shape, dtype)}
        if self.refractory:
            state["silent_steps"] = np.zeros(shape, dtype=np.int64)
        return state

    def step(self, state: State, current: Array) -> NDArray[np.uint8]:
        v = state["v"] + (current + self.bias)
        if self.refractory:
            v = np.where(state["silent_steps"] > 0, state["v"], v)
        v = held(v, self.potential, "membrane potential")
        if self.v_min is not None:
            v = np.maximum(v, self.v_min)
        fired = v >= self.threshold if self.fire == ">=" else v > self.threshold
        if self.refractory:
            fired &= state["silent_steps"] == 0
            counting = np.maximum(state["silent_steps"] - 1, 0)
            state["silent_steps"] = np.where(fired, self.refractory, counting)
        state["v"] = v - fired * self.threshold if self.reset == "subtract" else np.where(fired, 0, v)
        return fired.astype(np.uint8)

    def scan(self, largest_current: int) -> Scan | None:
        if type(self) is not IF or not _has_rule(self.potential):
            return None
        low, high = _ends(self.potential)
        if self.v_min is not None:
            low = self.v_min if low is None else np.maximum(self.v_min, low)
        return Scan(
            bias=self.bias,
            wrap=_wrapping(self.potential),
            low=low,
            high=high,
            above=np.subtract(self.threshold, 1, dtype=np.int64) if self.fire == ">=" else self.threshold,
            subtract=self.threshold if self.reset == "subtract" else None,
            refractory=self.refractory,
        )

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        other: Literal[">=", ">"] = ">" if self.fire == ">=" else ">="
        mode: Literal["subtract", "zero"] = "zero" if self.reset == "subtract" else "subtract"
        return {
            "threshold comparison": {f"fires where v {other} threshold": replace(self, fire=other)},
            "reset": {f"reset by {mode}" if mode == "subtract" else "reset to zero": replace(self, reset=mode)},
            "saturation": {words: replace(self, potential=form) for words, form in _narrower(self.potential).items()},
        }


def _narrower(form: IntegerFormat | None) -> dict[str, IntegerFormat]:
    """Formats that a chip may have for a potential, narrower than `form`, in words."""
    widths = [bits for bits in _CHIP_WIDTHS if form is None or bits < form.bits]
    rules = (Overflow.SATURATE, Overflow.WRAP)
    return {
        f"potential of {bits} bits, {rule.value}": IntegerFormat(bits, overflow=rule)
        for bits in widths
        for rule in rules
    }


def _has_rule(form: IntegerFormat | None) -> bool:
    """Whether overflow of the format is arithmetic, not an error."""
    return form is None or form.overflow is not Overflow.RAISE


def _wrapping(form: IntegerFormat | None) -> IntegerFormat | None:
    return form if form is not None and form.overflow is Overflow.WRAP else None


def _ends(form: IntegerFormat | None) -> tuple[Number | None, Number | None]:
    """Where the format saturates."""
    saturates = form is not None and form.overflow is Overflow.SATURATE
    return (form.minimum, form.maximum) if form is not None and saturates else (None, None)


@dataclass(frozen=True, eq=False, repr=False)
class Integrator(NeuronModel):
    """A read-out neuron that never fires: v := potential format (v + I + bias).

    Attributes:
        bias: added at every step.
        v_init: membrane potential before the first step.
        potential: format of v; its overflow rule decides what happens at the edge.
    """

    kind: ClassVar[str] = "Integrator"
    bias: Number = 0
    v_init: Number = 0
    potential: IntegerFormat | None = None

    def __post_init__(self) -> None:
        self.freeze_arrays()

    @property
    def largest_spike(self) -> int:
        return 0

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        return {"v": fill(self.v_init, shape, dtype)}

    def step(self, state: State, current: Array) -> NDArray[np.uint8]:
        state["v"] = held(state["v"] + (current + self.bias), self.potential, "membrane potential")
        return np.zeros(state["v"].shape, dtype=np.uint8)

    def scan(self, largest_current: int) -> Scan | None:
        if type(self) is not Integrator or not _has_rule(self.potential):
            return None
        low, high = _ends(self.potential)
        return Scan(bias=self.bias, wrap=_wrapping(self.potential), low=low, high=high)

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        return {
            "saturation": {words: replace(self, potential=form) for words, form in _narrower(self.potential).items()}
        }
