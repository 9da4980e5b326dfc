"""The linear maps of a projection in torch, so that gradients pass through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.errors import UsageError
from nmdeploy.synapses import (
    Conv2d,
    ConvTranspose2d,
    Dense,
    OneToOne,
    Reshape,
    SumPool2d,
    Synapse,
    Upsample2d,
)

Tensor = Any
"""A `torch.Tensor`; torch is optional and has no stubs here."""
PURPOSE = "training on a chip"
"""What torch is needed for, in error messages."""


def applied(synapse: Synapse, values: Tensor, weight: Tensor | None) -> Tensor:
    """What `synapse.apply` gives, as a differentiable function of values and weights.

    Args:
        synapse: the map; its own weights are not used.
        values: float tensor `[N, *in_shape]`.
        weight: float tensor in the layout of `synapse.weight`; None for a kind without weights.

    Returns:
        Float tensor `[N, *out_shape]`.

    Raises:
        UsageError: for a kind of synapse that torch has no map for here.
    """
    try:
        mapped = _MAPS[synapse.kind]
    except KeyError:
        message = "this kind of synapse cannot be trained through"
        raise UsageError(message, found=synapse.kind, limit=", ".join(_MAPS)) from None
    return mapped(import_torch(PURPOSE).nn.functional, synapse, values, weight)


def _dense(functional: Any, _synapse: Any, values: Tensor, weight: Tensor) -> Tensor:
    return functional.linear(values, weight)


def _conv(functional: Any, synapse: Any, values: Tensor, weight: Tensor) -> Tensor:
    padded = _padded(functional, values, synapse.padding)
    return functional.conv2d(padded, weight, None, synapse.stride, 0, synapse.dilation, synapse.groups)


def _conv_transpose(functional: Any, synapse: Any, values: Tensor, weight: Tensor) -> Tensor:
    full = functional.conv_transpose2d(values, weight, None, synapse.stride, 0, 0, synapse.groups, synapse.dilation)
    bottom, right = synapse.output_padding
    full = _padded(functional, full, (0, bottom, 0, right))
    # torch cuts the same off opposite sides; here each of the four has its own number.
    return _padded(functional, full, tuple(-cut for cut in synapse.padding))


def _sum_pool(functional: Any, synapse: Any, values: Tensor, _weight: None) -> Tensor:
    padded = _padded(functional, values, synapse.padding)
    return functional.avg_pool2d(padded, synapse.kernel, synapse.steps, divisor_override=1)


def _upsample(_functional: Any, synapse: Any, values: Tensor, _weight: None) -> Tensor:
    return values.repeat_interleave(synapse.factor[0], dim=-2).repeat_interleave(synapse.factor[1], dim=-1)


def _one_to_one(_functional: Any, _synapse: Any, values: Tensor, weight: Tensor) -> Tensor:
    return values * weight


def _reshape(_functional: Any, synapse: Any, values: Tensor, _weight: None) -> Tensor:
    return values.reshape(len(values), *synapse.shape)


_MAPS: dict[str, Callable[[Any, Any, Tensor, Any], Tensor]] = {
    Dense.kind: _dense,
    Conv2d.kind: _conv,
    ConvTranspose2d.kind: _conv_transpose,
    SumPool2d.kind: _sum_pool,
    Upsample2d.kind: _upsample,
    OneToOne.kind: _one_to_one,
    Reshape.kind: _reshape,
}
"""The map of each synapse kind."""


def _padded(functional: Any, values: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Values with zeros at (top, bottom, left, right), or, where a number is negative, so much cut off."""
    top, bottom, left, right = sides
    return functional.pad(values, (left, right, top, bottom)) if any(sides) else values
