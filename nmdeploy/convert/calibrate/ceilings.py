"""Bounds of rectifiers (ReLU6) in the terms of the spiking network."""

from __future__ import annotations

from nmdeploy.ann.graph import AnnGraph, Rectify
from nmdeploy.convert.names import population_names
from nmdeploy.convert.terms import pre_activations
from nmdeploy.network import Network


def bounded_rates(graph: AnnGraph, network: Network) -> dict[str, float]:
    """The largest activation of every population whose rectifier is bounded, in units of its rate.

    Args:
        graph: the trained network.
        network: `to_spiking` of it, not calibrated yet.
    """
    bounds = {node.name: node.operation.maximum for node in graph.nodes if isinstance(node.operation, Rectify)}
    if all(bound is None for bound in bounds.values()):
        return {}
    names = population_names(graph, pre_activations(graph))
    found = {}
    for node, name in names.items():
        bound = bounds.get(node)
        if bound is not None:
            found[name] = bound / network[name].rate_scale
    return found
