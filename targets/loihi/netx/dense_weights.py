"""Projections as the integers of a layer: matrices with delays, and whether Lava would use them as they are."""

from __future__ import annotations

import numpy as np

from nmdeploy.latency import LATENCY
from nmdeploy.linear_maps import Array
from nmdeploy.network import Population, Projection
from quantize import IntegerFormat
from targets.loihi.netx.faults import Faults
from targets.loihi.netx.schema import LONGEST_DELAY
from targets.loihi.netx.weights import UnusableWeights, WeightsInUse, in_use, recurrent_in_use


def matrix_of(projections: list[Projection], source: Population, faults: Faults) -> tuple[Array, Array]:
    """Weights and delays beyond the layer's step, both int64 `[N_out, N_in]`, of parallel projections.

    Args:
        projections: all between two populations, at least one.
        source: where they come from.
        faults: takes `LOI304` and `LOI312`.
    """
    parts = [whole(p, p.matrix(source.shape).toarray().astype(np.int64), faults) for p in projections]
    weight, delay = np.zeros_like(parts[0]), np.zeros_like(parts[0])
    for projection, part in zip(projections, parts, strict=True):
        if np.any((weight != 0) & (part != 0)):
            message = "several synapses join the same neurons; NetX has one, with one delay"
            faults.add("LOI312", projection.name, message, f"another of delay {projection.delay}")
        weight += part
        delay[part != 0] = projection.delay - LATENCY
    if delay.max() > LONGEST_DELAY:
        message = "a delay is longer than NetX allows"
        faults.add("LOI312", projections[0].name, message, int(delay.max()), LONGEST_DELAY)
    return weight, delay


def whole(projection: Projection, weight: Array, faults: Faults) -> Array:
    """weight * 2**exponent, which has to be whole (`LOI304`)."""
    exponent = projection.exponent
    if exponent < 0 and np.any(weight & ((1 << -exponent) - 1)):
        message = "the weight exponent cuts bits off the sum, which NetX cannot do"
        faults.add("LOI304", projection.name, message, exponent, f"weights that are multiples of {1 << -exponent}")
    shifted: Array = weight << exponent if exponent >= 0 else weight >> -exponent
    return shifted


def check_sum(projection: Projection, weight: Array, source: Population, form: IntegerFormat, faults: Faults) -> None:
    """The sum is wrapped as Lava wraps it, or proven to fit (`LOI307`).

    Args:
        projection: what is written.
        weight: all weights that one neuron may receive, outputs first.
        source: where they come from.
        form: Lava's format of the sum.
        faults: takes the violation.
    """
    if projection.accumulator == form:
        return
    limit = (1 << (form.bits - 1)) - 1
    largest = int(np.abs(weight).reshape(len(weight), -1).sum(axis=1).max()) * max(map(abs, source.spike_range))
    message = f"Lava wraps these sums at {form.bits} bits"
    if projection.accumulator is not None:
        faults.add("LOI307", projection.name, message, f"{projection.accumulator.bits} bits")
    elif largest > limit:
        faults.add("LOI307", projection.name, message, largest, limit, "fewer inputs a neuron, or smaller weights")


def check_weights(weight: Array, weight_rec: Array | None, where: str, faults: Faults) -> None:
    """NetX and Lava use the weights of a dense layer as they are written (`LOI303`)."""
    given = [weight] if weight_rec is None else [weight, weight_rec]
    try:
        used = [in_use(weight)] if weight_rec is None else list(recurrent_in_use(weight, weight_rec))
    except UnusableWeights as error:
        faults.add("LOI303", where, str(error), f"weights {weight.min()}..{weight.max()}")
        return
    for before, after in zip(given, used, strict=True):
        if not after.keeps(before):
            faults.add("LOI303", where, *_change(before, after))


def _change(weight: Array, used: WeightsInUse) -> tuple[str, str, str]:
    """Why weights do not stay, what becomes of the first of them, and what would stay."""
    first = np.unravel_index(int(np.argmax(used.stored != weight << -used.exponent)), weight.shape)
    found = f"{weight[first]} becomes {used.stored[first] * 2.0**used.exponent:g}"
    if weight.max() <= 0:
        message = "NetX shifts the least of weights without a positive one to -256, which Lava clips to -255"
        return message, found, "a least weight that is no negative power of two"
    return "NetX clips weights of both signs", found, "-256..254"
