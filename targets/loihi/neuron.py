"""Loihi's integer LIF neuron, stated once.

The arithmetic is that of the fixed-point LIF of Lava 0.10.0 (`lava/proc/lif/models.py`,
`PyLifModelBitAcc` and `PyLifResetModelBitAcc`), corners included. Where the chip itself is
known to differ from Lava, `targets.loihi.rules` keeps networks out of that range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.neurons import Array, NeuronModel, Number, Scan, State, fill
from nmdeploy.structure import field_names

ALIGNMENT = 6
"""Input and threshold are shifted left by 6 bits to line up with u and v (Lava `act_shift`, `vth_shift`)."""
DECAY_BITS = 12
"""Decays are in units of 2**-12 (Lava `decay_shift`)."""
DECAY_OFFSET_U = 1
"""Added to du, never to dv (Loihi's registers ds_offset = 1 and dm_offset = 0)."""
EDGE = 1 << 23
"""u and v are signed 24-bit integers (Lava `max_uv_val`)."""
FORGET = (1 << DECAY_BITS) - DECAY_OFFSET_U
"""The du of a neuron whose current lasts one step: 4095."""

_INT32_MASK = (1 << 32) - 1
_INT32_EDGE = 1 << 31
_INT32 = (-_INT32_EDGE, _INT32_EDGE - 1)
_PARAMETER_RANGES = {
    # What the arithmetic means; the chip's own, narrower ranges are design rules.
    "vth": _INT32,
    "du": (-1, 1 << DECAY_BITS),
    "dv": (0, 1 << DECAY_BITS),
    "bias_mant": _INT32,
    "bias_exp": (-31, 31),
    "u_init": _INT32,
    "v_init": _INT32,
}


def wrap_int32(values: Array) -> NDArray[np.int64]:
    """`values` modulo 2**32 into -2**31..2**31-1, the overflow of Lava's int32 arrays."""
    wrapped: NDArray[np.int64] = ((values + _INT32_EDGE) & _INT32_MASK) - _INT32_EDGE
    return wrapped


def wrap_current(u: Array) -> NDArray[np.int64]:
    """u as int32, brought back by 2**24 once where it is above +2**23 or not above -2**23.

    +2**23 itself stays and -2**23 becomes +2**23; values beyond three times the edge
    stay out of range, as in Lava.
    """
    if u.min() > -EDGE and u.max() <= EDGE:
        return u
    u = wrap_int32(u)
    low = np.where(u <= -EDGE, u + 2 * EDGE, u)
    return np.where(u > EDGE, u - 2 * EDGE, low)


def decayed(values: Array, decay: Number) -> NDArray[np.int64]:
    """values * (4096 - decay) / 4096, rounded toward zero; broadcasts to the shape of `values`."""
    if np.ndim(decay) == 0 and decay in (0, 1 << DECAY_BITS):  # the pure IF; same values, less work
        kept: NDArray[np.int64] = values if decay == 0 else np.zeros((1,) * values.ndim, dtype=np.int64)
        return kept
    product = values * ((1 << DECAY_BITS) - np.asarray(decay, dtype=np.int64))
    rounded: NDArray[np.int64] = np.sign(product) * (np.abs(product) >> DECAY_BITS)
    return rounded


@dataclass(frozen=True, eq=False, repr=False)
class LoihiLIF(NeuronModel):
    """Loihi's leaky integrate-and-fire neuron in integers.

    One step, with a the sum of everything received, trunc rounding toward zero::

        u := trunc(u * (4096 - (du + 1)) / 4096) + int32(a << 6)
        u := u - 2**24 if u > 2**23;  u + 2**24 if u <= -2**23       (once, not modulo)
        v := trunc(v * (4096 - dv) / 4096) + u + bias
        v := min(max(v, -(2**23 - 1)), 2**23 - 1)                    (saturates)
        s := [v > vth * 2**6]
        v := 0 where s                                               (u is kept)

    bias is `bias_mant << bias_exp`, or an arithmetic right shift for a negative
    exponent. With du = 4095 and dv = 0 it is a plain integrate-and-fire neuron whose v
    counts 1/64 of a weight unit.

    All parameters are integers, or integer arrays that broadcast to the population.

    Attributes:
        vth: threshold mantissa, in weight units; documented range 0..131071.
        du: decay of the current; 4095 forgets it within the step, -1 never.
        dv: decay of the potential; 0 for no leak.
        bias_mant, bias_exp: mantissa (-4096..4095 on the chip) and exponent (0..7).
        u_init, v_init: state before the first step, in 1/64 of a weight unit.
    """

    kind: ClassVar[str] = "loihi.LIF"
    vth: Number
    du: Number = FORGET
    dv: Number = 0
    bias_mant: Number = 0
    bias_exp: Number = 0
    u_init: Number = 0
    v_init: Number = 0

    def __post_init__(self) -> None:
        self.freeze_arrays()

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if not self.is_integer:
            return [*found, "all parameters must be integers"]
        for name, (low, high) in _PARAMETER_RANGES.items():
            value = getattr(self, name)
            if np.min(value) < low or np.max(value) > high:
                worst = np.min(value) if np.min(value) < low else np.max(value)
                found.append(f"{name} is {worst}, it must be in {low}..{high}")
        return found

    @property
    def bias(self) -> Array:
        """What is added to v at every step, int64, in 1/64 of a weight unit."""
        mantissa = np.asarray(self.bias_mant, dtype=np.int64)
        exponent = np.asarray(self.bias_exp, dtype=np.int64)
        return np.where(exponent >= 0, mantissa << np.maximum(exponent, 0), mantissa >> np.maximum(-exponent, 0))

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        return {"u": fill(self.u_init, shape, dtype), "v": fill(self.v_init, shape, dtype)}

    def step(self, state: State, current: Array) -> NDArray[np.uint8]:
        # Lava wraps the shifted input and its sum with u to int32; one wrap at the end is the same modulo 2**32.
        arrived = current.astype(np.int64, copy=False) << ALIGNMENT
        u = wrap_current(decayed(state["u"], np.add(self.du, DECAY_OFFSET_U, dtype=np.int64)) + arrived)
        v = np.clip(decayed(state["v"], self.dv) + u + self.bias, -EDGE + 1, EDGE - 1)
        fired: NDArray[np.bool_] = v > np.left_shift(self.vth, ALIGNMENT, dtype=np.int64)
        state["u"], state["v"] = u, self._reset(v, fired)
        return fired.astype(np.uint8)

    def _reset(self, v: Array, fired: Array) -> Array:
        """The potential after the spikes of this step."""
        return np.where(fired, 0, v)

    def scan(self, largest_current: int) -> Scan | None:
        return self._scan(largest_current, None) if type(self) is LoihiLIF else None

    def misreadings(self) -> Mapping[str, Mapping[str, NeuronModel]]:
        # In weight units: v > vth is v >= vth + 1 for the multiples of 64 that potentials of lowered networks are.
        comparisons = {"fires at the threshold": replace(self, vth=np.maximum(np.subtract(self.vth, 1), 0))}
        comparisons["fires one unit later"] = replace(self, vth=np.add(self.vth, 1))
        shared = {name: getattr(self, name) for name in field_names(self) if name in field_names(LoihiLIF)}
        resets: dict[str, NeuronModel] = {}
        if type(self) is LoihiLIF:
            resets["reset by subtraction"] = LoihiLIFSubtract(**shared, subtrahend=np.add(self.vth, 1))
        if type(self) is LoihiLIFSubtract:
            resets["reset to zero"] = LoihiLIF(**shared)
        return {"threshold comparison": comparisons, "reset": resets}

    def _scan(self, largest_current: int, subtract: Number | None) -> Scan | None:
        """The step where u lasts one step and cannot wrap, and v does not leak."""
        lasting = np.any(np.not_equal(self.du, FORGET)) or np.any(np.not_equal(self.dv, 0))
        if lasting or largest_current << ALIGNMENT >= EDGE:
            return None
        threshold = np.left_shift(self.vth, ALIGNMENT, dtype=np.int64)
        return Scan(ALIGNMENT, self.bias, low=-EDGE + 1, high=EDGE - 1, above=threshold, subtract=subtract)


@dataclass(frozen=True, eq=False, repr=False)
class LoihiLIFReset(LoihiLIF):
    """`LoihiLIF` whose u and v are cleared before the update of every `interval`-th step.

    With k the step counted from 1 as Lava does, the clearing happens where
    k mod interval = offset mod interval. It separates samples; it is no reset by
    subtraction.

    Attributes:
        interval: steps between two clearings, at least 1.
        offset: which of the steps of an interval clears.
    """

    kind: ClassVar[str] = "loihi.LIFReset"
    interval: int = 1
    offset: int = 0

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if self.interval < 1:
            found.append(f"interval is {self.interval}, it must be at least 1")
        return found

    def initial_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        steps = np.zeros(shape, dtype=np.int64)
        return {**super().initial_state(shape, dtype), "steps": steps}

    def step(self, state: State, current: Array) -> NDArray[np.uint8]:
        state["steps"] = state["steps"] + 1
        clears = self.clears(state["steps"])
        state["u"] = np.where(clears, 0, state["u"])
        state["v"] = np.where(clears, 0, state["v"])
        return super().step(state, current)

    def clears(self, steps: Array) -> NDArray[np.bool_]:
        """Whether steps, counted from 1, clear."""
        cleared: NDArray[np.bool_] = steps % self.interval == self.offset % self.interval
        return cleared


@dataclass(frozen=True, eq=False, repr=False)
class LoihiLIFSubtract(LoihiLIF):
    """`LoihiLIF` with reset by subtraction: where it fires, v := v - subtrahend * 2**6.

    Lava's own LIF resets to zero; this is its fixed-point model with `reset_voltage`
    overridden. On Loihi 1 it stands for NxTF's pair of compartments (Rueckauer et al.,
    ACM JETC 18(3), 2022): a dendrite that never resets, and a soma whose spike comes back
    to the dendrite one step later through an inhibitory synapse of weight -subtrahend.
    The spikes are the same where the current lasts one step (du = 4095), nothing leaks
    (dv = 0), and the current, the inhibition included, does not wrap.

    Attributes:
        subtrahend: what a spike takes off, in weight units, 1..131072. A neuron that fires
            at v >= T has vth = T - 1 and subtrahend = T.
    """

    kind: ClassVar[str] = "loihi.LIFSubtract"
    subtrahend: Number = field(kw_only=True)

    def faults(self, shape: tuple[int, ...]) -> list[str]:
        found = super().faults(shape)
        if np.min(self.subtrahend) < 1 or np.max(self.subtrahend) > EDGE >> ALIGNMENT:
            worst = np.min(self.subtrahend) if np.min(self.subtrahend) < 1 else np.max(self.subtrahend)
            found.append(f"subtrahend is {worst}, it must be in 1..{EDGE >> ALIGNMENT}")
        return found

    def scan(self, largest_current: int) -> Scan | None:
        if type(self) is not LoihiLIFSubtract:
            return None
        return self._scan(largest_current, np.left_shift(self.subtrahend, ALIGNMENT, dtype=np.int64))

    def _reset(self, v: Array, fired: Array) -> Array:
        after: Array = v - fired * np.left_shift(self.subtrahend, ALIGNMENT, dtype=np.int64)
        return after
