"""Populations and projections in sPyNNaker 7.4.1's terms, so that the chip gets exactly the integers that are given.

A population is a list of PyNN populations: its channels, each on a grid, where its synapses
are shared kernels or pooled dense weights; else a list of one. Weights are integers that
count `units`: PyNN's weight for one unit of the excitatory and of the inhibitory ring buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parts = list[Any]
Units = tuple[float, float]

ONE = 32768
"""1.0 in the chip's numbers (s16.15)."""
RECEPTORS = ("excitatory", "inhibitory")


def setup(sim: Any, time_scale_factor: int = 1) -> None:
    """A new simulation with steps of 1 ms, each taking `time_scale_factor` ms of real time."""
    sim.setup(timestep=1.0, min_delay=1.0, time_scale_factor=time_scale_factor)


def source(sim: Any, label: str, spikes: Array, *, channels: int, atoms: Any, grid: tuple[int, int] | None) -> Parts:
    """An input that plays back spikes.

    Args:
        sim: `pyNN.spiNNaker`.
        label: name of the population.
        spikes: 0 or 1, `[T, *shape]`; a spike of step t is sent at t ms and acts from t + 1 ms on.
        channels: parts that it is split into.
        atoms: most neurons on a core, (width, height) on a grid.
        grid: width and height of a channel, where it lies on a grid.
    """
    parts = []
    for part, values in enumerate(np.split(spikes.reshape(len(spikes), -1), channels, axis=1)):
        times = [[float(step) for step in np.flatnonzero(column)] for column in values.T]
        # Lists that are all empty make sPyNNaker 7.4.1 fail.
        model = sim.SpikeSourceArray(times if any(times) else [])
        parts.append(_population(sim, len(times), model, _part_label(label, part, grid), atoms, grid))
    return parts


def neurons(
    sim: Any,
    model: Any,
    label: str,
    parameters: Mapping[str, Array],
    *,
    units: Units,
    atoms: Any,
    grid: tuple[int, int] | None,
) -> Parts:
    """Neurons with a parameter of each for itself.

    sPyNNaker then writes parameters word for word, rather than a program that makes them on the chip.

    Args:
        sim: `pyNN.spiNNaker`.
        model: the cell type.
        label: name of the population.
        parameters: by PyNN's name, and `v` for the initial potential: integers that count 1/32768, `[parts, neurons]`.
        units: fix the shifts of the ring buffers.
        atoms, grid: as for `source`.
    """
    # The largest sum must lie below 2 ** shift; sPyNNaker then chooses that shift.
    sums = [0.75 * ONE * unit for unit in units]
    channels = len(parameters["v"])
    parts = []
    for part in range(channels):
        given = {name: [float(value) / ONE for value in values[part]] for name, values in parameters.items()}
        initial = given.pop("v")
        name = _part_label(label, part, grid)
        extra = {"additional_parameters": {"max_expected_summed_weight": sums}}
        population = _population(sim, len(initial), model(**given), name, atoms, grid, extra)
        population.initialize(v=initial)
        parts.append(population)
    return parts


def rows(sim: Any, pre: Parts, post: Parts, synapses: Array, *, units: Units, delay: int) -> None:
    """Single synapses, which the host turns into the rows that the chip reads.

    Args:
        sim: `pyNN.spiNNaker`.
        pre, post: from `source` and `neurons`.
        synapses: (source neuron, target neuron, weight) `[n, 3]`, neurons counted through all channels.
        units: PyNN's weight for one unit, of each sign.
        delay: in steps.
    """
    pre_size, post_size = pre[0].size, post[0].size
    first, last = synapses[:, 0] // pre_size, synapses[:, 1] // post_size
    for sign, (receptor, unit) in enumerate(zip(RECEPTORS, units, strict=True)):
        of_sign = synapses[:, 2] < 0 if sign else synapses[:, 2] > 0
        for i, j in product(range(len(pre)), range(len(post))):
            chosen = synapses[of_sign & (first == i) & (last == j)]
            if len(chosen):
                listed = np.empty((len(chosen), 4))
                listed[:, 0], listed[:, 1] = chosen[:, 0] % pre_size, chosen[:, 1] % post_size
                listed[:, 2], listed[:, 3] = np.abs(chosen[:, 2]) * unit, delay
                sim.Projection(pre[i], post[j], sim.FromListConnector(listed), receptor_type=receptor)


