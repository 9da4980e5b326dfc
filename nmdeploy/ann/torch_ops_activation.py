"""ATen activation functions that spiking neurons compute, and the final softmax."""

from __future__ import annotations

import math
from typing import Any

from nmdeploy.ann.graph import Rectify
from nmdeploy.ann.torch_call import Activation, Call
from nmdeploy.ann.torch_ops_shape import IDENTITIES
from nmdeploy.ann.torch_places import operation_name


def relu(call: Call) -> Activation:
    """max(x, 0)."""
    return _rectified(call, 0.0, math.inf)


def relu6(call: Call) -> Activation:
    """min(max(x, 0), 6)."""
    return _rectified(call, 0.0, 6.0)


def hardtanh(call: Call) -> Activation:
    """min(max(x, min_val), max_val)."""
    return _rectified(call, float(call.args["min_val"]), float(call.args["max_val"]))


def clamp(call: Call) -> Activation:
    """min(max(x, min), max), either of them absent."""
    return _rectified(call, _bound(call, "min", -math.inf), _bound(call, "max", math.inf))


def threshold(call: Call) -> Activation:
    """x where it is above the threshold, else the value; a ReLU where both are 0."""
    if call.args["threshold"] != 0 or call.args["value"] != 0:
        call.refuse("a threshold other than 0", "use nn.ReLU and fine-tune", found=call.args["threshold"])
    return _rectified(call, 0.0, math.inf)


def softmax(call: Call) -> Activation:
    """Dropped at the end, where it does not change the order of the scores."""
    value = call.activation("self")
    if call.axes("dim", value) != (1,):
        call.refuse("softmax over another axis than the classes", "use dim=1", found=f"dim {call.args['dim']}")
    if not _is_last(call.node):
        hint = "spiking neurons do not normalize; use softmax only behind the last layer"
        call.refuse("softmax in the middle of the network", hint)
    call.note(
        f"The final {call.place.operation.strip('_')} was dropped: {call.place}. The order of scores is the same."
    )
    call.compare_with(lambda tensor, *_, **__: tensor)
    return call.done(value.node)


def _rectified(call: Call, lowest: float, highest: float) -> Activation:
    """A `Rectify`; bounds of a value that is already rectified join with its own."""
    value = call.activation("self")
    before = call.state.builder.nodes[value.node]
    maximum = None if highest == math.inf else highest
    if highest <= 0:
        call.refuse("the upper bound is not positive", found=highest)
    if isinstance(before.operation, Rectify) and lowest <= 0:
        known = before.operation.maximum
        joined = min((bound for bound in (maximum, known) if bound is not None), default=None)
        return call.done(value.node if joined == known else call.emit(Rectify(joined), *before.inputs))
    if lowest != 0:
        hint = "spiking neurons compute ReLU: use nn.ReLU, nn.ReLU6 or a lower bound of 0, and fine-tune"
        call.refuse("the lower bound is not 0", hint, found=lowest)
    return call.done(call.emit(Rectify(maximum), value.node))


def _bound(call: Call, key: str, absent: float) -> float:
    bound = call.array(key)
    if bound is None:
        return absent
    if bound.size != 1:
        call.refuse(f"{key!r} differs from neuron to neuron", "use one bound for the layer", found=bound.shape)
    return float(bound.reshape(-1)[0])


def _is_last(node: Any) -> bool:
    """Whether the result goes to the output unchanged."""
    unchanged = (user for user in node.users if user.op != "output")
    return all(operation_name(user.target) in IDENTITIES and _is_last(user) for user in unchanged)


HANDLERS = {
    "relu": relu,
    "relu6": relu6,
    "hardtanh": hardtanh,
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": clamp,
    "threshold": threshold,
    "softmax": softmax,
    "_softmax": softmax,
    "log_softmax": softmax,
    "_log_softmax": softmax,
}
"""Activation functions, by ATen name."""
