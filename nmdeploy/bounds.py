"""What sums and potentials of an integer network can reach, proven before it runs.

The spikes of a population lie in its `spike_range` (0 included: before the first step
and after the last input there are none); everything else follows from the weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.network import Network, Projection
from nmdeploy.neurons import IF, Integrator, Number
from nmdeploy.schedule import coincidences
from nmdeploy.synapses import Array, Shape, Synapse
from quantize import Bound, IntegerFormat, Overflow, exact, linear_bound

Ends = tuple[Array, Array]
"""The lower and the upper end of each neuron's range."""


def projection_bound(network: Network, projection: Projection) -> Bound:
    """The proven range of each neuron's sum in one step, before exponent and accumulator.

    Args:
        network: the network it belongs to.
        projection: with integer weights.

    Returns:
        `lower` and `upper` have the target's shape. They are attained when the chain
        has one synapse with weights, and windows before it do not overlap. `magnitude`
        covers every partial sum, in any order, of every synapse of the chain (applied
        one after the other; a chain multiplied into one matrix has other partial sums).

    Raises:
        QuantizationError: for weights that are not integers.
    """
    if not projection.is_integer:
        raise QuantizationError("bounds are proven for integer weights only", where=projection.name)
    source = network[projection.source]
    least, most = min(source.spike_range[0], 0), max(source.spike_range[1], 0)
    lower, upper = np.full(source.shape, least, dtype=np.int64), np.full(source.shape, most, dtype=np.int64)
    bound = Bound(lower, upper, max(-least, most))
    for synapse in projection.synapses:
        bound = _through(synapse, bound)
    return bound


def _through(synapse: Synapse, bound: Bound) -> Bound:
    def weighted(weight: Array, values: Array) -> Array:
        return synapse.with_weight(weight).apply(values)

    def plain(weight: Array, values: Array) -> Array:
        return weight * synapse.apply(values)

    weight = synapse.weight
    if weight is None:
        after = linear_bound(plain, np.ones(1, dtype=np.int8), bound.lower, bound.upper)
    else:
        after = linear_bound(weighted, weight, bound.lower, bound.upper)
    return Bound(after.lower, after.upper, max(bound.magnitude, after.magnitude))


def population_bound(network: Network, name: str) -> Bound:
    """The proven range of each neuron's current: the sum of what its projections deliver in one step.

    Args:
        network: integer network.
        name: a population that is no input.

    Returns:
        Ranges of the population's shape, after each projection's exponent and
        accumulator format. `magnitude` covers the sum over projections in any order;
        the sums inside a projection are `projection_bound`'s.

    Raises:
        UsageError: for an input population.
        QuantizationError: for weights that are not integers.
    """
    return _total(network, name, network.into(name))


def _total(network: Network, name: str, projections: Iterable[Projection]) -> Bound:
    """The range of what these projections bring to population `name` together."""
    if network[name].is_input:
        raise UsageError("an input population receives no current", where=name)
    zero = np.zeros(network[name].shape, dtype=np.int64)
    return reduce(add, (_delivered(network, each) for each in projections), Bound(zero, zero, 0))


def coincident_bound(network: Network, name: str) -> Bound:
    """`population_bound`, of what can arrive in the same step when every population keeps its schedule.

    For design rules: a spike out of schedule can bring more, so nothing is proven by it.

    Args:
        network: integer network.
        name: a population that is no input.

    Returns:
        For each neuron the widest range over all steps.

    Raises:
        UsageError: for an input population.
        QuantizationError: for weights that are not integers.
    """
    return reduce(_widest, (_total(network, name, each) for each in coincident_projections(network, name)))


def coincident_projections(network: Network, name: str) -> tuple[tuple[Projection, ...], ...]:
    """The largest groups of projections into a population that schedules let act in the same step."""
    entering = network.into(name)
    groups = coincidences([(network[each.source].schedule, each.delay) for each in entering])
    return tuple(tuple(entering[index] for index in group) for group in groups)


def _widest(left: Bound, right: Bound) -> Bound:
    lower, upper = np.minimum(left.lower, right.lower), np.maximum(left.upper, right.upper)
    return Bound(lower, upper, max(left.magnitude, right.magnitude))


def _delivered(network: Network, projection: Projection) -> Bound:
    bound = projection_bound(network, projection).times_power_of_two(projection.exponent)
    return bound if projection.accumulator is None else bound.within(projection.accumulator)


