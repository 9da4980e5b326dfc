"""What fits: cores for all layers, and memories for each of them."""

from __future__ import annotations

from nmdeploy.network import Network
from nmdeploy.target import Chip, Rule, Violation
from targets.dynapcnn.layer import SpeckNeuron, has_bias
from targets.dynapcnn.mapper.advice import misfit
from targets.dynapcnn.mapper.split import Cores
from targets.dynapcnn.memory import LayerSize
from targets.dynapcnn.rules.structure import input_channels, layers_of_links


def layer_memory(network: Network, chip: Chip) -> list[Violation]:
    """Every layer fits the memories of one core, or can be cut in two that fit.

    Whether all layers fit at once is the mapper's to find out (DYN022).
    """
    cores, found = Cores.of(chip), []
    for name, entering in layers_of_links(network):
        neuron, kernels = network[name].neuron, [each.conv.weight.shape[2:] for each in entering]
        biased = isinstance(neuron, SpeckNeuron) and has_bias(neuron)
        kernel = (max(height for height, _ in kernels), max(width for _, width in kernels))
        size = LayerSize(input_channels(entering), kernel, entering[0].made, biased)
        violation = misfit(name, size, cores, name in network.outputs)
        if violation is not None and not cores.halved(size):
            found.append(violation)
    return found


def enough_cores(network: Network, chip: Chip) -> list[Violation]:
    """There is a core for each layer."""
    count, limit = sum(not population.is_input for population in network.populations), chip.limit("cores")
    hint = f"leave out {count - limit} of the layers"
    return [Violation("DYN021", network.name, "more layers than cores", count, limit, hint)] if count > limit else []


RULES: tuple[Rule, ...] = (layer_memory, enough_cores)
