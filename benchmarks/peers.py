"""The same network in other people's simulators: plain torch, sinabs, SpikingJelly; float32, which is exact here.

Each peer is built from an nmdeploy network that is a chain of layers and returns the
output spikes `[T, N, *shape]`, so that equality with ours can be asserted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d, Synapse

Spikes = NDArray[np.uint8]
Run = Callable[[Spikes], Spikes]


def peers(network: Network) -> tuple[dict[str, Run], list[str]]:
    """The peers that are installed, ready to run `network`, and a sentence for each that is not."""
    makers = {
        "torch": ("torch", torch_loop),
        "sinabs": ("sinabs.layers", sinabs_layers),
        "spikingjelly": ("spikingjelly.activation_based", spikingjelly_layers),
    }
    ready, missing = {}, []
    for name, (module, make) in makers.items():
        try:
            import_module(module)
            ready[name] = make(network)
        except ImportError as error:  # its own, or of something that it needs
            missing.append(f"{name} is not installed, left out ({error})")
    return ready, missing


def use_threads(count: int) -> None:
    """Let the peers compute with this many threads; nothing to do without torch, on which all of them are built."""
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(count)


def torch_loop(network: Network) -> Run:
    """A plain torch program: a loop over steps, in it a loop over layers."""
    import torch

    layers = [(_linear_part(chain), *_neuron(neuron)) for chain, neuron in _chain(network)]

    def run(spikes: Spikes) -> Spikes:
        given = torch.from_numpy(spikes)
        out = np.empty((*spikes.shape[:2], *network.populations[-1].shape), np.uint8)
        with torch.inference_mode():
            potentials: list[Any] = [0.0] * len(layers)
            for step, image in enumerate(given):
                x = image.float()
                for index, (linear, threshold, bias) in enumerate(layers):
                    v = linear(x).add_(potentials[index])
                    if bias:
                        v += bias
                    x = (v >= threshold).float()
                    potentials[index] = v.sub_(x, alpha=threshold)
                out[step] = x.numpy()
        return out

    return run


def sinabs_layers(network: Network) -> Run:
    """sinabs' integrate-and-fire layers with single spikes, every layer over all steps."""
    import sinabs.activation as activation
    import sinabs.layers as layers
    import torch

    parts = []
    for chain, neuron in _chain(network):
        threshold, bias = _neuron(neuron)
        layer = layers.IAF(
            spike_threshold=torch.tensor(threshold),
            spike_fn=activation.SingleSpike,
            reset_fn=activation.MembraneSubtract(),
        )
        parts.append((_linear_part(chain), layer, bias))

    def run(spikes: Spikes) -> Spikes:
        x = torch.from_numpy(np.ascontiguousarray(spikes.swapaxes(0, 1))).float()
        with torch.inference_mode():
            for linear, neuron, bias in parts:
                neuron.reset_states()
                currents = linear(x.flatten(0, 1)).add_(bias)
                x = neuron(currents.unflatten(0, x.shape[:2]))
        out: Spikes = x.numpy().astype(np.uint8).swapaxes(0, 1)
        return out

    return run


def spikingjelly_layers(network: Network) -> Run:
    """SpikingJelly's multi-step integrate-and-fire nodes with soft reset, every layer over all steps."""
    import torch
    from spikingjelly.activation_based import functional, neuron

    parts = []
    for chain, model in _chain(network):
        threshold, bias = _neuron(model)
        parts.append((_linear_part(chain), neuron.IFNode(v_threshold=threshold, v_reset=None, step_mode="m"), bias))

    def run(spikes: Spikes) -> Spikes:
        x = torch.from_numpy(spikes).float()
        with torch.inference_mode():
            for linear, node, bias in parts:
                functional.reset_net(node)
                currents = linear(x.flatten(0, 1)).add_(bias)
                x = node(currents.unflatten(0, x.shape[:2]))
        out: Spikes = x.numpy().astype(np.uint8)
        return out

    return run


def in_batches(run: Run, spikes: Spikes, batch: int) -> Spikes:
    """`run` over so many images at a time, the results joined."""
    parts = [run(spikes[:, first : first + batch]) for first in range(0, spikes.shape[1], batch)]
    return np.concatenate(parts, axis=1)


def _chain(network: Network) -> list[tuple[Sequence[Synapse], IF]]:
    """The layers of a chain as (synapses, neuron)."""
    layers: list[tuple[Sequence[Synapse], IF]] = []
    for projection in network.projections:
        neuron = network[projection.target].neuron
        if not isinstance(neuron, IF) or neuron.reset != "subtract" or neuron.fire != ">=" or projection.delay:
            raise ValueError(f"{projection.target}: the peers are built for undelayed IF layers with soft reset")
        layers.append((projection.synapses, neuron))
    return layers


def _neuron(neuron: IF) -> tuple[float, float]:
    """Threshold and bias."""
    return float(neuron.threshold), float(neuron.bias)


def _linear_part(chain: Sequence[Synapse]) -> Callable[[Any], Any]:
    """The chain of linear maps as one torch function of float32 `[N, *shape]`."""
    maps = [_torch_map(synapse) for synapse in chain]

    def apply(x: Any) -> Any:
        for each in maps:
            x = each(x)
        return x

    return apply


def _torch_map(synapse: Synapse) -> Callable[[Any], Any]:
    import torch
    from torch.nn import functional

    if isinstance(synapse, SumPool2d):
        return lambda x: functional.avg_pool2d(x, synapse.kernel, divisor_override=1)
    if isinstance(synapse, Reshape):
        return lambda x: x.flatten(1)
    weight = torch.from_numpy(np.array(synapse.weight, dtype=np.float32))
    if isinstance(synapse, Conv2d):
        top, _, left, _ = synapse.padding
        return lambda x: functional.conv2d(x, weight, stride=synapse.stride, padding=(top, left))
    if isinstance(synapse, Dense):
        return lambda x: functional.linear(x, weight)
    raise ValueError(f"the peers know no {synapse.kind}")
