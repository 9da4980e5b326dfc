"""What the `IF_trunc_delta` binary of sPyNNaker 7.4.1 makes of the parameters that its host writes.

The host writes, for the neurons of a core, the model's parameters, the time steps, v_thresh, and pairs
(isyn_exc, isyn_inh). The binary was built without the struct that holds the time step: it takes the time steps for
thresholds, v_thresh for the first pairs, and the pairs one half of a core later. Safe with the defect and after its
repair: a time step of 1 ms, v_thresh = 1.0 for all neurons, isyn 0, and an even number of neurons on every core.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nmdeploy.errors import ShapeError
from nmdeploy.synapses import Shape
from targets.spinnaker.fixed_point import ONE
from targets.spinnaker.neuron import IFTruncDelta


def kicked_neuron(neurons: int) -> int | None:
    """The neuron of a core that gets v_thresh as a one-off excitation in the first step; None where there is none.

    With an odd number of neurons of equal v_thresh it is the middle one: its inhibition comes from elsewhere.

    Args:
        neurons: on the core.
    """
    return (neurons - 1) // 2 if neurons % 2 else None


def is_safe(neuron: IFTruncDelta, core_sizes: Sequence[int]) -> bool:
    """Whether the parameters mean the same to the host and to the binary, with the defect and without.

    Args:
        neuron: as the host writes it.
        core_sizes: neurons on each core.
    """
    plain = np.all(np.equal(neuron.v_thresh, ONE)) and np.all(np.equal(neuron.time_step, ONE))
    silent = not np.any(neuron.isyn_exc) and not np.any(neuron.isyn_inh)
    return bool(plain and silent and not any(size % 2 for size in core_sizes))


def as_read(neuron: IFTruncDelta, shape: Shape, core_sizes: Sequence[int]) -> IFTruncDelta:
    """The neurons that run on sPyNNaker 7.4.1 when the host writes `neuron`.

    Args:
        neuron: as the host writes it.
        shape: of the population.
        core_sizes: neurons on each core, in order; they add up to the population.

    Returns:
        The model with the thresholds and initial inputs that the binary reads.

    Raises:
        ShapeError: when the cores do not hold the population.
    """
    size = math.prod(shape)
    if sum(core_sizes) != size or min(core_sizes) < 1:
        raise ShapeError("cores do not hold the population", found=tuple(core_sizes), limit=size)
    written = [
        np.broadcast_to(values, shape).reshape(-1)
        for values in (neuron.time_step, neuron.v_thresh, neuron.isyn_exc, neuron.isyn_inh)
    ]
    exc, inh = [], []
    for core in _slices(core_sizes):
        _, v_thresh, isyn_exc, isyn_inh = (values[core] for values in written)
        words = np.concatenate([v_thresh, np.stack([isyn_exc, isyn_inh], axis=1).ravel()])
        exc.append(words[: 2 * len(v_thresh) : 2])
        inh.append(words[1 : 2 * len(v_thresh) : 2])
    return replace(
        neuron,
        v_thresh=written[0].reshape(shape),
        isyn_exc=np.concatenate(exc).reshape(shape),
        isyn_inh=np.concatenate(inh).reshape(shape),
    )


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
