"""SpiNNaker's neurons, stated once: `IF_trunc_delta`, `IF_curr_delta` and `IF_curr_exp`.

The arithmetic is that of the binaries in sPyNNaker 7.4.1, as found by running their machine code. All parameters
are raw accums (s16.15, units of 1/32768, see `targets.spinnaker.fixed_point`): what the host writes for a PyNN
parameter x is `fixed_point.raw(x)`, and `fixed_point.real` gives x back exactly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.neurons import Array, NeuronModel, Scan, State, fill
from nmdeploy.structure import field_names
from targets.spinnaker.exponential import exp_accum, exp_fraction
from targets.spinnaker.fixed_point import (
    ACCUM,
    FRACTION_BITS,
    LARGEST,
    ONE,
    SMALLEST,
    Integers,
    Operand,
    divide,
    multiply,
    real,
    scale,
    wrap,
)
from targets.spinnaker.ring_buffer import LARGEST_SHIFT, RING, into_accum, saturated

_FRACTION_ONE = (1 << 32) - 1
"""The largest 32-bit fraction, which stands for 1."""
_END = 1 << (31 - FRACTION_BITS)
"""An accum is below 65536."""
_RANGES = {
    # All others: what 32 bits hold.
    **dict.fromkeys(("cm", "tau_m", "time_step", "tau_syn_exc", "tau_syn_inh"), (1, LARGEST)),
    "tau_refrac": (0, LARGEST),
    **dict.fromkeys(("shift_exc", "shift_inh"), (0, LARGEST_SHIFT)),
}


@dataclass(frozen=True, eq=False, repr=False)
class SpinnakerNeuron(NeuronModel):
    """What the three models share; how input lasts and how it is integrated is theirs.

    One step, with exc and inh the sums of weights that arrive in it, in units of the ring buffers::

        x_exc := min(exc, 65535) << shift_exc,  x_inh likewise
        E, I  := E + arriving (x_exc), I + arriving (x_inh)
        v     := integrated (v, E, I)                    (not while refract_timer > 0: the input is lost)
        refract_timer := max(refract_timer - 1, 0)
        s     := [v >= v_thresh]                         (also while refractory)
        v     := v_reset and refract_timer := T_refract where s
        E, I  := carried (E, I)

    All numbers have 32 bits; sums and products wrap, products are rounded toward minus infinity.
    The core works out R = tau_m / cm (kdivk) and T_refract = ceil(tau_refrac / time_step): after a spike exactly
    T_refract steps pass without integration.

    Attributes:
        v_thresh: threshold; a potential that reaches it fires.
        v_reset: where a spike puts the potential.
        v_init: potential before the first step.
        i_offset: added to the input at every step that integrates.
        cm, tau_m: their quotient R multiplies the input; both above 0.
        tau_refrac: refractory time in ms, at least 0.
        shift_exc, shift_inh: left shifts of the ring buffers, 0..31.
        isyn_exc, isyn_inh: E and I before the first step.
        time_step: in ms, above 0.
    """

    separate_signs: ClassVar[bool] = True
    v_thresh: Operand = ONE
    v_reset: Operand = 0
    v_init: Operand = 0
    i_offset: Operand = 0
    cm: Operand = ONE
    tau_m: Operand = ONE
    tau_refrac: Operand = 0
    shift_exc: Operand = 0
    shift_inh: Operand = 0
    isyn_exc: Operand = 0
    isyn_inh: Operand = 0
    time_step: Operand = ONE

    def __post_init__(self) -> None:
        self.freeze_arrays()

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if not self.is_integer:
            return [*found, "all parameters must be raw integers, 32768 for 1.0"]
        found += self._out_of_range()
        return found or list(self._wrapping_quotients())

    def _out_of_range(self) -> Iterator[str]:
        for name in field_names(self):
            low, high = _RANGES.get(name, (SMALLEST, LARGEST))
            value = getattr(self, name)
            if np.min(value) < low or np.max(value) > high:
                worst = np.min(value) if np.min(value) < low else np.max(value)
                yield f"{name} is {worst}, it must be in {low}..{high}"

    def _wrapping_quotients(self) -> Iterator[str]:
        """Times whose quotient 32 bits do not hold; the core would go on with what is left of it."""
        for dividend, divisor in self._quotients():
            quotient = real(getattr(self, dividend)) / real(getattr(self, divisor))
            if np.max(quotient) >= _END:
                yield f"{dividend} / {divisor} is {np.max(quotient):.0f}, it must be below {_END}"

    def _quotients(self) -> Iterator[tuple[str, str]]:
        """Parameters that the core divides, but for R, which may wrap."""
        yield "tau_refrac", "time_step"

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        later = replace(self, v_thresh=np.add(self.v_thresh, 1))
        silent = replace(self, tau_refrac=self.time_step if not np.any(self.tau_refrac) else 0)
        return {
            "threshold comparison": {"fires above the threshold, not at it": later},
            "reset": {"with another refractory time: one step where there is none, none where there is one": silent},
        }

    @cached_property
    def resistance(self) -> Integers:
        """R as the core works it out, raw."""
        return divide(self.tau_m, self.cm)

    @cached_property
    def refractory_steps(self) -> Integers:
        """T_refract: tau_refrac / time_step, rounded up to whole steps."""
        return -(-divide(self.tau_refrac, self.time_step) >> FRACTION_BITS)

    @cached_property
    def _keeps_input(self) -> bool:
        """Whether E or I can be other than 0 before a step."""
        return bool(np.any(self.isyn_exc) or np.any(self.isyn_inh))

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        state = {"v": fill(self.v_init, shape, dtype)}
        if np.any(self.refractory_steps):
            state["refract_timer"] = np.zeros(shape, dtype=dtype)
        if self._keeps_input:
            state["exc"] = fill(self.isyn_exc, shape, dtype)
            state["inh"] = fill(self.isyn_inh, shape, dtype)
        return state

    def step(self, state: State, current: Array) -> NDArray[np.uint8]:
        exc, inh = self.synaptic_input(state, current)
        v = self.integrated(state["v"], exc, inh)
        timer = state.get("refract_timer")
        if timer is not None:
            v = np.where(timer > 0, state["v"], v)
        fired: NDArray[np.bool_] = v >= self.v_thresh
        state["v"] = np.where(fired, self.v_reset, v)
        if timer is not None:
            state["refract_timer"] = np.where(fired, self.refractory_steps, np.maximum(timer - 1, 0))
        if self._keeps_input:
            state["exc"], state["inh"] = self.carried(exc, inh)
        return fired.astype(np.uint8)

    def synaptic_input(self, state: State, current: Array) -> tuple[Array, Array]:
        """E and I of this step, raw, which sPyNNaker records as `gsyn_exc` and `gsyn_inh`; changes nothing.

        Args:
            state: before the step.
            current: as for `step`.
        """
        x_exc, x_inh = into_accum(current[0], self.shift_exc), into_accum(current[1], self.shift_inh)
        exc, inh = self.arriving(x_exc, x_inh)
        if not self._keeps_input:
            return exc, inh
        return wrap(state["exc"] + exc), wrap(state["inh"] + inh)

    def arriving(self, x_exc: Array, x_inh: Array) -> tuple[Array, Array]:
        """What buffers of x_exc and x_inh add to E and I; as they are, where input lasts one step."""
        return x_exc, x_inh

    @abstractmethod
    def integrated(self, v: Array, exc: Array, inh: Array) -> Array:
        """The potential after integration of a neuron that is not refractory."""

    def carried(self, exc: Array, inh: Array) -> tuple[Array, Array]:
        """E and I that are left for the next step; nothing, where input lasts one step."""
        return np.zeros_like(exc), np.zeros_like(inh)


@dataclass(frozen=True, eq=False, repr=False)
class IFTruncDelta(SpinnakerNeuron):
    """`IF_trunc_delta`: no leak, and a floor at the reset potential; input lasts one step.

    ::

        v := max(v + (E - I + i_offset) * R, v_reset)

    See `SpinnakerNeuron` for the rest of the step. Without refractory time a neuron can fire at every step, also
    from its own spike through a synapse to itself. `targets.spinnaker.layout_defect` says what sPyNNaker 7.4.1
    makes of its v_thresh.
    """

    kind: ClassVar[str] = "spinnaker.IFTruncDelta"

    def integrated(self, v: Array, exc: Array, inh: Array) -> Array:
        arrived = multiply(wrap(exc - inh + self.i_offset), self.resistance)
        return np.maximum(wrap(v + arrived), self.v_reset)

    def scan(self, largest_current: int) -> Scan | None:
        shifts, refractory = self._scan_shifts(), int(np.max(self.refractory_steps))
        # In a scan a neuron does not fire while it is refractory; here one whose v_reset reaches v_thresh would.
        lasting = refractory and np.any(np.greater_equal(self.v_reset, self.v_thresh))
        if type(self) is not IFTruncDelta or shifts is None or self._keeps_input or lasting:
            return None
        if np.any(np.not_equal(self.refractory_steps, refractory)):
            return None
        bias = np.left_shift(self.i_offset, shifts[1], dtype=np.int64)
        above = np.subtract(self.v_thresh, 1, dtype=np.int64)
        drive = (int(saturated(largest_current)) << sum(shifts)) + int(np.max(np.abs(bias)))
        highest = max(int(np.max(level)) for level in (self.v_init, self.v_reset, above))
        lowest = min(int(np.min(level)) for level in (self.v_init, self.v_reset))
        return Scan(
            shift=sum(shifts),
            bias=bias,
            wrap=None if lowest - drive >= SMALLEST and highest + drive <= LARGEST else ACCUM,
            low=self.v_reset,
            above=above,
            reset=self.v_reset,
            refractory=refractory,
            ceiling=None if largest_current <= RING.maximum else RING.maximum,
        )

    def _scan_shifts(self) -> tuple[int, int] | None:
        """The ring buffers' shift, and R as a shift; None where they are not the same for all, or R is no such power.

        Sums wrap, so that shifts in front of one another are one shift.
        """
        given = (np.unique(np.append(self.shift_exc, self.shift_inh)), np.unique(self.resistance))
        if any(len(values) > 1 for values in given):
            return None
        ring, resistance = (int(values[0]) for values in given)
        doublings = resistance.bit_length() - 1 - FRACTION_BITS
        return (ring, doublings) if doublings >= 0 and resistance == ONE << doublings else None


@dataclass(frozen=True, eq=False, repr=False)
class _Leaky(SpinnakerNeuron):
    """Neurons whose potential leaks to v_rest."""

    v_rest: Operand = 0

    def _quotients(self) -> Iterator[tuple[str, str]]:
        yield from super()._quotients()
        yield "time_step", "tau_m"

    @cached_property
    def membrane_decay(self) -> Integers:
        """exp_TC = expk(-time_step / tau_m), raw."""
        return exp_accum(-divide(self.time_step, self.tau_m))

    def _leaked(self, v: Array, arrived: Array) -> Array:
        alpha = wrap(multiply(arrived, self.resistance) + self.v_rest)
        return wrap(alpha - multiply(self.membrane_decay, wrap(alpha - v)))


@dataclass(frozen=True, eq=False, repr=False)
class IFCurrDelta(_Leaky):
    """`IF_curr_delta`: leaky; input lasts one step.

    With S = 1 / time_step (kdivk) and exp_TC = expk(-time_step / tau_m)::

        a := (E * S - I * S + i_offset) * R + v_rest
        v := a - exp_TC * (a - v)

    See `SpinnakerNeuron` for the rest of the step. Where tau_m is so long that exp_TC rounds to 1, v never moves.

    Attributes:
        v_rest: where the potential leaks to.
    """

    kind: ClassVar[str] = "spinnaker.IFCurrDelta"

    @cached_property
    def input_scale(self) -> Integers:
        """S, raw."""
        return divide(ONE, self.time_step)

    def integrated(self, v: Array, exc: Array, inh: Array) -> Array:
        scaled = multiply(exc, self.input_scale) - multiply(inh, self.input_scale)
        return self._leaked(v, wrap(scaled + self.i_offset))


@dataclass(frozen=True, eq=False, repr=False)
class IFCurrExp(_Leaky):
    """`IF_curr_exp`: leaky; input decays exponentially.

    For each sign, with 32-bit fractions d = expulr(-time_step / tau_syn) and init = tau_syn / time_step * (1 - d),
    and exp_TC = expk(-time_step / tau_m)::

        arriving (x) := x * init >> 32
        a := (E - I + i_offset) * R + v_rest
        v := a - exp_TC * (a - v)
        carried (E)  := E * d >> 32                      (toward minus infinity)

    See `SpinnakerNeuron` for the rest of the step. With tau_syn = 2048 (1/16 ms at a time step of 1 ms) d is 0 and
    the input lasts one step: E = floor(x * (2**28 - 1) / 2**32), which is ceil(x / 16) - 1 for 0 < x < 2**28.

    Attributes:
        v_rest: where the potential leaks to.
        tau_syn_exc, tau_syn_inh: decay times of E and I in ms, above 0.
    """

    kind: ClassVar[str] = "spinnaker.IFCurrExp"
    tau_syn_exc: Operand = 5 * ONE
    tau_syn_inh: Operand = 5 * ONE

    def _quotients(self) -> Iterator[tuple[str, str]]:
        yield from super()._quotients()
        for tau_syn in ("tau_syn_exc", "tau_syn_inh"):
            yield "time_step", tau_syn
            yield tau_syn, "time_step"

    @cached_property
    def synaptic_decays(self) -> tuple[Integers, Integers]:
        """d for E and I, in 2**-32."""
        exc, inh = (exp_fraction(-divide(self.time_step, tau)) for tau in (self.tau_syn_exc, self.tau_syn_inh))
        return exc, inh

    @cached_property
    def input_fractions(self) -> tuple[Integers, Integers]:
        """init for E and I, in 2**-32."""
        exc, inh = (
            (divide(tau, self.time_step) * (_FRACTION_ONE - decay) >> FRACTION_BITS) & _FRACTION_ONE
            for tau, decay in zip((self.tau_syn_exc, self.tau_syn_inh), self.synaptic_decays, strict=True)
        )
        return exc, inh

    @cached_property
    def _keeps_input(self) -> bool:
        started = bool(np.any(self.isyn_exc) or np.any(self.isyn_inh))
        return started or any(np.any(decay) for decay in self.synaptic_decays)

    def arriving(self, x_exc: Array, x_inh: Array) -> tuple[Array, Array]:
        fractions = self.input_fractions
        return scale(x_exc, fractions[0]), scale(x_inh, fractions[1])

    def integrated(self, v: Array, exc: Array, inh: Array) -> Array:
        return self._leaked(v, wrap(exc - inh + self.i_offset))

    def carried(self, exc: Array, inh: Array) -> tuple[Array, Array]:
        decays = self.synaptic_decays
        return scale(exc, decays[0]), scale(inh, decays[1])
