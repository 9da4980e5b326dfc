"""One call of an exported PyTorch model, as the handlers of its operation see it.

torch's tensors of a sample become the IR's shapes: `(F,)` stays, `(C, L)` becomes
`(C, 1, L)`, `(C, H, W)` stays, and a single number becomes `(1,)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from nmdeploy.ann.builder import GraphBuilder
from nmdeploy.ann.graph import Linear, Operation
from nmdeploy.ann.torch_places import Place
from nmdeploy.ann.torch_program import size
from nmdeploy.errors import ModelError
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Reshape, Shape


@dataclass(frozen=True)
class Activation:
    """A tensor that depends on the input.

    Attributes:
        node: the graph's node that computes it.
        shape: torch's shape without the sample axis.
    """

    node: str
    shape: Shape


@dataclass
class Import:
    """What the import of one model has gathered.

    Attributes:
        builder: the graph under construction.
        batch: the traced length of the sample axis.
        max_pool: `refuse` or `average`.
        made: the graph's node for every fx node that has one.
        substitutes: for fx nodes whose meaning was changed, the function that torch
            has to compute instead when both are compared.
    """

    builder: GraphBuilder
    batch: int | str
    max_pool: str
    made: dict[str, str] = field(default_factory=dict)
    substitutes: dict[str, Callable[..., Any]] = field(default_factory=dict)


def layout(shape: Shape) -> Shape | None:
    """The IR's shape for a torch tensor of one sample; None if it has too many axes."""
    layouts = {0: (1,), 1: shape, 2: (*shape[:1], 1, *shape[1:]), 3: shape}
    return layouts.get(len(shape))


def sample_shape(value: Any, batch: int | str) -> Shape | None:
    """Shape of one sample of a traced tensor; None if its first axis is not the samples."""
    shape = [size(part) for part in value.shape]
    if not shape or shape[0] != batch or any(isinstance(part, str) for part in shape[1:]):
        return None
    return tuple(int(part) for part in shape[1:])


@dataclass(frozen=True)
class Call:
    """One ATen call being imported.

    Attributes:
        node: the fx node.
        place: where it stands in the model.
        args: values by the names of the operation's schema: `Activation`, constant
            tensors, numbers, and lists of them.
        state: the import it belongs to.
    """

    node: Any
    place: Place
    args: dict[str, Any]
    state: Import

    def refuse(self, what: str, hint: str | None = None, *, found: object = None) -> NoReturn:
        """Raise the ModelError that says why this call cannot be imported."""
        raise ModelError(what, where=str(self.place), found=found, hint=hint)

    @property
    def result(self) -> Shape:
        """torch's shape of the (first) result, without the sample axis."""
        value = self.node.meta["val"]
        first = value[0] if isinstance(value, tuple | list) else value
        shape = sample_shape(first, self.state.batch)
        if shape is None:
            hint = "keep samples on the first axis; flatten with x.flatten(1)"
            self.refuse("the result has lost its sample axis", hint, found=tuple(map(size, first.shape)))
        return shape

    def activation(self, key: str) -> Activation:
        """The operand `key`, which must depend on the input."""
        value = self.args[key]
        if not isinstance(value, Activation):
            self.refuse(f"{key!r} is a constant", "only tensors computed from the input can stand there")
        return value

    def array(self, key: str) -> Array | None:
        """The constant tensor or number `key` as float32; None where it is absent."""
        value = self.args.get(key)
        if value is None:
            return None
        if isinstance(value, Activation):
            self.refuse(f"{key!r} depends on the input", "spiking neurons have fixed weights")
        array = value.detach().cpu().double().numpy() if hasattr(value, "detach") else np.asarray(value, np.float64)
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinity
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            self.refuse(f"{key!r} holds NaN or infinity", "train the model again or repair its weights")
        return array

    def weights(self, key: str) -> Array:
        """The constant tensor `key`, which must be there."""
        array = self.array(key)
        if array is None:
            self.refuse(f"{key!r} is missing")
        return array

    def axes(self, key: str, value: Activation) -> tuple[int, ...]:
        """The axis or axes `key` of an operand, counted from the front with the samples' as 0."""
        given = self.args[key]
        rank = len(value.shape) + 1
        return tuple(int(axis) % rank for axis in (given if isinstance(given, list | tuple) else (given,)))

    def emit(self, operation: Operation, *operands: str, step: str = "") -> str:
        """Add an operation to the graph; `step` names one that is not the layer's last."""
        name = f"{self.place.name}.{step}" if step else self.place.name
        return self.state.builder.add(name, operation, operands, str(self.place))

    def done(self, node: str) -> Activation:
        """The call's result; its shape is what torch's is, reshaped in row-major order if need be."""
        shape = layout(self.result)
        if shape is None:
            self.refuse("tensors of a sample have at most 3 axes", found=self.result)
        made = self.state.builder.shapes[node]
        if made != shape:
            if math.prod(made) != math.prod(shape):
                self.refuse("this broadcasts or reduces in a way that has no counterpart", found=made)
            made_here = self.state.builder.nodes[node].origin == str(self.place)
            node = self.emit(Linear(Reshape(shape)), node, step="reshape" if made_here else "")
        return Activation(node, self.result)

    def note(self, sentence: str) -> None:
        """Tell the user what was changed here."""
        self.state.builder.note(sentence)

    def compare_with(self, function: Callable[..., Any]) -> None:
        """Let the self-check compute `function` here instead of torch's own operation."""
        self.state.substitutes[self.node.name] = function
