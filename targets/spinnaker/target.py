"""SpiNNaker 1 as a `Target`; what is heavy is imported when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nmdeploy.backend import DEFAULT_SETTINGS, Backend, RunSettings
from nmdeploy.neurons import NeuronModel
from nmdeploy.target import Chip, Emitter, Lowered, Precision, Rule, Target, VendorMap, Violation

if TYPE_CHECKING:
    from nmdeploy.conformance import ConformanceReport
    from nmdeploy.convert.exact.rules import ExactRules
    from nmdeploy.cost import Cost
    from nmdeploy.deployment import Deployment, Placement
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Network


class SpinnakerTarget(Target):
    """SpiNNaker 1 boards, with the fixed-point arithmetic of the binaries in sPyNNaker 7.4.1."""

    name = "spinnaker"
    without: ClassVar[Mapping[str, str]] = {
        "vendor": "sPyNNaker's virtual board maps a network and executes nothing: nmdeploy map BUNDLE --vendor"
    }

    def chips(self) -> Mapping[str, Chip]:
        from targets.spinnaker.chips import chips

        return chips()

    def neuron_models(self) -> Sequence[type[NeuronModel]]:
        from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta

        return (IFTruncDelta, IFCurrDelta, IFCurrExp)

    def profiles(self, chip: Chip) -> Sequence[str]:
        """`chip`: every layer on `IF_trunc_delta`; `conv`: layers that can be on `IF_curr_exp` with shared kernels."""
        return ("chip", "conv")

    def precision(self, chip: Chip, profile: str = "chip") -> Precision:
        from targets.spinnaker.precision import precision

        return precision(chip, profile)

    def exact_rules(self, chip: Chip, profile: str = "chip") -> ExactRules | None:
        """`IF_trunc_delta` only: its floor is what exact mode stands on."""
        from targets.spinnaker.precision import EXACT

        return EXACT if profile == "chip" else None

    def lower(self, network: Network, chip: Chip, profile: str = "chip") -> Lowered:
        from targets.spinnaker.lower import lower

        return lower(network, chip, profile)

    def rules(self, chip: Chip) -> Sequence[Rule]:
        from targets.spinnaker.rules import RULES

        return RULES

    def map(self, network: Network, chip: Chip, chips: int | None = 1) -> Placement:
        from targets.spinnaker.mapper import place

        return place(network, chip, chips)

    def check(self, network: Network, placement: Placement, chip: Chip) -> Sequence[Violation]:
        from targets.spinnaker.check import recheck

        return recheck(network, placement, chip)

    def emitters(self) -> Mapping[str, Emitter]:
        """`spynnaker`: a script for a machine; `pynn`: the same network for NEST or Brian2, not bit-exact."""
        from targets.spinnaker.emit import emit_pynn, emit_spynnaker

        return {"spynnaker": emit_spynnaker, "pynn": emit_pynn}

    def vendor_map(self, deployment: Deployment, settings: RunSettings = DEFAULT_SETTINGS) -> VendorMap:
        """sPyNNaker's own mapper on a virtual board, and the words that it would load."""
        from targets.spinnaker.virtual_board import vendor_map

        return vendor_map(deployment, settings)

    def backends(self, settings: RunSettings = DEFAULT_SETTINGS) -> Mapping[str, Backend]:
        """`board`: a machine that sPyNNaker reaches."""
        from targets.spinnaker.board import SpinnakerBackend

        return {"board": SpinnakerBackend(settings)}

    def step_time(self, network: Network, chip: Chip) -> float:
        """1 ms, times the time_scale_factor that is enough whatever spikes on schedule."""
        from targets.spinnaker.pace import sufficient_factor

        return chip.figures["time_step"].value * sufficient_factor(network, chip)

    def cost(self, deployment: Deployment, result: Result) -> Cost | None:
        from targets.spinnaker.cost import cost

        return cost(deployment, result, self.chips()[deployment.chip])

    def conformance(self, files: Sequence[Path], profile: str | None = None) -> ConformanceReport:
        from targets.spinnaker.conformance import conformance

        return conformance(files, profile)
