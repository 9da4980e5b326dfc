"""The gradient that a run on the chip is given: that of the clipped ReLU in place of its spikes.

Population by population, with r the spikes per input step that the chip's neurons sent::

    I = sum over sources s of W r_s, plus bias * (steps of the run / input steps)
    value:     r                                    (the chip's)
    gradient:  dr/dI = 1/threshold where 0 < I < threshold, else 0

(straight-through estimator: Bengio et al. 2013, arXiv:1308.3432; spikes in the forward and a
smooth function in the backward pass: Neftci et al. 2019, doi 10.1109/MSP.2019.2931595.) The
rounding to the chip's integers is passed by in the same way: the chip's rates come from
integer weights, the gradient reaches the float ones.
"""

from __future__ import annotations

import numpy as np

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.convert.surrogate.chip_run import ChipRun, unit_of_scores
from nmdeploy.convert.surrogate.parameters import Parameters
from nmdeploy.convert.surrogate.torch_maps import PURPOSE, Tensor
from nmdeploy.network import Network
from nmdeploy.neurons import IF, Integrator


def scores_with_gradient(network: Network, parameters: Parameters, run: ChipRun) -> Tensor:
    """The chip's scores `[N, classes]`, with the gradient of the clipped ReLUs.

    Args:
        network: float network without cycles, one output.
        parameters: its weights and biases.
        run: what the chip made of the network with the parameters' present values.
    """
    from_numpy = import_torch(PURPOSE).from_numpy
    sent: dict[str, Tensor] = {}
    surrogates: dict[str, Tensor] = {}
    for population in network.order(instant_only=False) or ():
        name = population.name
        sent[name] = from_numpy(run.rates[name])
        if isinstance(population.neuron, (IF, Integrator)):
            current = _current(network, parameters, name, sent, run.bias_steps)
            surrogates[name] = _surrogate(population.neuron, current)
            sent[name] = _with_gradient(sent[name], surrogates[name])
    output = network[network.outputs[0]]
    return _with_gradient(from_numpy(run.scores), surrogates[output.name].flatten(1) * unit_of_scores(output))


def _surrogate(neuron: IF | Integrator, current: Tensor) -> Tensor:
    if isinstance(neuron, Integrator):
        return current
    torch = import_torch(PURPOSE)
    # Unlike clamp, hardtanh gives a neuron without any input no gradient.
    return torch.nn.functional.hardtanh(current / torch.from_numpy(np.array(neuron.threshold, np.float32)), 0, 1)


def _current(network: Network, parameters: Parameters, name: str, sent: dict[str, Tensor], bias_steps: float) -> Tensor:
    arriving = [
        parameters.delivered(place, sent[projection.source])
        for place, projection in enumerate(network.projections)
        if projection.target == name
    ]
    return sum(arriving) + parameters.bias(name) * bias_steps


def _with_gradient(value: Tensor, surrogate: Tensor) -> Tensor:
    """`value` to the last bit, with the gradient of `surrogate`."""
    return value + (surrogate - surrogate.detach())
