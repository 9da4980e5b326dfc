"""The ideal neurons: integrate-and-fire, and a read-out that only integrates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nmdeploy.linear_maps import Array
from nmdeploy.neurons.base import NeuronModel, State, fill, held
from nmdeploy.neurons.steps import Number, Scan
from quantize import IntegerFormat, Overflow

_CHIP_WIDTHS = (8, 16, 24)
"""Widths of potentials in bits, as chips have them."""


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