def convolution(
    sim: Any,
    pre: Parts,
    post: Parts,
    kernels: Array,
    *,
    units: Units,
    pool: int,
    padding: int,
    groups: int,
    delay: int,
) -> None:
    """A convolution with kernels in the cores' own memory.

    Args:
        sim: `pyNN.spiNNaker`.
        pre, post: channels, from `source` and `neurons`.
        kernels: as for a cross-correlation, `[C_out, C_in / groups, k, k]`.
        units: PyNN's weight for one unit, of each sign.
        pool: side of the squares that are summed first; 1 for none.
        padding: zeros at each side.
        groups: channel groups.
        delay: in steps.
    """
    # The chip convolves: it turns kernels by 180 degrees.
    turned = _scaled(kernels[:, :, ::-1, ::-1], units) * pool**2
    depth, outputs = kernels.shape[1], len(kernels) // groups
    for target in range(len(kernels)):
        for index in range(depth):
            connector = sim.ConvolutionConnector(turned[target, index], padding=padding, **_pooling(pool))
            first = target // outputs * depth
            kind = sim.Convolution(delay=float(delay))
            sim.Projection(pre[first + index], post[target], connector, synapse_type=kind)


def pool_dense(sim: Any, pre: Parts, post: Parts, weights: Array, *, units: Units, pool: int, delay: int) -> None:
    """Dense weights of pooled channels in the cores' own memory.

    Args:
        sim: `pyNN.spiNNaker`.
        pre: channels.
        post: a population in one part.
        weights: `[N_out, C, H_pooled, W_pooled]`.
        units: PyNN's weight for one unit, of each sign.
        pool: side of the squares that are summed first; 1 for none.
        delay: in steps.
    """
    # The chip counts pixels column by column.
    by_column = _scaled(weights.transpose(1, 3, 2, 0), units) * pool**2
    for part, channel in enumerate(by_column):
        connector = sim.PoolDenseConnector(channel.reshape(-1, len(weights)), **_pooling(pool))
        sim.Projection(pre[part], post[0], connector, synapse_type=sim.PoolDense(delay=float(delay)))


def messages() -> list[str]:
    """What sPyNNaker has to report of the last run: late and dropped packets, saturated buffers."""
    from spinn_front_end_common.interface.provenance import ProvenanceReader

    with ProvenanceReader() as reader:
        return [str(message) for message in reader.messages()]


def _population(
    sim: Any,
    size: int,
    model: Any,
    label: str,
    atoms: Any,
    grid: tuple[int, int] | None,
    extra: Mapping[str, Any] | None = None,
) -> Any:
    structure = {} if grid is None else {"structure": sim.Grid2D(grid[0] / grid[1])}
    population = sim.Population(size, model, label=label, **structure, **(extra or {}))
    population.set_max_atoms_per_core(atoms)
    return population


def _pooling(pool: int) -> dict[str, int]:
    """Arguments of a connector; the host then divides the weights by the pool's area."""
    return {"pool_shape": pool, "pool_stride": pool} if pool > 1 else {}


def _part_label(label: str, part: int, grid: tuple[int, int] | None) -> str:
    return label if grid is None else f"{label}.c{part}"


def _scaled(weights: Array, units: Units) -> Array:
    """Integer weights in PyNN's measure."""
    scaled: Array = np.where(weights < 0, weights * units[1], weights * units[0])
    return scaled
