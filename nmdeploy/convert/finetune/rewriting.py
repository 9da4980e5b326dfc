"""Putting quantized activations and weights into a traced network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from typing import Any

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.convert.finetune.tracing import called, weighted_kinds
from nmdeploy.errors import ModelError


def rectifiers(traced: Any) -> list[Any]:
    """The nodes that are a ReLU, ReLU6 or another `min(max(x, 0), m)`, as modules, functions or methods."""
    return [node for node in traced.graph.nodes if _rectifies(node, called(traced, node))]


def _rectifies(node: Any, module: Any) -> bool:
    nn = import_torch("fine-tuning").nn
    if module is not None:
        return isinstance(module, nn.ReLU) or (isinstance(module, nn.Hardtanh) and module.min_val == 0)
    if node.op not in ("call_function", "call_method"):
        return False
    match operation(node):
        case "relu" | "relu6":
            return True
        case "clamp" | "clip" | "clamp_min" | "hardtanh":
            lowest = node.args[1] if len(node.args) > 1 else node.kwargs.get("min", node.kwargs.get("min_val"))
            return isinstance(lowest, int | float) and lowest == 0
    return False


def operation(node: Any) -> str:
    """The name of the function or method that a node calls, without the mark of an operation in place."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return str(name).rstrip("_")


def put_activations(traced: Any, nodes: list[Any], bounds: list[float], levels: int) -> tuple[str, ...]:
    """Replace activations by `QuantizedRelu`, each by one of its own; returns their paths."""
    from nmdeploy.convert.finetune.modules import QuantizedRelu

    paths = []
    for node, bound in zip(nodes, bounds, strict=True):
        _check_in_place(traced, node)
        path = next(path for path in _paths(node) if path not in paths and _free(traced, node, path, nodes))
        with traced.graph.inserting_after(node):
            traced.add_submodule(path, QuantizedRelu(bound, levels))
            new = traced.graph.call_module(path, (node.args[0] if node.args else node.kwargs["input"],))
        new.meta = dict(node.meta)
        node.replace_all_uses_with(new)
        traced.graph.erase_node(node)
        paths.append(path)
    traced.graph.lint()
    traced.recompile()
    return tuple(paths)


def put_grid(traced: Any, bits: int) -> None:
    """Put the weights of every layer on the grid."""
    from nmdeploy.convert.finetune.modules import OnGrid

    made: dict[Any, Any] = {}
    for path, module in list(traced.named_modules(remove_duplicate=False)):
        if isinstance(module, weighted_kinds()):
            made[module] = made.get(module) or OnGrid(module, bits)
            traced.set_submodule(path, made[module])


def place(node: Any) -> str:
    """Where a node stands in the model: the path of a module, or of the one around a function and its name."""
    if node.op == "call_module":
        return str(node.target)
    around = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    return f"{around[-1]}.{operation(node)}" if around else operation(node)


def _paths(node: Any) -> Iterator[str]:
    """Names for the module in place of an activation; the model may use one module several times."""
    return chain([place(node)], (f"{place(node)}_{number}" for number in count(2)))


def _free(traced: Any, node: Any, path: str, nodes: list[Any]) -> bool:
    """Whether no other module has that path, nor a call that stays as it is (of a ReLU at the very end)."""
    if path == node.target:
        return all(each in nodes for each in traced.graph.nodes if each.op == node.op and each.target == path)
    return path not in dict(traced.named_modules())


def _check_in_place(traced: Any, node: Any) -> None:
    """Refuse an operation in place of which later operations see the effect beside the result."""
    module = called(traced, node)
    name = getattr(node.target, "__name__", node.target)
    in_place = getattr(module, "inplace", False) or node.kwargs.get("inplace") or str(name).endswith("_")
    operand = node.args[0] if node.args else node.kwargs["input"]
    if in_place and any(user > node for user in operand.users):
        hint = "use the result: x = relu(x)"
        raise ModelError("what is rectified in place is used again", where=place(node), hint=hint)
