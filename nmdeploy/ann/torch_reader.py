"""Walks an exported PyTorch program and makes graph nodes of its calls.

Every fault is collected: where a call is refused, a stand-in of the same shape takes
its place, so that the calls behind it are looked at too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum
from typing import Any

from nmdeploy.ann import (
    torch_ops_activation,
    torch_ops_arithmetic,
    torch_ops_pool,
    torch_ops_shape,
    torch_ops_weights,
)
from nmdeploy.ann.builder import GraphBuilder
from nmdeploy.ann.graph import Source
from nmdeploy.ann.torch_call import Activation, Call, Import, layout, sample_shape
from nmdeploy.ann.torch_library import first_line, import_torch, quiet_torch
from nmdeploy.ann.torch_places import Place, place_of
from nmdeploy.ann.torch_program import Program
from nmdeploy.ann.torch_refusals import HINTS, MODULE_HINTS, OTHERWISE
from nmdeploy.errors import ModelError, NmdeployError

HANDLERS: dict[str, Callable[[Call], Activation]] = {
    **torch_ops_weights.HANDLERS,
    **torch_ops_pool.HANDLERS,
    **torch_ops_shape.HANDLERS,
    **torch_ops_arithmetic.HANDLERS,
    **torch_ops_activation.HANDLERS,
}
"""What can be imported, by ATen name."""


class _Gap(Enum):
    """The value of a node that has none here."""

    SIZE = "a traced size or a check, which handlers do not read"
    REFUSED = "a refused call for which no tensor can stand in"


class Reader:
    """Reads one program.

    Args:
        program: from `read_program`.
        max_pool: `refuse` or `average`.

    Attributes:
        state: the graph and what else the import gathered.
        faults: one sentence for each refused call.
    """

    def __init__(self, program: Program, max_pool: str) -> None:
        self.program = program
        self.state = Import(GraphBuilder(), program.batch, max_pool)
        self.faults: list[str] = []
        self._values: dict[Any, Any] = {}

    def read(self) -> str:
        """Import every call that the output depends on.

        Returns:
            The name of the output's node.

        Raises:
            ModelError: with all faults.
        """
        for node in self._needed():
            try:
                self._values[node] = self._value(node)
            except NmdeployError as error:
                self._report(str(error))
                self._values[node] = self._stand_in(node)
        output = self._values[self.program.output]
        if not self.faults and not isinstance(output, Activation):
            self._report("the output does not depend on the input")
        if self.faults:
            count = len(self.faults)
            lines = self.faults[0] if count == 1 else "".join(f"\n  {fault}" for fault in self.faults)
            title = "" if count == 1 else f"{count} operations cannot be imported:"
            raise ModelError(title + lines, where=self.program.name)
        return str(output.node)

    def _needed(self) -> list[Any]:
        """All inputs, and the nodes that the output depends on, in order."""
        needed = {self.program.output}
        for node in reversed(self.program.graph.nodes):
            if node in needed:
                needed.update(node.all_input_nodes)
        return [node for node in self.program.graph.nodes if node in needed or node.name in self.program.inputs]

    def _value(self, node: Any) -> Any:
        if node.op == "placeholder":
            return self._placeholder(node)
        if not _holds_tensors(node.meta.get("val")):
            return _Gap.SIZE
        operands = [self._values[operand] for operand in node.all_input_nodes]
        if node.target is operator.getitem:
            return self._item(node, operands[0])
        place = place_of(node)
        if not any(isinstance(operand, Activation | _Gap) for operand in operands):
            return self._constant(node, place)
        if not any(isinstance(operand, Activation) or operand is _Gap.REFUSED for operand in operands):
            hint = "leave the sample axis out of it, or export with a fixed batch size"
            raise ModelError("a constant has the shape of the batch", where=str(place), hint=hint)
        return self._imported(node, place, complete=all(operand is not _Gap.REFUSED for operand in operands))

    def _placeholder(self, node: Any) -> Any:
        if node.name in self.program.constants:
            return self.program.constants[node.name]
        if node.name not in self.program.inputs:
            raise ModelError("the model holds an object that is no tensor", where=node.name)
        shape = self._shape(node)
        ir_shape = None if shape is None else layout(shape)
        if shape is None or ir_shape is None:
            found = tuple(node.meta["val"].shape)
            raise ModelError("inputs are (N, F), (N, C, L) or (N, C, H, W)", where=f"input {node.name!r}", found=found)
        name = self.state.builder.add(node.name, Source(ir_shape), (), f"input {node.name!r}")
        return Activation(name, shape)

    def _item(self, node: Any, operand: Any) -> Any:
        """One of several results; of an imported call only the first exists."""
        if isinstance(operand, Activation):
            if node.args[1] != 0:
                place = place_of(node.args[0])
                raise ModelError("only the first result of the call is imported", where=str(place), found=node.args[1])
            return operand
        return self._stand_in(node) if operand is _Gap.REFUSED else operand[node.args[1]]

    def _constant(self, node: Any, place: Place) -> Any:
        """The result of a call without activations, computed by torch."""
        torch = import_torch("reading a PyTorch model")
        if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
            raise _unknown(place)
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise ModelError("the model draws random numbers", where=str(place), hint="make them a buffer")
        args, kwargs = self._resolved(node)
        try:
            with quiet_torch(), torch.no_grad():
                return node.target(*args, **kwargs)
        except Exception as error:
            raise ModelError(f"a constant cannot be computed: {first_line(error)}", where=str(place)) from error

    def _imported(self, node: Any, place: Place, *, complete: bool) -> Any:
        refused = [(path, kind) for path, kind in place.classes if kind in MODULE_HINTS]
        if refused:
            path, kind = refused[0]
            raise ModelError(f"nn.{kind} cannot be imported", where=f"layer {path!r}", hint=MODULE_HINTS[kind])
        handler = HANDLERS.get(place.operation)
        if handler is None:
            raise _unknown(place)
        if not complete:
            return self._stand_in(node)
        args, kwargs = self._resolved(node)
        made = handler(Call(node, place, _bound(node, args, kwargs), self.state))
        self.state.made[node.name] = made.node
        return made

    def _resolved(self, node: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments with values in place of nodes."""
        map_arg = import_torch("reading a PyTorch model").fx.node.map_arg
        args = map_arg(node.args, lambda operand: self._values[operand])
        kwargs = map_arg(node.kwargs, lambda operand: self._values[operand])
        return args, kwargs

    def _stand_in(self, node: Any) -> Any:
        """A tensor of the shape that a refused call would have made, if that is one tensor."""
        value = node.meta.get("val")
        shape = self._shape(node) if hasattr(value, "shape") else None
        ir_shape = None if shape is None else layout(shape)
        if shape is None or ir_shape is None:
            return _Gap.REFUSED
        return Activation(self.state.builder.add("unsupported", Source(ir_shape)), shape)

    def _shape(self, node: Any) -> tuple[int, ...] | None:
        return sample_shape(node.meta["val"], self.program.batch)

    def _report(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)


def _holds_tensors(value: Any) -> bool:
    return hasattr(value, "dtype") or (isinstance(value, tuple | list) and any(map(_holds_tensors, value)))


def _unknown(place: Place) -> ModelError:
    hint = HINTS.get(place.operation, OTHERWISE)
    return ModelError("no spiking neuron computes this", where=str(place), hint=hint)


def _bound(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments by the names of the operation's schema, defaults included."""
    arguments = node.target._schema.arguments
    bound = {part.name: part.default_value for part in arguments if part.has_default_value()}
    bound.update({part.name: value for part, value in zip(arguments, args, strict=False)})
    bound.update(kwargs)
    return bound
