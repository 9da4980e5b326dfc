"""From an `nn.Module` to an exported program, without touching the module."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from nmdeploy.ann.torch_library import first_line, import_torch, quiet_torch
from nmdeploy.errors import DataError, ModelError, NmdeployError, ShapeError


def example_tensors(example: Any) -> tuple[Any, ...]:
    """The example inputs (one, or a tuple of them) as float32 tensors `[N, *shape]`.

    Raises:
        DataError: for what is no array of finite real numbers.
        ShapeError: without a sample axis or samples.
    """
    torch = import_torch("reading a PyTorch model")
    tensors = []
    for part in example if isinstance(example, tuple | list) else (example,):
        array = part.detach().cpu().numpy() if isinstance(part, torch.Tensor) else np.asarray(part)
        if array.dtype.kind not in "buif":
            raise DataError("an example input is an array of real numbers", found=type(part).__name__)
        if array.ndim < 2 or array.size == 0:
            raise ShapeError("an example input is [N, *shape] with at least one sample", found=array.shape)
        if not np.isfinite(array).all():
            raise DataError("the example input holds NaN or infinity")
        tensors.append(torch.from_numpy(array.astype(np.float32)))
    if not tensors:
        raise DataError("there is no example input")
    return tuple(tensors)


def resized(tensor: Any, count: int) -> Any:
    """The first `count` samples, from the beginning again where there are fewer."""
    return tensor[[index % len(tensor) for index in range(count)]]


def prepared(model: Any, name: str) -> Any:
    """A copy of the module on the CPU, in float32 and inference mode."""
    try:
        module = copy.deepcopy(model)
    except Exception as error:
        hint = "keep only parameters, buffers and modules as attributes"
        raise ModelError(f"the module cannot be copied: {first_line(error)}", where=name, hint=hint) from error
    return module.cpu().float().eval()


def export(module: Any, example: tuple[Any, ...], name: str) -> Any:
    """The module's `ExportedProgram` for 2 samples, or 3 if the example has 2.

    A batch size other than the example's shows where one is written into the model.

    Raises:
        ModelError: when the model does not run or cannot be traced.
    """
    torch = import_torch("reading a PyTorch model")
    inputs = tuple(resized(tensor, 3 if len(example[0]) == 2 else 2) for tensor in example)
    with quiet_torch(), torch.no_grad():
        try:
            module(*(tensor.clone() for tensor in inputs))
        except Exception as error:
            raise _does_not_run(module, example, len(inputs[0]), error, name) from error
        try:
            return torch.export.export(module, inputs)
        except Exception as error:
            hint = "write forward without numpy and without branches or loops that depend on values"
            what = f"torch.export cannot trace the model: {first_line(error)}"
            raise ModelError(what, where=name, hint=hint) from error


def _does_not_run(module: Any, example: tuple[Any, ...], batch: int, error: Exception, name: str) -> NmdeployError:
    """Why a model fails with `batch` samples: for a batch size written into it, or altogether."""
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in example)
    try:
        module(*(tensor.clone() for tensor in example))
    except Exception as own:  # noqa: BLE001 - whatever the user's code raises is the message
        what, hint = f"the model fails on the example input: {first_line(own)}", "its first axis are the samples"
        return ModelError(what, where=name, found=shapes, hint=hint)
    what = f"the model runs on the example input but not with {batch} samples: {first_line(error)}"
    hint = "a batch size is written into the model, as in x.view(1, -1); write x.flatten(1)"
    return ModelError(what, where=name, found=shapes, hint=hint)
