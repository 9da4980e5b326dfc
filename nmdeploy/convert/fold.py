"""A chain of linear maps becomes one with a single weighted map, as chips want it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nmdeploy.convert.merging import (
    BACKWARD,
    FORWARD,
    Chain,
    Rule,
    is_weighted,
    pointwise_passes_upsample,
)
from nmdeploy.errors import ModelError
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Dense, OneToOne, Reshape, Shape, Synapse

DENSE_LIMIT = 4_000_000
"""Most weights of a dense map that stands for several layers in a row (32 MB in float64)."""


def fold(chain: Sequence[Synapse], shape: Shape, layers: Sequence[str]) -> Chain:
    """An equal chain with exactly one weighted map, its weights in float64.

    Factors (batch norm, 1/area) go into the weights beside them, padding into the
    layer behind it, 1x1 convolutions into their neighbours. Whatever weighted maps
    are left are multiplied out into one dense matrix. A chain without weights ends
    in a OneToOne of 1.

    Args:
        chain: the maps in order of application.
        shape: the shape that enters.
        layers: names of the chain's layers, for messages.

    Raises:
        ModelError: when the dense matrix would have more than `DENSE_LIMIT` weights.
    """
    folded = rewrite(tuple(in_doubles(synapse) for synapse in chain), shape, FORWARD)
    if _weighted(folded)[1:]:
        folded = rewrite(folded, shape, (*FORWARD, pointwise_passes_upsample))
    folded = _factors_back(folded, shape)
    if _weighted(folded)[1:]:
        folded = rewrite(_multiplied_out(folded, shape, layers), shape, FORWARD)
    return folded if _weighted(folded) else (*folded, OneToOne(np.ones(1)))


def in_doubles(synapse: Synapse) -> Synapse:
    """The map with its weights, if it has any, in float64."""
    return synapse if synapse.weight is None else synapse.with_weight(synapse.weight.astype(np.float64))


def rewrite(chain: Chain, shape: Shape, rules: Sequence[Rule]) -> Chain:
    """Apply rules, the first that fits at the first place it fits, until none does."""
    while (shorter := _rewritten(chain, shape, rules)) is not None:
        chain = shorter
    return chain


def _rewritten(chain: Chain, shape: Shape, rules: Sequence[Rule]) -> Chain | None:
    for place, synapse in enumerate(chain):
        for rule in rules:
            rest = rule(chain[place:], shape)
            if rest is not None:
                return (*chain[:place], *rest)
        shape = synapse.out_shape(shape)
    return None


def _weighted(chain: Chain) -> list[int]:
    """Places of the weighted maps."""
    return [place for place, synapse in enumerate(chain) if is_weighted(synapse)]


def _shapes(chain: Chain, shape: Shape) -> list[Shape]:
    """The shape before each map and after the last."""
    found = [shape]
    for synapse in chain:
        found.append(synapse.out_shape(found[-1]))
    return found


def _factors_back(chain: Chain, shape: Shape) -> Chain:
    """Factors behind the first layer with weights go back into it."""
    first = next((i for i in _weighted(chain) if not isinstance(chain[i], OneToOne)), None)
    if first is None:
        return chain
    return (*chain[:first], *rewrite(chain[first:], _shapes(chain, shape)[first], BACKWARD))


def _multiplied_out(chain: Chain, shape: Shape, layers: Sequence[str]) -> Chain:
    """All maps from the first to the last weighted one as a single dense map."""
    first, last = _weighted(chain)[0], _weighted(chain)[-1] + 1
    shapes = _shapes(chain, shape)
    enters, leaves = shapes[first], shapes[last]
    inputs, outputs = math.prod(enters), math.prod(leaves)
    if inputs * outputs > DENSE_LIMIT:
        raise ModelError(
            "layers follow each other without a ReLU and cannot be joined into one",
            where=" and ".join(layers),
            found=f"a dense matrix of {inputs * outputs:,} weights",
            limit=f"{DENSE_LIMIT:,}",
            hint="put a ReLU between them and train again",
        )
    weight = _matrix(chain[first:last], enters, inputs, outputs)
    return (*chain[:first], Reshape((inputs,)), Dense(weight), Reshape(leaves), *chain[last:])


def _matrix(chain: Chain, enters: Shape, inputs: int, outputs: int) -> Array:
    """The chain's matrix `[outputs, inputs]`, column by column from unit vectors."""
    weight = np.empty((outputs, inputs))
    widest = max(math.prod(shape) for shape in _shapes(chain, enters))
    batch = max(1, DENSE_LIMIT // widest)
    for start in range(0, inputs, batch):
        values = np.eye(min(batch, inputs - start), inputs, start).reshape(-1, *enters)
        for synapse in chain:
            values = synapse.apply(values)
        weight[:, start : start + batch] = values.reshape(-1, outputs).T
    return weight
