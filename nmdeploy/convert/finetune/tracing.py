"""A PyTorch model as a graph of calls that can be rewritten, batch norms folded."""

from __future__ import annotations

from typing import Any

from nmdeploy.ann.torch_export import prepared as copied
from nmdeploy.ann.torch_library import first_line, import_torch, quiet_torch
from nmdeploy.errors import ModelError

AGREEMENT = 1e-4
"""Largest accepted difference between the model and its folded graph, as a share of the largest output."""


def trace(model: Any, name: str, samples: Any) -> Any:
    """A copy of the model as an `fx.GraphModule` in inference mode and float32, its batch norms folded.

    Args:
        model: the `nn.Module`; left as it is.
        name: what messages call it.
        samples: tensor `[N, *shape]` on the model's device, to compare the two on.

    Raises:
        ModelError: naming what cannot be traced, folded, or trained on a grid.
    """
    torch = import_torch("fine-tuning")
    own = _baked(copied(model, name).to(samples.device))
    try:
        with quiet_torch():
            traced = torch.fx.symbolic_trace(own)
    except Exception as error:
        hint = "write forward without branches or loops that depend on values or shapes"
        raise ModelError(f"torch.fx cannot trace the model: {first_line(error)}", where=name, hint=hint) from error
    traced.graph.eliminate_dead_code()
    _fold(traced)
    _check_weights(traced)
    with torch.no_grad():
        wanted, found = own(samples), traced(samples)
    if not torch.allclose(found, wanted, rtol=0, atol=AGREEMENT * float(wanted.abs().max()) + 1e-6):
        hint = "write forward without hooks, and without operations in place whose result is not used"
        raise ModelError("the traced model computes other values than the model", where=name, hint=hint)
    return traced


def device_of(model: Any) -> Any:
    """Where a model's parameters are; the CPU for what has none."""
    torch = import_torch("fine-tuning")
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else ()
    return next((each.device for each in parameters), torch.device("cpu"))


def called(traced: Any, node: Any) -> Any:
    """The module that a node calls; None for any other node."""
    return traced.get_submodule(node.target) if node.op == "call_module" else None


def weighted_kinds() -> tuple[type, ...]:
    """The layers that hold weights."""
    nn = import_torch("fine-tuning").nn
    return (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def _baked(model: Any) -> Any:
    """The model with the value of parametrized tensors (weight normalization, ...) as parameters."""
    parametrize = import_torch("fine-tuning").nn.utils.parametrize
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for tensor in list(module.parametrizations):
                parametrize.remove_parametrizations(module, tensor, leave_parametrized=True)
    return model


def _fold(traced: Any) -> None:
    """Fold each batch norm into the layer before it, with torch's own functions.

    Raises:
        ModelError: naming a batch norm with no such layer, or one that others use too.
    """
    nn = import_torch("fine-tuning").nn
    for node in list(traced.graph.nodes):
        norm = called(traced, node)
        if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        before = node.args[0]
        layer = called(traced, before)
        alone = len(before.users) == 1 and _calls(traced, before.target) == _calls(traced, node.target) == 1
        if not isinstance(layer, weighted_kinds()) or not alone:
            found = f"behind {before.target}" + ("" if alone else ", which is used elsewhere too")
            hint = "put it directly behind a convolution or linear layer of its own"
            raise ModelError("batch norm cannot be folded for training", where=node.target, found=found, hint=hint)
        traced.set_submodule(before.target, _fused(layer, norm))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()


def _fused(layer: Any, norm: Any) -> Any:
    torch = import_torch("fine-tuning")
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.utils.fusion.fuse_linear_bn_eval(layer, norm)
    transposed = isinstance(layer, torch.nn.ConvTranspose1d | torch.nn.ConvTranspose2d)
    return torch.nn.utils.fusion.fuse_conv_bn_eval(layer, norm, transpose=transposed)


def _calls(traced: Any, target: str) -> int:
    return sum(node.op == "call_module" and node.target == target for node in traced.graph.nodes)


def _check_weights(traced: Any) -> None:
    """Refuse weights that no layer of torch's holds: nothing would keep them on a grid."""
    parameters = dict(traced.named_parameters())
    loose = [node.target for node in traced.graph.nodes if node.op == "get_attr" and node.target in parameters]
    if loose:
        hint = "hold weights in nn.Linear or nn.Conv layers"
        raise ModelError("parameters outside layers cannot be trained on a grid", where=", ".join(loose), hint=hint)
