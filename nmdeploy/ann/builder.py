"""Collects the nodes of an `AnnGraph` while an importer reads a model."""

from __future__ import annotations

from collections.abc import Sequence

from nmdeploy.ann.graph import AnnGraph, Node, Operation
from nmdeploy.errors import ModelError, ShapeError
from nmdeploy.synapses import Shape


class GraphBuilder:
    """A graph under construction.

    Attributes:
        nodes: by name, in order of computation.
        shapes: of every node's result, without the sample axis.
        notes: what was changed or dropped, one sentence each, without repetition.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.shapes: dict[str, Shape] = {}
        self.notes: list[str] = []

    def add(self, name: str, operation: Operation, inputs: Sequence[str] = (), origin: str = "") -> str:
        """Append an operation and return its name, numbered if another node has it already.

        Raises:
            ModelError: when the operands' shapes do not fit.
        """
        try:
            shape = operation.out_shape([self.shapes[operand] for operand in inputs])
        except ShapeError as error:
            raise ModelError(str(error), where=origin or name) from error
        name = self._unused(name)
        self.nodes[name] = Node(name, operation, tuple(inputs), origin)
        self.shapes[name] = shape
        return name

    def note(self, sentence: str) -> None:
        """Remember what the importer changed."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def finish(self, name: str, output: str) -> AnnGraph:
        """The graph of all nodes that the output depends on."""
        needed = {output}
        for node in reversed(self.nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
        nodes = tuple(node for node in self.nodes.values() if node.name in needed)
        return AnnGraph(name, nodes, output, tuple(self.notes))

    def _unused(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self.nodes:
            number += 1
            candidate = f"{name}_{number}"
        return candidate
