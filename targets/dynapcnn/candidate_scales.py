"""The scales that the search of `best` tries for a layer."""

from __future__ import annotations

import numpy as np

from nmdeploy.convert.channels import chain_weights
from nmdeploy.convert.integers import ideal_neuron
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.neurons import IF
from nmdeploy.target import Precision
from quantize import Format, find_scale
from targets.dynapcnn.losses import losses

SHARES = (1.0, 0.98, 0.95, 0.91, 0.86, 0.8, 0.73, 0.65, 0.56, 0.46, 0.35, 0.25)
"""Candidates as shares of the scale that clips nothing."""
WIDENED = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Multiples of it, for neurons that only integrate: their potentials must not reach the ends of 16 bits."""
COARSE = 64
"""A threshold of fewer units than this is worth keeping exact."""


class LayerScales:
    """The scales that come into question for a layer.

    Args:
        network: the float network.
        population: the layer's neurons.
        formats: of the chip.

    Attributes:
        least: below it a parameter of the neuron does not fit.
        unclipped: the smallest that clips no weight.
        widest: the same, unless the threshold would vanish; then the widest at which it is 1.
        threshold: the firing threshold; infinite for a neuron that only integrates.
    """

    def __init__(self, network: Network, population: Population, formats: Precision) -> None:
        self.population, self.formats = population, formats
        self.incoming = [chain_weights(network, projection) for projection in network.into(population.name)]
        neuron = ideal_neuron(population, formats)
        weights = np.concatenate([np.ravel(each.weight) for each in self.incoming])
        state = [("threshold", formats.threshold), ("v_min", formats.threshold), ("v_init", formats.threshold)]
        bias = [("bias", formats.bias)] if formats.bias is not None else []
        values = [(getattr(neuron, name, None), form) for name, form in (*state, *bias)]
        needed = [_fitting(np.asarray(value), form) for value, form in values if value is not None]
        self.least = max(needed)
        self.threshold = float(np.min(neuron.threshold)) if isinstance(neuron, IF) else np.inf
        self.unclipped = max(_fitting(weights, formats.weights), self.least) or 1.0
        self.widest = max(min(self.unclipped, self.threshold), self.least)

    def candidates(self) -> list[float]:
        """Scales to try; of equally good ones the first is the best."""
        found = [max(share * self.widest, self.least) for share in SHARES]
        if np.isinf(self.threshold):
            found += [times * self.widest for times in WIDENED]
        units = self.threshold / self.widest
        if units < COARSE:
            found += [self.threshold / whole for whole in (np.floor(units), np.ceil(units), 2 * np.ceil(units))]
        return list(dict.fromkeys(max(each, self.least) for each in found))

    def losses(self, scale: float) -> str:
        """What the layer loses."""
        return losses(self.population, self.incoming, scale, self.formats)


def _fitting(values: Array, form: Format) -> float:
    """The smallest scale at which nothing is clipped; 0 for values that are all 0."""
    return float(find_scale(values, form)) if np.any(values) else 0.0
