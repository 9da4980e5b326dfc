"""From a graph of operations to sums of linear terms.

Every `Rectify` and the graph's output become neurons. What enters them is a sum::

    z = bias + sum over terms ( chain(activation of the term's origin) )

where the origin is the network's input or another `Rectify`. Addition contributes
the terms of all its operands, concatenation those of its operands, each put in its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmdeploy.ann.graph import Add, AnnGraph, Concat, Linear, Node, Rectify, Source
from nmdeploy.convert.fold import DENSE_LIMIT, fold
from nmdeploy.convert.merging import Chain, is_padding, is_weighted
from nmdeploy.errors import ModelError
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Shape, Synapse


@dataclass(frozen=True)
class Term:
    """One summand of a pre-activation.

    Attributes:
        origin: name of the `Source` or `Rectify` node it comes from.
        chain: linear maps with exactly one weighted among them, float64.
        layers: names of the layers with weights it passes, in order.
    """

    origin: str
    chain: Chain
    layers: tuple[str, ...]

    def apply(self, activation: Array) -> Array:
        """The term's value for activations `[N, *shape]` of its origin."""
        for synapse in self.chain:
            activation = synapse.apply(activation)
        return activation


@dataclass(frozen=True)
class PreActivation:
    """What enters one population.

    Attributes:
        node: name of the `Rectify` node, or of the graph's output.
        value: name of the node whose value it is (the operand of `node`, or `node`).
        shape: without the sample axis.
        terms: the linear terms.
        bias: `[*shape]`, float64: the value where all origins are at rest.
        maximum: bound of the `Rectify`, or None.
    """

    node: str
    value: str
    shape: Shape
    terms: tuple[Term, ...]
    bias: Array
    maximum: float | None = None


def pre_activations(graph: AnnGraph, low: float = 0.0, *, rectify_output: bool = True) -> tuple[PreActivation, ...]:
    """The pre-activations of all populations that the output depends on, in order of computation.

    Args:
        graph: the trained network.
        low: the input's value at rest; its contribution is part of every bias.
        rectify_output: whether an output that is a `Rectify` stays one; otherwise its
            operand is the output.

    Raises:
        ModelError: for an operation that spiking neurons cannot carry out, or layers
            that cannot be joined.
    """
    if isinstance(graph[graph.output].operation, Source):
        raise ModelError("the model has no layers: its output is its input", where=graph.name)
    needed = _needed(graph)
    for node in needed:
        if not isinstance(node.operation, Source | Linear | Rectify | Add | Concat):
            raise ModelError(
                f"{node.operation.kind} has no counterpart in spiking neurons",
                where=node.origin or node.name,
                hint="use average pooling, or let the import replace max pooling (max_pool='average')",
            )
    rest = _at_rest(needed, low)
    found = []
    for node in needed:
        is_output = node.name == graph.output
        if isinstance(node.operation, Rectify) and (rectify_output or not is_output):
            found.append(_pre_activation(graph, node, node.inputs[0], rest, node.operation.maximum))
        elif is_output:
            value = node.inputs[0] if isinstance(node.operation, Rectify) else node.name
            found.append(_pre_activation(graph, node, value, rest, None))
    return tuple(found)


def _needed(graph: AnnGraph) -> list[Node]:
    """The nodes that the output depends on, in order."""
    names = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in names:
            names.update(node.inputs)
    return [node for node in graph.nodes if node.name in names]


def _at_rest(nodes: Iterable[Node], low: float) -> dict[str, Array]:
    """Every node's value `[1, *shape]` where the input is `low` and every `Rectify` is 0."""
    values: dict[str, Array] = {}
    for node in nodes:
        operation = node.operation
        if isinstance(operation, Source):
            values[node.name] = np.full((1, *operation.shape), float(low))
        elif isinstance(operation, Rectify):
            values[node.name] = np.zeros_like(values[node.inputs[0]])
        else:
            values[node.name] = operation.run([values[name] for name in node.inputs])
    return values


def _pre_activation(
    graph: AnnGraph, node: Node, value: str, rest: dict[str, Array], maximum: float | None
) -> PreActivation:
    paths = _paths(graph, value, (), ())
    terms = (Term(path.origin, fold(path.chain, graph.shapes[path.origin], path.layers), path.layers) for path in paths)
    return PreActivation(node.name, value, graph.shapes[value], tuple(_summed(terms)), rest[value][0], maximum)


def _paths(graph: AnnGraph, name: str, chain: Chain, layers: tuple[str, ...]) -> Iterator[Term]:
    """The ways back from a node to populations, their chains not folded yet.

    Args:
        graph: the network.
        name: the node to start from.
        chain, layers: what lies between the node and the pre-activation.
    """
    node = graph[name]
    match node.operation:
        case Linear(synapse=synapse):
            passed = (name, *layers) if is_weighted(synapse) and not is_scale(synapse) else layers
            yield from _paths(graph, node.inputs[0], (synapse, *chain), passed)
        case Add():
            for operand in node.inputs:
                yield from _paths(graph, operand, chain, layers)
        case Concat():
            first = 0
            for operand in node.inputs:
                placed = _placed(chain, graph.shapes[operand], first, graph.shapes[name], name)
                yield from _paths(graph, operand, placed, layers)
                first += graph.shapes[operand][0]
        case _:
            yield Term(name, chain, layers)


def is_scale(synapse: Synapse) -> bool:
    """Whether the map is only a factor or padding, no layer of its own."""
    return isinstance(synapse, OneToOne) or is_padding(synapse)


def _placed(chain: Chain, part: Shape, first: int, whole: Shape, name: str) -> Chain:
    """A chain on concatenated operands, for the one operand whose channels start at `first`."""
    channels = slice(first, first + part[0])
    if len(part) == 1 and chain and isinstance(chain[0], Dense):
        return (Dense(chain[0].weight[:, channels]), *chain[1:])
    if part[0] * whole[0] > DENSE_LIMIT:
        raise ModelError(
            "a concatenation of flat vectors is too large to be a dense map",
            where=name,
            found=f"{part[0] * whole[0]:,} weights",
            limit=f"{DENSE_LIMIT:,}",
            hint="put the linear layer directly behind it, or concatenate channels before flattening",
        )
    place = np.zeros((whole[0], part[0]))
    place[channels] = np.eye(part[0])
    return (Dense(place) if len(part) == 1 else Conv2d(place[:, :, None, None]), *chain)


def _summed(terms: Iterable[Term]) -> Iterator[Term]:
    """Terms of the same origin and geometry as one, their weights added."""
    alike: dict[tuple[Any, ...], Term] = {}
    for term in terms:
        key = (term.origin, *(_geometry(synapse) for synapse in term.chain))
        alike[key] = _sum(alike[key], term) if key in alike else term
    yield from alike.values()


def _geometry(synapse: Synapse) -> tuple[Any, ...]:
    fields: list[Any] = [synapse.kind]
    for field in dataclasses.fields(synapse):  # type: ignore[arg-type]
        value = getattr(synapse, field.name)
        fields.append(value.shape if isinstance(value, np.ndarray) else value)
    return tuple(fields)


def _sum(first: Term, second: Term) -> Term:
    pairs = zip(first.chain, second.chain, strict=True)
    chain = tuple(a if a.weight is None or b.weight is None else a.with_weight(a.weight + b.weight) for a, b in pairs)
    return dataclasses.replace(first, chain=chain, layers=tuple(dict.fromkeys((*first.layers, *second.layers))))
