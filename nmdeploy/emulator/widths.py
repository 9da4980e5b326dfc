"""Which types are wide enough, proven from static bounds before a run starts.

Magnitudes are Python integers, so they cannot overflow themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from nmdeploy.bounds import potential_driven_by, projection_bound
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.signs import parts
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, NeuronModel
from nmdeploy.structure import field_names
from quantize import Bound

INT64_LARGEST = (1 << 63) - 1
INT32_LARGEST = (1 << 31) - 1
INT16_LARGEST = (1 << 15) - 1

FLOAT32_EXACT = 1 << 24
"""Sums of integers whose partial sums stay below this are exact in float32 (IEEE 754: 24-bit significand)."""

FLOAT64_EXACT = 1 << 53
"""The same for float64 (53-bit significand)."""


@dataclass(frozen=True)
class Part:
    """A projection, or its half by sign, with what is proven of it.

    Attributes:
        projection: as from `signs.parts`.
        magnitude: no partial sum of its linear maps is larger in magnitude.
        scaled: the range of its sums after the exponent, before the accumulator.
    """

    projection: Projection
    magnitude: int
    scaled: Bound

    @property
    def delivered(self) -> Bound:
        """The range after the accumulator."""
        form = self.projection.accumulator
        return self.scaled if form is None else self.scaled.within(form)


@dataclass(frozen=True)
class Widths:
    """What is proven of one population.

    Attributes:
        entering: the projections that enter, each whole or in halves by sign.
        potential: no potential, and no sum on the way to it, is larger in magnitude;
            None for neuron models other than the ideal ones, which state their own widths.
    """

    entering: tuple[tuple[Part, ...], ...]
    potential: int | None


def check_integer(network: Network) -> None:
    """Refuse networks that integer emulation cannot mean.

    Raises:
        UsageError: for float networks, and for uint64 numbers, which numpy would mix with int64 as float64.
    """
    if not network.is_integer:
        raise UsageError(
            "a network with real weights or parameters cannot be emulated in integers",
            where=network.name,
            hint="quantize it first (nmdeploy.to_integers), or run nmdeploy.simulate",
        )
    numbers = [(p.name, synapse.weight) for p in network.projections for synapse in p.synapses]
    for population in network.populations:
        if population.neuron is not None:
            neuron = population.neuron
            numbers += [(population.name, getattr(neuron, field)) for field in field_names(neuron)]
    for where, value in numbers:
        if isinstance(value, np.ndarray) and value.dtype == np.uint64:
            raise UsageError("numbers of type uint64 share no integer type with others", where=where)


def linear_type(magnitude: int) -> np.dtype[Any]:
    """The fastest type in which sums with this bound on every partial sum are exact."""
    if magnitude < FLOAT32_EXACT:
        return np.dtype(np.float32)
    return np.dtype(np.float64 if magnitude < FLOAT64_EXACT else np.int64)


_PROVEN: Memo[dict[str, Widths]] = Memo()


def prove_widths(network: Network, steps: int) -> dict[str, Widths]:
    """Prove that int64 holds every sum, current and potential of a run.

    Returns:
        What is proven, by the name of each population that is no input.

    Raises:
        UsageError: naming the projection or population where the proof fails.
    """

    def prove() -> dict[str, Widths]:
        return {p.name: _widths(network, p, steps) for p in network.populations if not p.is_input}

    return _PROVEN.get(network, steps, prove)


def _widths(network: Network, population: Population, steps: int) -> Widths:
    entering = tuple(
        tuple(_part(network, part) for part in parts(network, projection))
        for projection in network.into(population.name)
    )
    current = sum(part.delivered.magnitude for whole in entering for part in whole)
    _require("currents", population.name, current)
    neuron = population.neuron
    if not is_ideal(neuron):
        return Widths(entering, None)
    first, *others = (part.delivered for whole in entering for part in whole)  # whole: ideal neurons take no halves
    bound = potential_driven_by(neuron, sum(others, first), population.shape, steps)
    numbers = [getattr(neuron, name) for name in ideal_parameters(neuron)]
    potential = bound.magnitude + current + sum(_magnitude(number) for number in numbers if number is not None)
    _require(f"potentials in {steps} steps", population.name, potential)
    return Widths(entering, potential)


def _part(network: Network, projection: Projection) -> Part:
    bound = projection_bound(network, projection)
    scaled = bound.times_power_of_two(projection.exponent)
    _require("sums", projection.name, max(bound.magnitude, scaled.magnitude))
    return Part(projection, bound.magnitude, scaled)


def is_ideal(neuron: NeuronModel | None) -> TypeGuard[IF | Integrator]:
    """Whether the neuron is one whose arithmetic is known here; a subclass may step otherwise."""
    return type(neuron) in (IF, Integrator)


def ideal_parameters(neuron: IF | Integrator) -> tuple[str, ...]:
    """Names of the parameters that are in units of potential."""
    return ("threshold", "bias", "v_init", "v_min") if isinstance(neuron, IF) else ("bias", "v_init")


def _magnitude(value: Any) -> int:
    return max(abs(int(np.min(value))), abs(int(np.max(value))))


def _require(what: str, where: str, bound: int) -> None:
    if bound > INT64_LARGEST:
        raise UsageError(
            f"{what} could leave 64-bit integers",
            where=where,
            found=f"{bound.bit_length() + 1} bits",
            limit="64 bits",
            hint="use smaller weights or exponents, fewer steps, or give the neuron a potential format",
        )
