"""The ways to bring a float network to the chip's integers, by the names that users give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from nmdeploy.network import Network
from nmdeploy.target import Chip, Quantizer
from targets.dynapcnn.discretize import discretize, with_default_floor
from targets.dynapcnn.precision import precision
from targets.dynapcnn.scale_search import search_scales

Samples = NDArray[Any] | None


def quantizers(chip: Chip, profile: str) -> Mapping[str, Quantizer]:
    """The schemes of the family.

    `sinabs`: bit for bit as sinabs' discretizer, for neurons that have the floor which
    `sinabs.from_torch.from_model` gives them unless they have one. `sinabs-discretizer`: without
    giving floors; a neuron that has none makes most weights 0 then, as in sinabs.
    `best`: scales searched on calibration samples.
    """
    formats = precision(chip, profile)

    def by_sinabs(network: Network, _samples: Samples) -> Network:
        return discretize(with_default_floor(network), formats)

    def by_discretizer(network: Network, _samples: Samples) -> Network:
        return discretize(network, formats)

    def by_search(network: Network, samples: Samples) -> Network:
        return search_scales(network, samples, chip, "chip" if profile == "readout" else profile)

    return {"sinabs": by_sinabs, "sinabs-discretizer": by_discretizer, "best": by_search}