def potential_bound(network: Network, name: str, steps: int) -> Bound:
    """The proven range of each neuron's membrane potential within the first `steps` steps.

    With current and bias together in c_lo..c_hi, v_init at v0 and n = `steps`, an
    Integrator stays within::

        v0 + n * min(c_lo, 0)  ..  v0 + n * max(c_hi, 0)

    An IF neuron of threshold theta does not rise beyond theta - 1 (theta, where it fires
    by `>`) or v0, but for what one spike a step cannot take off in reset "subtract":
    n * max(c_hi - theta, 0). If it can fire, it may also fall from 0:
    (n - 1) * min(c_lo, 0). `v_min` and the potential format, by its overflow rule, are heeded.

    Args:
        network: integer network.
        name: a population of ideal neurons (`IF` or `Integrator`).
        steps: number of steps, at least 0.

    Returns:
        `lower` and `upper`: the range of v before the first step and at the end of every
        step, after reset, in the population's shape. `magnitude` also covers v before
        the reset and before the format is applied.

    Raises:
        UsageError: for an input population, another neuron model, or negative `steps`.
        QuantizationError: for a network that is not integer.
    """
    neuron = network[name].neuron
    if not isinstance(neuron, (IF, Integrator)):
        kind = "an input population" if neuron is None else neuron.kind
        raise UsageError("potentials are bounded for IF and Integrator neurons only", where=name, found=kind)
    if steps < 0:
        raise UsageError("a run has at least 0 steps", where=name, found=steps)
    if not neuron.is_integer:
        raise QuantizationError("bounds are proven for integers only; quantize the network first", where=name)
    return potential_driven_by(neuron, population_bound(network, name), network[name].shape, steps)


def potential_driven_by(neuron: IF | Integrator, current: Bound, shape: Shape, steps: int) -> Bound:
    """`potential_bound` of integer neurons of a population's `shape` whose current is in a known range."""
    bias = exact(np.broadcast_to(neuron.bias, shape), _largest(neuron.bias))
    drive = current + Bound(bias, bias, _largest(neuron.bias))
    threshold, floors = neuron.threshold if isinstance(neuron, IF) else 0, _floors(neuron)
    # Nothing below adds up to more than this.
    room = sum(map(_largest, (neuron.v_init, threshold, *floors))) + (steps + 1) * drive.magnitude

    def full(value: Number) -> Array:
        return exact(np.broadcast_to(value, shape), room)

    v_init = full(neuron.v_init)
    start: Array = reduce(np.maximum, map(full, floors), v_init)
    begin = (start if neuron.potential is None else np.minimum(start, neuron.potential.maximum), start)
    drift = (np.minimum(full(drive.lower), 0), np.maximum(full(drive.upper), 0))
    lower, upper = begin[0] + steps * drift[0], begin[1] + steps * drift[1]
    if isinstance(neuron, IF):
        lower, upper = _with_reset(neuron, full(threshold), (lower, upper), begin, drift, steps)
    if neuron.potential is not None:
        lower, upper = _with_format(neuron.potential, (np.minimum(lower, v_init), upper), drift)
    for floor in floors:
        lower = np.maximum(lower, full(floor))
    whole = Bound(np.minimum(lower, v_init), np.maximum(upper, v_init), 0)
    return replace(whole, magnitude=whole.interval.magnitude + drive.magnitude)


def _largest(value: Number) -> int:
    return max(abs(int(np.min(value))), abs(int(np.max(value))))


def _floors(neuron: IF | Integrator) -> list[Number]:
    """What no potential stays below after the first step."""
    found: list[Number] = []
    if isinstance(neuron, IF) and neuron.v_min is not None:
        found.append(neuron.v_min)
    if neuron.potential is not None and neuron.potential.overflow is not Overflow.WRAP:
        found.append(neuron.potential.minimum)
    return found


def _with_reset(neuron: IF, theta: Array, free: Ends, begin: Ends, drift: Ends, steps: int) -> Ends:
    """The ends that remain of `free`, where potentials drift to from `begin`, when spikes take some off."""
    silent = theta - 1 if neuron.fire == ">=" else theta
    can_fire = (free[1] > silent) & (steps > 0)
    lower = np.where(can_fire, np.minimum(free[0], (steps - 1) * drift[0]), free[0])
    overshoot = steps * np.maximum(drift[1] - theta, 0) if neuron.reset == "subtract" else 0
    return lower, np.maximum(begin[1], np.minimum(free[1], silent)) + overshoot


def _with_format(form: IntegerFormat, free: Ends, drift: Ends) -> Ends:
    """The ends that remain of `free` where one more step's sum may leave the format."""
    if form.overflow is not Overflow.WRAP:
        return np.clip(free[0], form.minimum, form.maximum), np.clip(free[1], form.minimum, form.maximum)
    fits = (free[0] + drift[0] >= form.minimum) & (free[1] + drift[1] <= form.maximum)
    return np.where(fits, free[0], form.minimum), np.where(fits, free[1], form.maximum)
