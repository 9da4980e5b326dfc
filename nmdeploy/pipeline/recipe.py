"""How a network is converted: the settings that travel with a bundle."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import nmdeploy
from nmdeploy.coding import ConstantCurrent, DeterministicRate, Encoder
from nmdeploy.convert.checks import check_choice
from nmdeploy.convert.exact.recipe import PROVEN
from nmdeploy.convert.methods import AUTO as AUTO_METHOD
from nmdeploy.convert.methods import METHODS, RATE
from nmdeploy.convert.resets import AUTO
from nmdeploy.errors import UsageError
from nmdeploy.structure import Record, field_names
from quantize import ScaleMethod

_PREFIX = "recipe."


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Record):
    """How a network is converted; stored with the bundle.

    Attributes:
        method: `rate`: activations become spike rates, scaled by `normalization`;
            `rate-calibrated`: then fitted, layer by layer, to what the chip makes of them;
            `exact`: spike counts equal a quantized network, integer for integer;
            `auto`: `build` tries these on held-out calibration samples and takes the best.
        steps: input steps of one inference; with `exact` the layers' own phases follow. With `auto` the
            budget: all steps of one inference, phases of exact mode included, the chip's latency not.
        normalization: `percentile`, `max`, `model`, `fixed` or `bounds` (see `to_spiking`).
        percentile: for `percentile`.
        factor: for `fixed`.
        input: `spikes` (binary, evenly spaced) or `current` (graded values).
        low, high: range of the network's real inputs.
        readout: `count`, `potential`, or `auto`: `count` for the method `rate`, the better one on
            the calibration samples for `rate-calibrated`, `potential` (the only one) for `exact`.
        reset: of the ideal neurons: `subtract`, `zero`, or `auto` for the best one that the
            chip can do.
        v_init_fraction: initial membrane potential as a share of the threshold;
            `rate-calibrated` finds it by itself.
        scale: how integer scales are found: a `ScaleMethod`, or a scheme of the chip's own
            (`Target.quantizers`), which sees the calibration samples; with `rate-calibrated` it does
            without, as the fit is to the integers that it had.
        per_channel: whether each output channel has its own scale; None: where that costs
            the chip nothing.
        levels: for `exact`: the largest count of a hidden neuron; `auto` tries 4, 8, 16 and this.
        bounds: for `exact`: whether sums are bounded as `proven` for every input, or as `sampled`
            on the calibration samples.
        energy_weight: for `auto`: points of accuracy that halving the energy is worth.
        seed: of everything random.

    Raises:
        UsageError: for a method that there is not, or an energy weight that is not one.
    """

    method: str = RATE
    steps: int = 64
    normalization: str = "percentile"
    percentile: float = 99.9
    factor: float | None = None
    input: str = "spikes"
    low: float = 0.0
    high: float = 1.0
    readout: str = AUTO
    reset: str = AUTO
    v_init_fraction: float = 0.0
    scale: str = ScaleMethod.MAX.value
    per_channel: bool | None = None
    levels: int = 8
    bounds: str = PROVEN
    energy_weight: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("recipe", self.method, tuple(METHODS))
        if not (math.isfinite(self.energy_weight) and self.energy_weight >= 0):
            message = "the energy weight is a number of points, 0 or more"
            raise UsageError(message, where="energy_weight", found=self.energy_weight)
        if self.energy_weight and self.method != AUTO_METHOD:
            message = "the energy weight goes with the recipe 'auto' only"
            raise UsageError(message, where="energy_weight", found=self.method)

    @property
    def encoder(self) -> Encoder:
        """The encoder that the input population expects."""
        kind = DeterministicRate if self.input == "spikes" else ConstantCurrent
        return kind(low=self.low, high=self.high)

    def provenance(self) -> dict[str, str]:
        """The recipe and the versions it ran with, as text."""
        settings = {_PREFIX + name: json.dumps(getattr(self, name)) for name in field_names(self)}
        versions = {"nmdeploy": nmdeploy.__version__, "python": platform.python_version(), "numpy": np.__version__}
        return {**versions, **settings}

    @classmethod
    def from_provenance(cls, provenance: Mapping[str, str]) -> Recipe:
        """The recipe that a bundle was made with; what an older release did not tell has its default.

        Raises:
            UsageError: when the bundle tells none, or something that this release does not know.
        """
        stored = {key[len(_PREFIX) :]: text for key, text in provenance.items() if key.startswith(_PREFIX)}
        unknown = sorted(set(stored) - set(field_names(cls)))
        if unknown or not stored:
            raise UsageError("the bundle does not tell a recipe of this release", found=", ".join(unknown) or "nothing")
        return cls(**{name: json.loads(text) for name, text in stored.items()})
