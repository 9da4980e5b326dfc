"""The DYNAP-CNN family as a `Target`; what is heavy is imported when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmdeploy.backend import DEFAULT_SETTINGS, Backend, RunSettings
from nmdeploy.neurons import NeuronModel
from nmdeploy.target import Chip, Emitter, Exactness, Lowered, Mapper, Precision, Quantizer, Rule, Target, Violation

if TYPE_CHECKING:
    from nmdeploy.conformance import ConformanceReport
    from nmdeploy.convert.exact.capability import CountRules
    from nmdeploy.cost import Cost
    from nmdeploy.deployment import Deployment, Placement
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Network


class DynapcnnTarget(Target):
    """SynSense's asynchronous convolutional chips."""

    name = "dynapcnn"

    def chips(self) -> Mapping[str, Chip]:
        from targets.dynapcnn.chips import chips

        return chips()

    def neuron_models(self) -> Sequence[type[NeuronModel]]:
        from targets.dynapcnn.neuron import SpeckIAF, SpeckStepIAF

        return (SpeckIAF, SpeckStepIAF)

    def profiles(self, chip: Chip) -> Sequence[str]:
        """What the chip has of these.

        `chip`: event by event; `leak`: the same, biases as ticks of the slow clock; `readout`: as `chip`, with
        the read-out block of the chip; `step`: sinabs' time steps.
        """
        from targets.dynapcnn.profiles import profiles_of

        return profiles_of(chip)

    def inner_profile(self, profile: str) -> str:
        """Only a last layer is read out on the chip."""
        return "chip" if profile == "readout" else profile

    def precision(self, chip: Chip, profile: str = "chip") -> Precision:
        from targets.dynapcnn.precision import precision

        return precision(chip, profile)

    def quantizers(self, chip: Chip, profile: str) -> Mapping[str, Quantizer]:
        """`sinabs`: bit for bit as sinabs' discretizer; `best`: scales searched on calibration samples."""
        from targets.dynapcnn.quantizers import quantizers

        return quantizers(chip, profile)

    def exact_rules(self, chip: Chip, profile: str = "chip") -> CountRules | None:
        """The profile `chip` only.

        In time steps a neuron fires several times a step, the read-out block counts spikes where exact
        mode reads potentials, and biases are in the initial potentials, without a slow clock.
        """
        from targets.dynapcnn.exact import exact_rules

        return exact_rules(chip) if profile == "chip" else None

    def lower(self, network: Network, chip: Chip, profile: str = "chip") -> Lowered:
        from targets.dynapcnn.lower import lower

        return lower(network, chip, profile)

    def rules(self, chip: Chip) -> Sequence[Rule]:
        from targets.dynapcnn.rules import RULES

        return RULES

    def map(self, network: Network, chip: Chip, chips: int | None = 1) -> Placement:
        from targets.dynapcnn.mapper import place

        return place(network, chip, chips)

    def mappers(self) -> Mapping[str, Mapper]:
        """`sinabs`: the core numbers that sinabs gives."""
        from targets.dynapcnn.mapper import place_like_sinabs

        return {"sinabs": place_like_sinabs}

    def check(self, network: Network, placement: Placement, chip: Chip) -> Sequence[Violation]:
        from targets.dynapcnn.check import recheck

        return recheck(network, placement, chip)

    def exactness(self, deployment: Deployment) -> Exactness:
        from targets.dynapcnn.exactness import exactness

        return exactness(deployment)

    def orders(self, network: Network) -> Mapping[str, Network]:
        """Candidates for the order in which the neurons that one event reaches fire."""
        from targets.dynapcnn.exactness import orders

        return orders(network)

    def emitters(self) -> Mapping[str, Emitter]:
        """`samna`: the chip's configuration as JSON, with a script that applies it through samna."""
        from targets.dynapcnn.emit import emit_samna

        return {"samna": emit_samna}

    def backends(self, settings: RunSettings = DEFAULT_SETTINGS) -> Mapping[str, Backend]:
        """`board`: a device that samna finds."""
        from targets.dynapcnn.board import SamnaBackend

        return {"board": SamnaBackend(settings)}

    def cost(self, deployment: Deployment, result: Result) -> Cost | None:
        from targets.dynapcnn.cost import cost

        return cost(deployment, result, self.chips()[deployment.chip])

    def conformance(self, files: Sequence[Path], profile: str | None = None) -> ConformanceReport:
        from targets.dynapcnn.conformance import conformance

        return conformance(files, profile)
