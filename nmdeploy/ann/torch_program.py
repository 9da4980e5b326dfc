"""An exported PyTorch program, brought into the form that the importer reads.

In-place operations are replaced by functional ones where another tensor could see
their effect; elsewhere the graph stays as the user wrote it, which makes for better
messages than torch's decompositions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nmdeploy.ann.torch_export import example_tensors, export, prepared, resized
from nmdeploy.ann.torch_library import import_torch, quiet_torch
from nmdeploy.errors import ModelError, ShapeError, UsageError


@dataclass(frozen=True)
class Program:
    """An exported model, ready to be read.

    Attributes:
        name: what messages call the model.
        graph: the fx graph; no operation has an effect beside its result.
        constants: parameters, buffers and literal tensors by placeholder name.
        inputs: placeholder names of the user's inputs, in order.
        output: the fx node that is the result.
        batch: the length of the sample axis, or a symbol's name where it is dynamic.
        example: the example input as float32 tensors.
        module: copy of the user's module in inference mode; None for an exported program.
        notes: what was changed.
    """

    name: str
    graph: Any
    constants: dict[str, Any]
    inputs: tuple[str, ...]
    output: Any
    batch: int | str
    example: tuple[Any, ...]
    module: Any
    notes: tuple[str, ...]


def read_program(model: Any, example: Any, name: str) -> Program:
    """Export a module, or take an exported program, and check what goes in and out.

    Args:
        model: `nn.Module` (left untouched) or `torch.export.ExportedProgram`.
        example: one array or tensor, or a tuple of them, each `[N, *shape]`; None
            takes the one that an exported program carries.
        name: the model's name, for messages.

    Raises:
        ModelError: when the model cannot be exported, has a state, or several outputs.
        UsageError: for anything that is neither of the two.
    """
    torch = import_torch("reading a PyTorch model")
    if isinstance(model, torch.export.ExportedProgram):
        if example is None:
            example = (model.example_inputs or ((), {}))[0]
        return _described(model, example_tensors(example), None, _weights(model.state_dict.values()), name)
    if not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
        found = type(model).__name__
        raise UsageError("a model is an nn.Module, an ExportedProgram or a .pt2 file", where=name, found=found)
    if example is None:
        raise UsageError("an nn.Module needs an example input", where=name, hint="give one sample, [1, *shape]")
    tensors, module = example_tensors(example), prepared(model, name)
    return _described(export(module, tensors, name), tensors, module, _weights(model.parameters()), name)


def size(dimension: Any) -> int | str:
    """One size of a traced tensor; a dynamic one by its symbol."""
    return dimension if isinstance(dimension, int) else str(dimension)


def _weights(tensors: Any) -> tuple[str, ...]:
    """A note for every float type that is not kept."""
    kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors if tensor.is_floating_point()}
    return tuple(f"Weights were cast from {kind} to float32." for kind in sorted(kinds - {"float32"}))


def _described(exported: Any, example: tuple[Any, ...], module: Any, notes: tuple[str, ...], name: str) -> Program:
    if any(_writes(node) and not _is_private(node.args[0]) for node in exported.graph.nodes):
        with quiet_torch():
            exported = exported.run_decompositions({})
    inputs = tuple(str(user) for user in exported.graph_signature.user_inputs)
    traced = {node.name: node.meta["val"] for node in exported.graph.nodes if node.op == "placeholder"}
    batch = _batch({user: traced.get(user) for user in inputs}, example, name)
    output = _output(exported, name)
    return Program(name, exported.graph, _constants(exported), inputs, output, batch, example, module, notes)


def _writes(node: Any) -> bool:
    """Whether the call changes one of its operands."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _is_private(node: Any) -> bool:
    """Whether nobody but the one user of `node` can see the memory it made."""
    schema = getattr(getattr(node, "target", None), "_schema", None)
    if schema is None or len(node.users) != 1 or "dropout" in schema.name:  # dropout may return its operand
        return False
    aliases = any(part.alias_info is not None for part in schema.returns)
    return not aliases or (_writes(node) and _is_private(node.args[0]))


def _batch(traced: dict[str, Any], example: Sequence[Any], name: str) -> int | str:
    """The sample axis that all inputs share; the other axes must be those of the example."""
    if len(traced) != len(example):
        raise UsageError("the model has another number of inputs", where=name, found=len(example), limit=len(traced))
    shapes = {user: [size(part) for part in getattr(value, "shape", ())] for user, value in traced.items()}
    for (user, shape), tensor in zip(shapes.items(), example, strict=True):
        where = f"{name}, input {user!r}"
        if any(isinstance(part, str) for part in shape[1:]):
            raise ModelError("only the sample axis may be dynamic", where=where, found=shape)
        if not shape or shape[1:] != list(tensor.shape[1:]):
            raise ShapeError("the example does not fit the input", where=where, found=tuple(tensor.shape), limit=shape)
    if len({shape[0] for shape in shapes.values()}) != 1:
        raise ShapeError("inputs differ in the number of samples", where=name, found=shapes)
    return next(iter(shapes.values()))[0]


def _constants(exported: Any) -> dict[str, Any]:
    """Every tensor that is no user input, by the name of its placeholder."""
    stored = {**exported.constants, **exported.state_dict}
    kept = ("PARAMETER", "BUFFER", "CONSTANT_TENSOR")
    specs = [spec for spec in exported.graph_signature.input_specs if spec.kind.name in kept]
    return {spec.arg.name: stored[spec.target].detach().cpu() for spec in specs}


def _output(exported: Any, name: str) -> Any:
    """The node of the only output; a state that the model updates is refused."""
    specs = exported.graph_signature.output_specs
    states = [spec.target for spec in specs if spec.kind.name == "BUFFER_MUTATION"]
    if states:
        hint = "import a model without state of its own"
        raise ModelError(f"the model changes {', '.join(states)} when it runs", where=name, hint=hint)
    nodes = {node.name: node for node in exported.graph.nodes}
    results = [spec.arg.name for spec in specs if spec.kind.name == "USER_OUTPUT"]
    if len(results) != 1 or results[0] not in nodes:
        hint = "wrap the model in a module that returns the one that matters"
        raise ModelError("a model has one output tensor", where=name, found=results, hint=hint)
    return nodes[results[0]]


def samples(program: Program, tensors: Sequence[Any]) -> tuple[Any, ...]:
    """Input tensors of the program's batch size, in the type each input was traced with."""
    count = program.batch if isinstance(program.batch, int) else 2
    kinds = {node.name: node.meta["val"].dtype for node in program.graph.nodes if node.op == "placeholder"}
    return tuple(resized(tensor, count).to(kinds[user]) for tensor, user in zip(tensors, program.inputs, strict=True))
