"""The modules that a network is trained with: quantized ReLU, weight grid, input counts.

This file alone needs torch when it is imported; the others of the package import it when they are called.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nmdeploy.coding.encoders import RATE_LEVELS


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]
    """Takes the rounded value forward, and the gradient back as if nothing had been rounded."""

    @staticmethod
    def forward(_context: Any, _value: Any, rounded: Any) -> Any:
        return rounded.view_as(rounded)

    @staticmethod
    def backward(_context: Any, gradient: Any) -> tuple[Any, None]:
        return gradient, None


class QuantizedRelu(nn.Module):  # type: ignore[misc]
    """Quantization-clip-floor-shift activation (QCFS; Bu et al., ICLR 2022, arXiv:2303.04347, eq. 15)::

        y = lambda / L * clip(floor(x L / lambda + 1/2), 0, L)

    The floor is straight-through, so with s = x / lambda the gradients are
    dy/dx = 1 where 0 < s < 1, else 0; and dy/dlambda = y / lambda - s there, 1 above, 0 below.
    What is trained is log(lambda): the bound stays above 0, and a step changes it by a share.

    Args:
        bound: lambda at the start, above 0.
        levels: L.
    """

    def __init__(self, bound: float, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.log_bound = nn.Parameter(torch.tensor(bound, dtype=torch.float64).log().float())

    @property
    def bound(self) -> float:
        """lambda: the activation that the largest count stands for."""
        return float(self.log_bound.detach().exp())

    def forward(self, x: Any) -> Any:
        bound = self.log_bound.exp()
        real = torch.clamp(x / bound, 0, 1) * self.levels
        return _StraightThrough.apply(real, torch.floor(real + 0.5)) * (bound / self.levels)

    def extra_repr(self) -> str:
        return f"bound={self.bound:.4g}, levels={self.levels}"


class OnGrid(nn.Module):  # type: ignore[misc]
    """A layer whose weights are used on a symmetric grid: round(w / s) s, s = max |w| / (2^(bits-1) - 1).

    Halves go to even. The rounding is straight-through and the scale a constant, so the
    gradient reaches the weights unchanged.

    Args:
        layer: linear or convolution; its parameters are what is trained.
        bits: of a weight.
    """

    def __init__(self, layer: nn.Module, bits: int) -> None:
        super().__init__()
        self.layer, self.bits = layer, bits

    @property
    def weight(self) -> Any:
        """The weights on the grid."""
        real = self.layer.weight
        largest = real.detach().abs().max()
        scale = torch.where(largest > 0, largest, torch.ones_like(largest)) / (2 ** (self.bits - 1) - 1)
        return _StraightThrough.apply(real, torch.round(real / scale) * scale)

    def forward(self, x: Any) -> Any:
        return torch.func.functional_call(self.layer, {"weight": self.weight}, (x,))

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class InputCounts(nn.Module):  # type: ignore[misc]
    """The input as the chip gets it: floor(T r) / T of its rate r, as `DeterministicRate` counts spikes.

    No gradient passes. Values beyond the range (of augmented samples, say) are cut off.

    Args:
        steps: T.
        low, high: the values of rate 0 and rate 1.
    """

    def __init__(self, steps: int, low: float, high: float) -> None:
        super().__init__()
        self.steps, self.low, self.high = steps, low, high

    def forward(self, x: Any) -> Any:
        # The encoder computes in float64 and integers; Apple's GPUs have no float64.
        place = "cpu" if x.device.type == "mps" else x.device
        unit = torch.clamp((x.detach().to(place, torch.float64) - self.low) / (self.high - self.low), 0, 1)
        # Whole numbers below 2^53, for any T below 2^29: exact in float64.
        counts = torch.floor(torch.round(unit * RATE_LEVELS) * self.steps / RATE_LEVELS)
        return (self.low + (self.high - self.low) * (counts / self.steps)).to(x.device, x.dtype)

    def extra_repr(self) -> str:
        return f"steps={self.steps}, low={self.low:g}, high={self.high:g}"


class Prepared(nn.Module):  # type: ignore[misc]
    """A network whose forward pass is quantized; train it with any trainer, then `finish` it.

    Parameters are the layers' float weights and biases, batch norms folded, and log(lambda)
    of each activation (`log_bound`; weight decay would pull it to lambda = 1, so leave it out).

    Attributes:
        network: the traced network.
        input: `InputCounts`, or `Identity`.
        activations: paths of its `QuantizedRelu` modules, in the order of computation.
        classes: number of scores.
        levels: L.
        weight_bits: of the weight grid.
        input_steps: T, or None for an input as it comes.
        input_range: the inputs that mean rate 0 and rate 1.
        notes: what the user should know.
    """

    def __init__(
        self,
        network: Any,
        activations: tuple[str, ...],
        classes: int,
        levels: int,
        weight_bits: int,
        input_steps: int | None,
        input_range: tuple[float, float],
        notes: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.network = network
        self.input = nn.Identity() if input_steps is None else InputCounts(input_steps, *input_range)
        self.activations, self.classes = activations, classes
        self.levels, self.weight_bits = levels, weight_bits
        self.input_steps, self.input_range = input_steps, input_range
        self.notes = notes

    def forward(self, x: Any) -> Any:
        return self.network(self.input(x))

    @property
    def bounds(self) -> dict[str, float]:
        """lambda of each activation, by its path."""
        return {path: self.network.get_submodule(path).bound for path in self.activations}

    def counts(self, x: Any) -> Mapping[str, Any]:
        """Counts 0..L of each activation, int64 `[N, *shape]` by its path, for inputs `[N, *shape]`."""
        found: dict[str, Any] = {}

        def keep(path: str) -> Any:
            def hook(module: Any, _given: Any, result: Any) -> None:
                found[path] = torch.round(result.detach() * (module.levels / module.bound)).to(torch.int64)

            return hook

        hooks = [self.network.get_submodule(path).register_forward_hook(keep(path)) for path in self.activations]
        try:
            with torch.no_grad():
                self(x)
        finally:
            for hook in hooks:
                hook.remove()
        return found


def plain(prepared: Prepared) -> Any:
    """A copy of the network in torch's own layers: weights on the grid, activations cut off at their bounds."""
    network = copy.deepcopy(prepared.network)
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if isinstance(module, OnGrid):
            with torch.no_grad():
                module.layer.weight.copy_(module.weight)
            network.set_submodule(path, module.layer)
        elif isinstance(module, QuantizedRelu):
            network.set_submodule(path, nn.Hardtanh(0.0, module.bound))
    return network.eval()
