"""ATen sums, differences and products, of two activations or with constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmdeploy.ann.graph import Add, Linear
from nmdeploy.ann.layers import scale
from nmdeploy.ann.torch_call import Activation, Call, layout
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import OneToOne


def add(call: Call) -> Activation:
    """self + alpha * other."""
    return _sum(call, "self", 1.0, "other", _alpha(call))


def subtract(call: Call) -> Activation:
    """self - alpha * other."""
    return _sum(call, "self", 1.0, "other", -_alpha(call))


def subtract_from(call: Call) -> Activation:
    """other - alpha * self."""
    return _sum(call, "other", 1.0, "self", -_alpha(call))


def negate(call: Call) -> Activation:
    """-self."""
    return call.done(call.emit(scale(-1.0), call.activation("self").node))


def multiply(call: Call) -> Activation:
    """self * other, one of them constant."""
    left, right = call.args["self"], call.args["other"]
    if isinstance(left, Activation) and isinstance(right, Activation):
        hint = "spiking neurons add; gates and attention need other layers (remove squeeze-and-excitation)"
        call.refuse("two activations are multiplied", hint)
    value, key = (left, "other") if isinstance(left, Activation) else (right, "self")
    factor = _fitted(call, key, value)
    return call.done(call.emit(Linear(OneToOne(factor)), value.node))


def divide(call: Call) -> Activation:
    """self / other with a constant divisor."""
    if call.args.get("rounding_mode") is not None:
        call.refuse("quotients are rounded", "leave quantization to nmdeploy", found=call.args["rounding_mode"])
    if isinstance(call.args["other"], Activation):
        call.refuse("the divisor depends on the input", "spiking neurons do not divide; train without it")
    value, divisor = call.activation("self"), _fitted(call, "other", call.activation("self"))
    if not divisor.all():
        call.refuse("the divisor is zero")
    factor = (1.0 / divisor.astype(np.float64)).astype(np.float32)
    return call.done(call.emit(Linear(OneToOne(factor)), value.node))


def _sum(call: Call, left: str, left_factor: float, right: str, right_factor: float) -> Activation:
    """left_factor * left + right_factor * right, of which at least one depends on the input."""
    factors = {left: left_factor, right: right_factor}
    values = {key: value for key in (left, right) if isinstance(value := call.args[key], Activation)}
    if len(values) == 2:
        return _sum_of_two(call, values[left], left_factor, values[right], right_factor)
    ((key, value),) = values.items()
    other = right if key == left else left
    bias = _fitted(call, other, value) * np.float32(factors[other])
    weight = np.array([factors[key]], dtype=np.float32)
    return call.done(call.emit(Linear(OneToOne(weight), bias), value.node))


def _sum_of_two(call: Call, left: Activation, left_factor: float, right: Activation, right_factor: float) -> Activation:
    if left.shape != right.shape:
        hint = "bring both to one shape; neurons are not broadcast"
        call.refuse("operands of a sum differ in shape", hint, found=f"{left.shape} and {right.shape}")
    if left.node == right.node:
        return call.done(call.emit(scale(left_factor + right_factor), left.node))
    operands = [_scaled(call, left, left_factor, "left"), _scaled(call, right, right_factor, "right")]
    return call.done(call.emit(Add(), *operands))


def _scaled(call: Call, value: Activation, factor: float, step: str) -> str:
    return value.node if factor == 1.0 else call.emit(scale(factor), value.node, step=step)


def _alpha(call: Call) -> float:
    alpha: Any = call.args.get("alpha", 1)
    return float(alpha)


def _fitted(call: Call, key: str, value: Activation) -> Array:
    """A constant in the form of `OneToOne.weight`: one value, one per channel, or one per neuron."""
    array = call.weights(key)
    rank = len(value.shape)
    if array.size == 1:
        return array.reshape(1)
    array = _without_samples(call, key, array, rank)
    try:
        whole = np.broadcast_to(array.reshape((1,) * (rank - array.ndim) + array.shape), value.shape)
    except ValueError:
        call.refuse(
            f"{key!r} makes the tensor larger", "give one value, one per channel, or one per neuron", found=array.shape
        )
    whole = whole.reshape(layout(value.shape) or ())
    per_channel = whole[(slice(None), *[slice(0, 1)] * (whole.ndim - 1))]
    return per_channel if bool(np.all(whole == per_channel)) else whole


def _without_samples(call: Call, key: str, array: Array, rank: int) -> Array:
    """The constant for one sample; it must be the same for all."""
    if array.ndim <= rank:
        return array
    if array.ndim > rank + 1 or bool(np.any(array != array[:1])):
        call.refuse(f"{key!r} differs from sample to sample", "leave out the sample axis", found=array.shape)
    sample: Array = array[0]
    return sample


HANDLERS = {
    "add": add,
    "sub": subtract,
    "rsub": subtract_from,
    "neg": negate,
    "mul": multiply,
    "div": divide,
}
"""Arithmetic operations, by ATen name."""
