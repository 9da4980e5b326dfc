"""What exact mode can count on: 8-bit events, potentials of 16 bits, and where a layer's weights are on its core."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from nmdeploy.convert.exact.event_driven import EventDriven
from nmdeploy.convert.exact.sweep import Geometry
from nmdeploy.errors import FitError
from nmdeploy.target import Chip
from quantize import IntegerFormat
from targets.dynapcnn.link import as_map
from targets.dynapcnn.lower import Layout
from targets.dynapcnn.neuron import NO_FLOOR

if TYPE_CHECKING:
    from nmdeploy.network import Network


def exact_rules(chip: Chip) -> EventDriven:
    """Potentials from `NO_FLOOR` to the highest threshold that no event leaves 16 bits from: the safe envelope."""
    weights = IntegerFormat(chip.limit("weight_bits"))
    highest = IntegerFormat(chip.limit("state_bits")).maximum - weights.maximum
    return EventDriven(weights, highest, NO_FLOOR, partial(geometries, chip=chip))


def geometries(network: Network, chip: Chip) -> Mapping[str, Geometry]:
    """The convolution that a core computes of what enters each population of a network of ideal neurons.

    Raises:
        FitError: for what cores cannot express.
    """
    layout = Layout(network, chip)
    if layout.refused:
        raise FitError(chip.title, layout.refused)
    found: dict[str, Geometry] = {}
    for projection, chain in zip(network.projections, layout.chains, strict=True):
        source, conv = network[projection.source], chain[-1]
        sent = source.shape if source.is_input else layout.shapes[source.name]
        read = as_map(reduce(lambda shape, synapse: synapse.out_shape(shape), chain[:-1], sent))
        found[projection.target] = _geometry(conv, read, as_map(layout.shapes[projection.target]))
    return found


def _geometry(conv: Any, read: tuple[int, int, int], made: tuple[int, int, int]) -> Geometry:
    return Geometry(read[1:], made, conv.weight.shape[2:], conv.stride, conv.padding)
