"""A calibration under way: what is known of the layers that are done, and how the next one is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.convert.calibrate.chip_loop import ChipLoop, arranged
from nmdeploy.convert.calibrate.corrections import ALL_CORRECTIONS, Corrections
from nmdeploy.convert.calibrate.fit import LEAST_OBSERVATIONS, Fit, fit_rates
from nmdeploy.convert.calibrate.forward import passed_on, scaled_biases, with_neuron
from nmdeploy.convert.calibrate.refit import refitted
from nmdeploy.convert.calibrate.search import Candidate, candidates, search
from nmdeploy.convert.calibrate.views import as_seen
from nmdeploy.network import Network

Array = NDArray[Any]


@dataclass(frozen=True)
class CalibratedLayer:
    """What the search chose for a layer.

    Attributes:
        name: the population.
        threshold: as a multiple of the uncalibrated one.
        v_init: initial potential as a share of this threshold.
        gains: smallest and largest gain of a channel.
        error: what is left of the activations, as a share of their root mean square.
    """

    name: str
    threshold: float
    v_init: float
    gains: tuple[float, float]
    error: float


class LayerByLayer:
    """A float network whose layers are calibrated in order.

    Args:
        loop: the chip.
        network: the network; biases count for each of the input steps.
        steps: input steps.
        tell: called after every trial.
        corrections: what may be changed.

    Attributes:
        network: with what is done so far.
        spikes: `[T, N, *shape]` of the populations done that others still need.
        remarks: what there is to tell.
    """

    def __init__(
        self,
        loop: ChipLoop,
        network: Network,
        steps: int,
        tell: Callable[[], None],
        corrections: Corrections = ALL_CORRECTIONS,
    ) -> None:
        self.loop, self.network, self.steps, self._tell = loop, network, steps, tell
        self._corrections = corrections
        self.spikes: dict[str, Array] = {}
        self.remarks: list[str] = []

    def input(self, name: str, spikes: Array) -> None:
        """Take the input's spikes `[steps, N, *shape]`; it is silent for the rest of the run."""
        silent = np.zeros((self.loop.steps - self.steps, *spikes.shape[1:]), spikes.dtype)
        self.spikes[name] = np.concatenate([spikes, silent])

    def in_time(self) -> Network:
        """The network with biases that add up to `steps` times their value in a run that lasts longer."""
        return scaled_biases(self.network, self.steps / self.loop.steps if self._corrections.timing else 1.0)

    def calibrate(self, name: str, goal: Array) -> CalibratedLayer:
        """Find the best setting of a layer, keep its spikes, and pass on what they stand for.

        Args:
            name: a population of `IF` neurons; the spikes of its sources are known.
            goal: its activations `[N, *shape]`.
        """
        last = name in self.network.outputs
        uncalibrated: Any = self.network[name].neuron
        seen = as_seen(self.network, name, goal)
        per_channel = not last and seen.size // seen.shape[1] >= LEAST_OBSERVATIONS

        def trial(candidate: Candidate, samples: int) -> Fit:
            self._set(name, uncalibrated, candidate)
            rates = as_seen(self.network, name, self._rates(name, samples))
            self._tell()
            offsets, gains = self._has_bias and self._corrections.offsets, self._corrections.gains
            return fit_rates(rates, seen[:samples], per_channel=per_channel, offsets=offsets, gains=gains)

        among = candidates(self._corrections.thresholds, self._corrections.starts)
        candidate, fit = search(trial, len(goal), among)
        self._set(name, uncalibrated, candidate)
        self._keep_spikes(name, goal)
        if not last:
            self.network = passed_on(self.network, name, fit)
            self._tell_of_few(name, seen)
        gains = (float(fit.gain.min()), float(fit.gain.max()))
        return CalibratedLayer(name, candidate.threshold, candidate.v_init, gains, fit.relative_error)

    def refit(self, name: str, goal: Array) -> None:
        """Refit the weights of an output that only integrates to what arrives there (see `refit`)."""
        if self._corrections.refit:
            self.network = refitted(self.network, name, goal, self.spikes, self.steps, self._has_bias)

    @property
    def _has_bias(self) -> bool:
        return self.loop.chip.precision.bias is not None

    def _set(self, name: str, uncalibrated: Any, candidate: Candidate) -> None:
        threshold = np.multiply(uncalibrated.threshold, candidate.threshold)
        self.network = with_neuron(
            self.network, name, threshold=_plain(threshold), v_init=_plain(threshold * candidate.v_init)
        )

    def _rates(self, name: str, samples: int) -> NDArray[np.float32]:
        """Spikes per input step of a layer."""
        layer = self.loop.layer(self.in_time(), name, self.spikes)
        counts = arranged(self.loop.run(layer, self.spikes, samples).counts[name], 1, self.network[name].shape)
        return counts.astype(np.float32) / np.float32(self.steps)

    def _keep_spikes(self, name: str, goal: Array) -> None:
        layer = self.loop.layer(self.in_time(), name, self.spikes)
        sent = self.loop.run(layer, self.spikes, spikes=True).spikes[name]
        self.spikes[name] = arranged(sent, 2, self.network[name].shape)
        if goal.any() and not self.spikes[name].any():
            self.remarks.append(
                f"{name}: it never fires within {self.loop.steps} steps on {self.loop.chip.name}, "
                "though the trained network's layer is active; use more steps"
            )

    def _tell_of_few(self, name: str, seen: Array) -> None:
        observations = seen.size // seen.shape[1]
        if observations < LEAST_OBSERVATIONS:
            self.remarks.append(
                f"{name}: one gain for all channels, since {observations} observations of each "
                f"are fewer than {LEAST_OBSERVATIONS}; give more calibration samples"
            )


def _plain(value: Any) -> Any:
    """A number as float, an array as float32."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value, np.float32)
