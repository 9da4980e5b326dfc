"""What the chip makes of a float network: rates and scores, with the chip's own integers and arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Decision, Encoder
from nmdeploy.convert.calibrate.chip_loop import arranged
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.inference import Inference, default_readout, infer
from nmdeploy.network import Network, Population
from nmdeploy.target import Choice


@dataclass(frozen=True)
class ChipRun:
    """What a batch of samples did on the chip, per input step.

    Attributes:
        rates: by population, spikes per input step, float32 `[N, *shape]` in the shapes of the float network.
        scores: of the read-out per input step, in units of the trained network's outputs, float32 `[N, classes]`.
        bias_steps: how often a bias was added, per input step (a run outlasts its input on chips with latency).
    """

    rates: Mapping[str, NDArray[np.float32]]
    scores: NDArray[np.float32]
    bias_steps: float


@dataclass(frozen=True)
class OnChip:
    """Runs a float network as a chip would.

    Attributes:
        chip: whose arithmetic.
        quantize: brings a float network to the chip's integers.
        encoder: makes the input spikes.
        steps: input steps T of an inference.
    """

    chip: Choice
    quantize: Callable[[Network], Network]
    encoder: Encoder
    steps: int

    def lowered(self, network: Network) -> Network:
        """The float network in the chip's terms.

        Raises:
            FitError: with every violation, for a network that the chip cannot express.
            QuantizationError: where the chip's integers cannot carry it.
        """
        return self.chip.target.lower(self.quantize(network), self.chip.chip, self.chip.profile).network

    def run(self, network: Network, samples: NDArray[Any]) -> ChipRun:
        """Run a batch `[N, *shape]`, every neuron counted."""
        found = self._infer(network, samples, Recording(spikes=(), counts=(ALL,)))
        rates = {each.name: self._rates(found.result.counts[each.name], each.shape) for each in network.populations}
        return ChipRun(rates, self._scores(network, found.decision), found.result.steps / self.steps)

    def decided(self, network: Network, samples: NDArray[Any]) -> tuple[NDArray[np.float32], Decision]:
        """Scores as in `ChipRun`, and the read-out's decision, for any number of samples `[N, *shape]`."""
        decision = self._infer(network, samples, Recording(spikes=())).decision
        return self._scores(network, decision), decision

    def _infer(self, network: Network, samples: NDArray[Any], record: Recording) -> Inference:
        readout = default_readout(network)
        return infer(
            self.lowered(network), samples, encoder=self.encoder, readout=readout, steps=self.steps, record=record
        )

    def _scores(self, network: Network, decision: Decision) -> NDArray[np.float32]:
        per_step = unit_of_scores(network[network.outputs[0]]) / self.steps
        scores: NDArray[np.float32] = (decision.scores * per_step).astype(np.float32)
        return scores

    def _rates(self, counts: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float32]:
        return arranged(counts, 1, shape).astype(np.float32) / np.float32(self.steps)


def unit_of_scores(output: Population) -> float:
    """What a score of 1 per step means in the trained network's units: potentials have them, a spike counts more."""
    return output.rate_scale if output.spike_range[1] else 1.0
