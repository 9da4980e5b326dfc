"""Populations are named after the layers people know."""

from __future__ import annotations

from collections.abc import Iterable

from nmdeploy.ann.graph import Add, AnnGraph, Concat, Linear
from nmdeploy.convert.merging import is_weighted
from nmdeploy.convert.terms import PreActivation, is_scale


def population_names(graph: AnnGraph, layers: Iterable[PreActivation]) -> dict[str, str]:
    """A unique population name for the source and every layer, by node name.

    A population is called after the last weighted layer before it (`conv1`); where
    there is none or its name is taken, after its own node; the source is `input`.
    """
    names = {graph.sources[0].name: "input"}
    for layer in layers:
        own = "output" if layer.node == graph.output else layer.node
        wanted = [_layer_before(graph, layer.value) or own, layer.node]
        wanted += [f"{wanted[0]}_{number}" for number in range(2, len(graph.nodes) + 3)]
        taken = set(names.values())
        names[layer.node] = next(name for name in wanted if name not in taken)
    return names


def _layer_before(graph: AnnGraph, name: str) -> str | None:
    """The nearest layer with weights at or before a node, not beyond a population."""
    node = graph[name]
    match node.operation:
        case Linear(synapse=synapse) if is_weighted(synapse) and not is_scale(synapse):
            return name
        case Linear() | Add() | Concat():
            return next(filter(None, (_layer_before(graph, operand) for operand in node.inputs)), None)
    return None
