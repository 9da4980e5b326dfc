"""What every neuron model is: a frozen record of parameters with a `step` that every emulator obeys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import EmulationOverflow
from nmdeploy.linear_maps import Array
from nmdeploy.neurons.steps import EventRule, Number, Scan
from nmdeploy.structure import Record, field_names
from quantize import IntegerFormat, OutOfRange

State = dict[str, Array]
"""State variables by name, each `[N, *shape]`; `v` is the membrane potential."""


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
            largest_current: no current of a run is larger in magnitude (proven); with `separate_signs`, no sum of
                either sign.
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
