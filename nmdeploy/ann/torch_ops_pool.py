"""ATen pooling operations, means, and enlargement."""

from __future__ import annotations

import math
from typing import Any

from nmdeploy.ann.graph import Linear
from nmdeploy.ann.layers import scale
from nmdeploy.ann.torch_call import Activation, Call, layout
from nmdeploy.linear_maps import Pair
from nmdeploy.synapses import Shape, SumPool2d, Upsample2d


def average_pool(call: Call) -> Activation:
    """avg_pool1d and avg_pool2d."""
    padded = any(_sizes(call.args["padding"]))
    if padded and not call.args["count_include_pad"]:
        call.refuse("at the borders the average is taken over fewer pixels", "set count_include_pad=True or padding=0")
    return _windows(call, call.args.get("divisor_override"))


def max_pool(call: Call) -> Activation:
    """Any max pooling over windows: refused, or replaced by the average over the same windows."""
    _allow_average(call)
    if any(step != 1 for step in _sizes(call.args.get("dilation", 1))):
        call.refuse("dilated pooling", "use dilation=1", found=call.args["dilation"])
    return _windows(call, None)


def adaptive_average_pool(call: Call) -> Activation:
    """adaptive_avg_pool1d and 2d where all windows are of one size and side by side."""
    value = call.activation("self")
    before, after = _image(call, value.shape), _image(call, call.result)
    if any(old % new for old, new in zip(before, after, strict=True)):
        call.refuse(
            "the pool's windows differ in size",
            "choose an output size that divides the input size",
            found=f"{before} to {after}",
        )
    kernel = (before[0] // after[0], before[1] // after[1])
    return _average(call, value, kernel, kernel, (0, 0), None)


def adaptive_max_pool(call: Call) -> Activation:
    """adaptive_max_pool1d and 2d: refused, or replaced like max pooling."""
    _allow_average(call)
    return adaptive_average_pool(call)


def mean(call: Call) -> Activation:
    """The mean over one or both spatial axes, which is a global average pool."""
    return _over_axes(call, None)


def total(call: Call) -> Activation:
    """The sum over one or both spatial axes."""
    return _over_axes(call, 1.0)


def enlarge(call: Call) -> Activation:
    """upsample_nearest1d and 2d by whole factors."""
    value = call.activation("input" if "input" in call.args else "self")
    before, after = _image(call, value.shape), _image(call, call.result)
    keys = ("scales", "scales_h", "scales_w")
    given = call.args.get("scale_factors") or [factor for key in keys if (factor := call.args.get(key))]
    if any(new % old for old, new in zip(before, after, strict=True)) or any(part % 1 for part in given):
        hint = "enlarge by a whole factor"
        call.refuse("the image is not enlarged by a whole factor", hint, found=f"{before} to {after}")
    factor = (after[0] // before[0], after[1] // before[1])
    return call.done(call.emit(Linear(Upsample2d(factor)), value.node))


def _over_axes(call: Call, divisor: float | None) -> Activation:
    value = call.activation("self")
    size = _image(call, value.shape)
    given = call.args.get("dim")
    axes = call.axes("dim", value) if given or given == 0 else tuple(range(len(value.shape) + 1))
    if min(axes) < 2:
        hint = "only the spatial axes can be pooled, as in x.mean((2, 3))"
        call.refuse("this reduces the channels or the samples", hint, found=sorted(axes))
    rank = len(value.shape) + 1
    kernel = (size[0] if rank - 2 in axes and rank == 4 else 1, size[1] if rank - 1 in axes else 1)
    return _average(call, value, kernel, kernel, (0, 0), divisor)


def _windows(call: Call, divisor: Any) -> Activation:
    """Average over the windows that kernel, stride and padding describe."""
    value = call.activation("self")
    kernel = _pair(call, "kernel_size", 1)
    stride = _pair(call, "stride", 1) if call.args.get("stride") else kernel
    padding = _pair(call, "padding", 0)
    size, after = _image(call, value.shape), _image(call, call.result)
    plain = [(size[axis] + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1)]
    if list(after) != plain:
        hint = "set ceil_mode=False or pad the image"
        call.refuse("with ceil_mode=True the last windows are cut off by the border", hint, found=after)
    return _average(call, value, kernel, stride, padding, divisor)


def _average(
    call: Call, value: Activation, kernel: Pair, stride: Pair, padding: Pair, divisor: float | None
) -> Activation:
    if kernel == stride == (1, 1) and padding == (0, 0) and divisor in (None, 1):
        return call.done(value.node)
    pool = Linear(SumPool2d(kernel, stride, (padding[0], padding[0], padding[1], padding[1])))
    if divisor == 1:
        return call.done(call.emit(pool, value.node))
    summed = call.emit(pool, value.node, step="sum")
    return call.done(call.emit(scale(1.0 / (divisor or math.prod(kernel))), summed))


def _allow_average(call: Call) -> None:
    if call.state.max_pool != "average":
        call.refuse(
            "the maximum of spike trains is no spike train that a neuron can compute",
            "train with average pooling, or import with max_pool='average' and fine-tune",
        )
    call.note(f"Max pooling was replaced by average pooling: {call.place}.")
    operation = call.place.operation.replace("_with_indices", "").replace("max", "avg")
    geometry = ("kernel_size", "stride", "padding", "output_size")
    sizes = {key: call.args[key] for key in geometry if call.args.get(key)}
    with_indices = isinstance(call.node.meta["val"], tuple | list)
    call.compare_with(lambda tensor, *_, **__: _torch_average(operation, tensor, sizes, with_indices))


def _torch_average(operation: str, tensor: Any, sizes: dict[str, Any], with_indices: bool) -> Any:
    """torch's average over the windows of a max pool, in a pair where that returns indices too."""
    from torch.nn import functional

    pooled = getattr(functional, operation)(tensor, **sizes)
    return (pooled, None) if with_indices else pooled


def _image(call: Call, shape: Shape) -> Pair:
    """Height and width of a tensor; height 1 for `(C, L)`."""
    if len(shape) not in (2, 3):
        call.refuse("pooling and enlarging take (N, C, L) or (N, C, H, W)", found=("N", *shape))
    height, width = (layout(shape) or ())[1:]
    return (height, width)


def _pair(call: Call, key: str, idle: int) -> Pair:
    """A size for each spatial axis as (vertical, horizontal); 1-D leaves the vertical one idle."""
    sizes = _sizes(call.args[key])
    return (idle if len(call.activation("self").shape) == 2 else sizes[0], sizes[-1])


def _sizes(given: Any) -> list[int]:
    return [int(part) for part in (given if isinstance(given, list | tuple) else [given])]


HANDLERS = {
    "avg_pool1d": average_pool,
    "avg_pool2d": average_pool,
    "adaptive_avg_pool1d": adaptive_average_pool,
    "adaptive_avg_pool2d": adaptive_average_pool,
    "_adaptive_avg_pool2d": adaptive_average_pool,
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "max_pool2d_with_indices": max_pool,
    "adaptive_max_pool1d": adaptive_max_pool,
    "adaptive_max_pool2d": adaptive_max_pool,
    "mean": mean,
    "sum": total,
    "upsample_nearest1d": enlarge,
    "upsample_nearest2d": enlarge,
    "_upsample_nearest_exact1d": enlarge,
    "_upsample_nearest_exact2d": enlarge,
}
"""Pooling operations, by ATen name."""
