"""ATen operations with weights: convolutions, linear layers, batch normalization."""

from __future__ import annotations

import numpy as np

from nmdeploy.ann.graph import Linear
from nmdeploy.ann.layers import batch_norm
from nmdeploy.ann.torch_call import Activation, Call, layout
from nmdeploy.linear_maps import Array, Padding, Pair
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense

_INPUTS = {3: "(N, C, L)", 4: "(N, C, H, W)"}
"""What a convolution takes, by the axes of its weights."""


def convolution(call: Call) -> Activation:
    """conv1d, conv2d and their decomposed form; the transposed ones where it says so."""
    if call.args.get("transposed"):
        return transposed_convolution(call)
    value, weight = _images(call)
    stride, dilation = _pair(call, "stride", 1, value), _pair(call, "dilation", 1, value)
    synapse = Conv2d(weight, stride, _padding(call, weight, value), dilation, int(call.args["groups"]))
    return call.done(call.emit(Linear(synapse, _per_channel(call.array("bias"))), value.node))


def transposed_convolution(call: Call) -> Activation:
    """conv_transpose1d and conv_transpose2d."""
    value, weight = _images(call)
    synapse = ConvTranspose2d(
        weight,
        _pair(call, "stride", 1, value),
        _padding(call, weight, value),
        _pair(call, "output_padding", 0, value),
        _pair(call, "dilation", 1, value),
        int(call.args["groups"]),
    )
    return call.done(call.emit(Linear(synapse, _per_channel(call.array("bias"))), value.node))


def linear(call: Call) -> Activation:
    """x @ weight.T + bias."""
    return _dense(call, call.activation("input"), call.weights("weight"), call.array("bias"))


def addmm(call: Call) -> Activation:
    """beta * self + alpha * mat1 @ mat2."""
    weight = call.weights("mat2").T * np.float32(call.args["alpha"])
    bias = call.weights("self") * np.float32(call.args["beta"])
    if bias.ndim > 1 and bias.shape[0] != 1:
        call.refuse("what is added differs from sample to sample", found=bias.shape)
    return _dense(call, call.activation("mat1"), weight, np.broadcast_to(bias, (1, len(weight)))[0])


def matrix_product(call: Call) -> Activation:
    """x @ weight."""
    right = "mat2" if "mat2" in call.args else "other"
    value, weight = call.activation("self"), call.weights(right)
    if weight.ndim != 2:
        call.refuse("the right operand of a product is a matrix", "use nn.Linear", found=weight.shape)
    return _dense(call, value, weight.T, None)


def normalization(call: Call) -> Activation:
    """Batch normalization with running statistics."""
    hint = "give the layer running statistics (track_running_stats=True) and train it"
    if call.args.get("training") or call.args.get("running_mean") is None:
        call.refuse("the layer normalizes by the statistics of each batch", hint)
    value = call.activation("input")
    variance = call.weights("running_var")
    rank = len(layout(value.shape) or ())
    eps = float(call.args["eps"])
    if variance.min() + eps <= 0:
        call.refuse("the running variance is not positive", "train the layer again", found=float(variance.min()))
    operation = batch_norm(call.array("weight"), call.array("bias"), call.weights("running_mean"), variance, eps, rank)
    return call.done(call.emit(operation, value.node))


def _dense(call: Call, value: Activation, weight: Array, bias: Array | None) -> Activation:
    if len(value.shape) != 1:
        call.refuse(
            "a linear layer takes (N, features)",
            "flatten first with x.flatten(1), or use a convolution with kernel size 1",
            found=("N", *value.shape),
        )
    return call.done(call.emit(Linear(Dense(weight), bias), value.node))


def _images(call: Call) -> tuple[Activation, Array]:
    """The operand and the weights `[.., .., kh, kw]`; 1-D kernels become height 1."""
    value, weight = call.activation("input"), call.weights("weight")
    if weight.ndim not in _INPUTS or len(value.shape) != weight.ndim - 1:
        takes = _INPUTS.get(weight.ndim, " or ".join(_INPUTS.values()))
        call.refuse(f"a convolution takes {takes}", "the first axis are the samples", found=("N", *value.shape))
    return value, weight[:, :, None, :] if weight.ndim == 3 else weight


def _pair(call: Call, key: str, idle: int, value: Activation) -> Pair:
    """A size for each spatial axis as (vertical, horizontal); 1-D leaves the vertical one idle."""
    given = call.args[key]
    sizes = given if isinstance(given, list | tuple) else [given]
    return (idle if len(value.shape) == 2 else int(sizes[0]), int(sizes[-1]))


def _padding(call: Call, weight: Array, value: Activation) -> Padding:
    """Zeros at (top, bottom, left, right); `same` puts the odd one behind, as torch does."""
    given = call.args["padding"]
    if given == "valid":
        return (0, 0, 0, 0)
    if given != "same":
        vertical, horizontal = _pair(call, "padding", 0, value)
        return (vertical, vertical, horizontal, horizontal)
    dilation = _pair(call, "dilation", 1, value)
    total = [dilation[axis] * (weight.shape[axis + 2] - 1) for axis in (0, 1)]
    return (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)


def _per_channel(bias: Array | None) -> Array | None:
    return None if bias is None else bias.reshape(-1, 1, 1)


HANDLERS = {
    "conv1d": convolution,
    "conv2d": convolution,
    "convolution": convolution,
    "conv_transpose1d": transposed_convolution,
    "conv_transpose2d": transposed_convolution,
    "linear": linear,
    "addmm": addmm,
    "mm": matrix_product,
    "matmul": matrix_product,
    "batch_norm": normalization,
    "_native_batch_norm_legit_no_training": normalization,
}
"""Operations with weights, by ATen name."""
