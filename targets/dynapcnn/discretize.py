"""The scheme `sinabs`: integers bit for bit as sinabs 3.1.3 makes them (sinabs/backend/dynapcnn/discretize.py).

Everything is computed in float32, as torch does. One factor per layer scales weights,
bias, thresholds and initial potentials, which then round half to even::

    factor(x, bits) = |hi / max|  where |min| <= |max| * float32(|lo / hi|),  else |lo / min|
    factor = min( factor(weights, 8), factor(bias, 8), factor((min_v_mem, threshold), 16), factor(v_mem, 16) )

with lo = -2**(bits-1), hi = 2**(bits-1) - 1. A quotient of a whole number and a tensor is, in
torch, the number times the reciprocal of the tensor, which often differs from the quotient in
the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.convert.channels import ChainWeights, chain_weights
from nmdeploy.convert.integers import ideal_neuron
from nmdeploy.errors import QuantizationError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, Number
from nmdeploy.target import Precision
from quantize import IntegerFormat
from targets.dynapcnn.losses import losses

Reals = NDArray[np.float32]


def discretization_factor(values: Array, bits: int) -> np.float32:
    """sinabs' `determine_discretization_scale`: the largest factor with which float32 `values` fit `bits` bits.

    Returns:
        The factor; infinite for values that are all 0.
    """
    form = IntegerFormat(bits)
    real = np.asarray(values, dtype=np.float32)
    least, most = real.min(), real.max()
    ratio = np.float32(abs(form.minimum / form.maximum))
    positive = np.abs(least) <= np.abs(most) * ratio
    end, value = (form.maximum, most) if positive else (form.minimum, least)
    with np.errstate(divide="ignore", over="ignore"):
        factor: np.float32 = np.abs(np.float32(1) / value * np.float32(end))
    return factor


def discretized(values: Array, factor: np.float32) -> NDArray[np.int64]:
    """sinabs' `discretize_tensor`: float32 `values` times the factor, rounded half to even."""
    return np.asarray(np.rint(np.asarray(values, dtype=np.float32) * np.float32(factor)), dtype=np.int64)


def common_pooling_factor(factors: Sequence[float], share: float = 0.5) -> float:
    """sinabs' `rescale_method_1`: the factor of a layer that average pools of several sources feed.

    Args:
        factors: 1 / area of each source's pools.
        share: of the mean, where they differ.
    """
    return factors[0] if len(set(factors)) == 1 else round(float(np.mean(factors)) * share, 2)


def discretize(network: Network, precision: Precision) -> Network:
    """Bring a float network to integers as sinabs does.

    Average pooling stands in the network as sum pooling with 1 / area in the weights, which is
    what sinabs makes of it. A neuron without a floor counts as one of -32768, as in sinabs; its
    factor is then at most 1.

    Args:
        network: float `IF` and `Integrator` neurons, one threshold and one floor a population.
        precision: of the chip and profile.

    Raises:
        QuantizationError: for a bias where the profile has none, thresholds that differ within a population,
            a threshold that rounds to 0.
    """
    if network.is_integer:
        return network
    made = {p.name: _Layer(network, p, precision) for p in network.populations if p.neuron is not None}
    arriving = {name: iter(layer.projections()) for name, layer in made.items()}
    return replace(
        network,
        populations=tuple(made[p.name].integer_population() if p.name in made else p for p in network.populations),
        projections=tuple(next(arriving[projection.target]) for projection in network.projections),
        notes=(*network.notes, *(note for layer in made.values() for note in layer.notes())),
    )


def with_default_floor(network: Network) -> Network:
    """The network with neurons as `sinabs.from_torch.from_model` makes them: no floor becomes -1 threshold."""

    def floored(population: Population) -> Population:
        neuron = population.neuron
        if not isinstance(neuron, IF) or neuron.v_min is not None:
            return population
        return replace(population, neuron=replace(neuron, v_min=np.negative(neuron.threshold)))

    return network if network.is_integer else replace(network, populations=tuple(map(floored, network.populations)))


class _Layer:
    """A population with what enters it, and the factor they share."""

    def __init__(self, network: Network, population: Population, precision: Precision) -> None:
        self.population, self.precision = population, precision
        self.neuron: IF | Integrator = ideal_neuron(population, precision)
        self.incoming = [chain_weights(network, projection) for projection in network.into(population.name)]
        weights = np.concatenate([np.ravel(each.weight).astype(np.float32) for each in self.incoming])
        state = precision.threshold.bits
        candidates = [
            discretization_factor(weights, precision.weights.bits),
            discretization_factor(np.asarray(self.neuron.bias), precision.weights.bits),
            discretization_factor(np.asarray(self.neuron.v_init), state),
        ]
        if isinstance(self.neuron, IF):
            candidates.append(discretization_factor(self._thresholds(self.neuron), state))
        finite = [each for each in candidates if np.isfinite(each)]
        self.factor = min(finite) if finite else np.float32(1)

    def _thresholds(self, neuron: IF) -> Reals:
        """(floor, threshold), one of each."""
        floor = self.precision.threshold.minimum if neuron.v_min is None else neuron.v_min
        for name, value in (("threshold", neuron.threshold), ("floor", floor)):
            if np.min(value) != np.max(value):
                hint = "use one for all neurons of a layer"
                message = f"the chip has one {name} for all neurons of a core"
                raise QuantizationError(
                    message, where=self.population.name, found=f"{np.min(value)}..{np.max(value)}", hint=hint
                )
        return np.array([np.min(floor), np.max(neuron.threshold)], dtype=np.float32)

    def integer_population(self) -> Population:
        """The population in integers."""
        changed: dict[str, Number] = {name: self._integers(getattr(self.neuron, name)) for name in ("bias", "v_init")}
        if isinstance(self.neuron, IF):
            floor, threshold = map(int, discretized(self._thresholds(self.neuron), self.factor))
            changed |= {"v_min": floor, "threshold": threshold}
            if threshold < 1:
                raise self._threshold_vanishes()
        neuron: Any = self.neuron
        scale = self.population.potential_scale / float(self.factor)
        return replace(self.population, neuron=replace(neuron, **changed), potential_scale=scale)

    def _integers(self, value: Number) -> Number:
        integers = discretized(np.asarray(value), self.factor)
        return integers if integers.ndim else int(integers)

    def _threshold_vanishes(self) -> QuantizationError:
        return QuantizationError(
            "the threshold rounds to 0, which sinabs lets through",
            where=self.population.name,
            found=f"{np.min(getattr(self.neuron, 'threshold', 0)) * self.factor:.3g} units of a weight",
            limit="at least 1 after rounding",
            hint="its weights are too large beside it: normalize the network, or take the scheme 'best'",
        )

    def _weights(self, weights: ChainWeights) -> Array:
        return discretized(weights.weight, self.factor).astype(self.precision.weights.storage)

    def projections(self) -> list[Projection]:
        """The projections that enter, in integers."""
        return [each.with_weight(self._weights(each)) for each in self.incoming]

    def notes(self) -> list[str]:
        """What was lost."""
        found = [losses(self.population, self.incoming, 1 / float(self.factor), self.precision)]
        if isinstance(self.neuron, IF) and self.neuron.v_min is None:
            found.append(
                f"{self.population.name}: it has no floor, which sinabs counts as -32768, so that its factor is at "
                "most 1; the scheme 'sinabs' gives it the floor that sinabs.from_model does"
            )
        return found
