"""ATen operations that only move values: reshaping, concatenation, padding, identities."""

from __future__ import annotations

from nmdeploy.ann.graph import Concat
from nmdeploy.ann.layers import zero_padding
from nmdeploy.ann.torch_call import Activation, Call


def reshape(call: Call) -> Activation:
    """Any operation that keeps values, their row-major order and the sample axis."""
    key = "input" if "input" in call.args else "self"
    return call.done(call.activation(key).node)


def permute(call: Call) -> Activation:
    """Exchanged axes; legal where only axes of length 1 move, since then no value does."""
    value = call.activation("self")
    order = _order(call, value)
    sizes = {axis + 1: length for axis, length in enumerate(value.shape)}
    moved = [axis for axis in order[1:] if sizes.get(axis) != 1]
    if order[0] != 0 or moved != sorted(moved):
        hint = "keep data as (N, C, H, W) or (N, C, L) throughout; permute the samples before"
        call.refuse("the order of axes is changed", hint, found=tuple(order))
    return call.done(value.node)


def concatenate(call: Call) -> Activation:
    """Concatenation along the channels."""
    values = call.args["tensors"]
    if not all(isinstance(value, Activation) for value in values):
        call.refuse("a constant is concatenated", "give it to the next layer as a bias")
    axis = call.axes("dim", values[0])
    if axis != (1,):
        call.refuse("concatenation is along the channels", "use torch.cat(..., dim=1)", found=f"dim {axis[0]}")
    if len(values) == 1:
        return call.done(values[0].node)
    return call.done(call.emit(Concat(), *[value.node for value in values]))


def pad(call: Call) -> Activation:
    """Zeros around the image; torch lists (left, right, top, bottom, ...) from the last axis on."""
    value = call.activation("self")
    if call.args.get("mode", "constant") != "constant" or call.args.get("value"):
        found = call.args.get("value") or call.args["mode"]
        call.refuse("the border is not filled with zeros", "pad with zeros and fine-tune", found=found)
    sides = [int(side) for side in call.args["pad"]]
    if not any(sides):
        return call.done(value.node)
    spatial = 2 * (len(value.shape) - 1)
    if any(sides[spatial:]) or min(sides) < 0:
        what = "padding cuts off" if min(sides) < 0 else "padding adds channels"
        call.refuse(what, "pad height and width only, by at least 0", found=tuple(sides))
    left, right, top, bottom = [*sides[:spatial], 0, 0, 0, 0][:4]
    operation = zero_padding(value.shape[0], (top, bottom, left, right))
    return call.done(call.emit(operation, value.node))


def identity(call: Call) -> Activation:
    """Copies, and casts between real types, which the import makes float32."""
    kind = call.args.get("dtype")
    if kind is not None and not kind.is_floating_point:
        call.refuse("values are cast to integers", "leave quantization to nmdeploy", found=kind)
    return reshape(call)


def dropout(call: Call) -> Activation:
    """Nothing at inference."""
    if call.args.get("train"):
        hint = "use nn.Dropout, or F.dropout(x, training=self.training)"
        call.refuse("dropout stays active at inference", hint)
    call.note(f"Dropout was left out: {call.place}.")
    return reshape(call)


def _order(call: Call, value: Activation) -> tuple[int, ...]:
    """For every axis of the result, the axis of the operand, with the samples' as 0."""
    if "dims" in call.args:
        return call.axes("dims", value)
    order = list(range(len(value.shape) + 1))
    keys = ("dim0", "dim1") if "dim0" in call.args else ("axis0", "axis1")
    if call.place.operation == "t":
        first, second = 0, len(order) - 1
    else:
        (first,), (second,) = (call.axes(key, value) for key in keys)
    order[first], order[second] = order[second], order[first]
    return tuple(order)


RESHAPES = ("flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "unflatten", "view_copy")
IDENTITIES = ("clone", "alias", "detach", "contiguous", "to", "_to_copy", "positive", "lift_fresh", "lift_fresh_copy")
DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")

HANDLERS = {
    **dict.fromkeys(RESHAPES, reshape),
    **dict.fromkeys(IDENTITIES, identity),
    **dict.fromkeys(DROPOUTS, dropout),
    "permute": permute,
    "transpose": permute,
    "swapaxes": permute,
    "t": permute,
    "cat": concatenate,
    "pad": pad,
    "constant_pad_nd": pad,
}
"""Operations that move values, by ATen name."""
