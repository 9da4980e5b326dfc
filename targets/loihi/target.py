"""The Loihi family as a `Target`; what is heavy is imported when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmdeploy.neurons import NeuronModel
from nmdeploy.target import Chip, Lowered, Precision, Rule, Target, Violation
from quantize import IntegerFormat

if TYPE_CHECKING:
    from nmdeploy.conformance import ConformanceReport
    from nmdeploy.deployment import Placement
    from nmdeploy.network import Network


class LoihiTarget(Target):
    """Intel's Loihi 1 and 2, with the fixed-point arithmetic of Lava 0.10.0."""

    name = "loihi"

    def chips(self) -> Mapping[str, Chip]:
        from targets.loihi.chips import chips

        return chips()

    def neuron_models(self) -> Sequence[type[NeuronModel]]:
        from targets.loihi.neuron import LoihiLIF, LoihiLIFReset

        return (LoihiLIF, LoihiLIFReset)

    def precision(self, chip: Chip, profile: str = "chip") -> Precision:
        """Signed 8-bit weights, a 17-bit threshold and a 13-bit bias, all in weight units.

        One scale a layer: the threshold is one number for all neurons of a Lava LIF. A
        threshold of 131071 that fires by >= is stored as 131070, so the whole range of
        the format can be used. The sum of one step is kept within the dendritic
        accumulator (rule LOI007).
        """
        return Precision(
            weights=IntegerFormat(chip.limit("weight_bits")),
            threshold=IntegerFormat(chip.limit("threshold_mantissa").bit_length(), signed=False),
            bias=IntegerFormat(chip.limit("bias_mantissa_bits")),
            per_channel=False,
            resets=("zero",),
            graded_input=min(chip.limit("spike_payload"), 255),
            step_sum=chip.limit("step_sum"),
        )

    def lower(self, network: Network, chip: Chip, profile: str = "chip") -> Lowered:
        from targets.loihi.lower import lower

        return lower(network, chip)

    def rules(self, chip: Chip) -> Sequence[Rule]:
        from targets.loihi.rules import RULES

        return RULES

    def map(self, network: Network, chip: Chip, chips: int | None = 1) -> Placement:
        from targets.loihi.mapper import place

        return place(network, chip)

    def check(self, network: Network, placement: Placement, chip: Chip) -> Sequence[Violation]:
        from targets.loihi.check import recheck

        return recheck(network, placement, chip)

    def conformance(self, files: Sequence[Path], profile: str | None = None) -> ConformanceReport:
        from targets.loihi.replay import conformance

        return conformance(files, profile)
