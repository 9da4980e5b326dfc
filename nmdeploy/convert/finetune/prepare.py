"""Making a trained model ready for quantized training."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.graph import AnnGraph, Node, Rectify
from nmdeploy.ann.torch_library import import_torch
from nmdeploy.coding.ranges import check_limits
from nmdeploy.convert.checks import check_calibration, check_weights, only_source
from nmdeploy.convert.finetune.rewriting import place, put_activations, put_grid, rectifiers
from nmdeploy.convert.finetune.tracing import device_of, trace
from nmdeploy.convert.terms import pre_activations
from nmdeploy.errors import ModelError, UsageError

if TYPE_CHECKING:
    from nmdeploy.convert.finetune.modules import Prepared

WEIGHT_BITS = (2, 8)
"""Fewest and most bits of a weight."""


def prepare(
    model: Any,
    calibration: Any,
    *,
    levels: int = 8,
    weight_bits: int = 8,
    input_steps: int | None = None,
    input_range: tuple[float, float] = (0.0, 1.0),
) -> Prepared:
    """A copy of a trained model that computes with quantized activations and weights, for any trainer.

    Every ReLU (ReLU6, Hardtanh(0, m), clamp(min=0)), module or function, becomes a
    `QuantizedRelu` with a bound of its own to learn, which starts at the 99.9th percentile of
    the activations on the calibration data. Batch norms are folded into the layers before them
    and no longer exist. Weights are used on the grid of `weight_bits`. A ReLU at the very end stays
    as it is: exact mode reads out potentials. Dropout stays; `F.dropout` is off.

    Args:
        model: an `nn.Module` that `from_torch` can import; left as it is.
        calibration: samples, array or tensor `[N, *shape]`, within `input_range`.
        levels: L, the largest count of a hidden neuron.
        weight_bits: 2..8.
        input_steps: T: the input is rounded to floor(T r) / T, as spikes carry it; None leaves it real.
        input_range: the inputs that mean rate r = 0 and r = 1.

    Returns:
        The model to train, on the device of `model`; afterwards call `finish`.

    Raises:
        ModelError: naming what cannot be imported, found, folded or trained.
        UsageError: for options out of range, what is no module, or a model that is prepared already.
        DataError, ShapeError: for calibration data that cannot be used.
        MissingDependency: when torch is not installed.
    """
    torch = import_torch("fine-tuning")
    from nmdeploy.convert.finetune.first_bounds import first_bounds
    from nmdeploy.convert.finetune.modules import Prepared, QuantizedRelu

    _check_options(levels, weight_bits, input_steps)
    check_limits(*input_range, "input_range")
    name = type(model).__name__
    if not isinstance(model, torch.nn.Module):
        raise UsageError("fine-tuning takes an nn.Module", found=name, hint="exported programs cannot be trained")
    if any(isinstance(each, QuantizedRelu) for each in model.modules()):
        raise UsageError("the model is prepared already", where=name, hint="train it, then finish it")
    samples = calibration.detach().cpu().numpy() if isinstance(calibration, torch.Tensor) else np.asarray(calibration)
    graph = from_torch(model, samples[:1], name=name)
    remarks = _check(graph, samples, input_range)
    given = torch.as_tensor(samples, dtype=torch.float32, device=device_of(model))
    traced = trace(model, name, given[:2])
    nodes = rectifiers(traced)
    if isinstance(graph[graph.output].operation, Rectify):
        # Whatever else there is goes through it, so it is the last one.
        nodes = nodes[:-1]
    scales = first_bounds(traced, nodes, given)
    notes = [f"{place(node)}: {each.remark}" for node, each in zip(nodes, scales, strict=True) if each.remark]
    activations = put_activations(traced, nodes, [each.value for each in scales], levels)
    put_grid(traced, weight_bits)
    classes = graph.shapes[graph.output][0]
    made = Prepared(traced, activations, classes, levels, weight_bits, input_steps, input_range, (*remarks, *notes))
    _check_found(made, samples)
    made.to(given.device)
    return made


def _check_options(levels: int, weight_bits: int, input_steps: int | None) -> None:
    if levels < 1:
        raise UsageError("a quantized activation has at least one level", where="levels", found=levels, limit=1)
    if not WEIGHT_BITS[0] <= weight_bits <= WEIGHT_BITS[1]:
        limit = "{}..{}".format(*WEIGHT_BITS)
        raise UsageError("weights have another number of bits", where="weight_bits", found=weight_bits, limit=limit)
    if input_steps is not None and input_steps < 1:
        raise UsageError("an input has at least one step", where="input_steps", found=input_steps, limit=1)


def _check(graph: AnnGraph, samples: Any, input_range: tuple[float, float]) -> list[str]:
    """Remarks on a model and samples that can be used."""
    source = only_source(graph)
    check_weights(graph)
    remarks = check_calibration(samples, graph.shapes[source.name], *input_range)
    if len(pre_activations(graph, input_range[0], rectify_output=False)) < 2:
        hint = "fine-tuning quantizes hidden activations; a single layer needs none"
        raise ModelError("the model has no ReLU between layers", where=graph.name, hint=hint)
    return remarks


def _check_found(made: Prepared, samples: Any) -> None:
    """Refuse a model in which an activation was not found: nothing would say so later.

    Raises:
        ModelError: naming the activations.
    """
    from nmdeploy.convert.finetune.finish import finish

    graph = from_torch(finish(made).model, samples[:1], check=False)
    learned = Counter(made.bounds.values())
    unknown = [node for node in _hidden_rectifiers(graph) if not _take(learned, node)]
    if unknown or learned.total():
        places = ", ".join(node.origin or node.name for node in unknown) or "one of several ReLUs in a row"
        hint = "write it as nn.ReLU or torch.relu, one behind each layer"
        raise ModelError("the activation cannot be made a quantized one", where=places, hint=hint)


def _hidden_rectifiers(graph: AnnGraph) -> list[Node]:
    """The activations of a graph, without one at the very end."""
    return [node for node in graph.nodes if isinstance(node.operation, Rectify) and node.name != graph.output]


def _take(learned: Counter[float], node: Node) -> bool:
    maximum = node.operation.maximum if isinstance(node.operation, Rectify) else None
    if maximum is None or not learned[maximum]:
        return False
    learned[maximum] -= 1
    return True
