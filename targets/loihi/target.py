"""The Loihi family as a `Target`; what is heavy is imported when used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmdeploy.backend import DEFAULT_SETTINGS, Backend, RunSettings
from nmdeploy.neurons import NeuronModel
from nmdeploy.target import Chip, Emitter, Lowered, Precision, Reader, Rule, Target, Violation
from quantize import IntegerFormat, MantissaExponentFormat
from targets.loihi.chips import subtrahend_format

if TYPE_CHECKING:
    from nmdeploy.conformance import ConformanceReport
    from nmdeploy.convert.exact.rules import ExactRules
    from nmdeploy.cost import Cost
    from nmdeploy.deployment import Deployment, Placement
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Network


CONTROL_EXPONENT_BITS = 3
"""Weight exponents of clock synapses: 0..7 (Davies 2018; beyond, the sum of a step has too few bits anyway)."""


class LoihiTarget(Target):
    """Intel's Loihi 1 and 2, with the fixed-point arithmetic of Lava 0.10.0."""

    name = "loihi"

    def chips(self) -> Mapping[str, Chip]:
        from targets.loihi.chips import chips

        return chips()

    def neuron_models(self) -> Sequence[type[NeuronModel]]:
        from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract

        return (LoihiLIF, LoihiLIFReset, LoihiLIFSubtract)

    def profiles(self, chip: Chip) -> Sequence[str]:
        """`chip`: Loihi's own reset to zero; `subtract`: reset by subtraction."""
        return ("chip", "subtract")

    def precision(self, chip: Chip, profile: str = "chip") -> Precision:
        """Signed 8-bit weights, a 17-bit threshold and a 13-bit bias, all in weight units.

        Thresholds may differ within a population, but a core has few of them, so one
        scale a layer is the default. A threshold of 131071 that fires by >= is stored as
        131070, so the whole range of the format can be used. The sum of one step is kept
        within the dendritic accumulator (rule LOI007). Where a neuron that resets by
        subtraction takes two compartments, a synapse subtracts the threshold: it has that
        synapse's mantissa and exponent, and counts in the sum of a step.
        """
        subtracts = profile == "subtract"
        by_synapse = subtracts and "subtract_compartments" in chip.figures
        whole = IntegerFormat(chip.limit("threshold_mantissa").bit_length(), signed=False)
        return Precision(
            weights=IntegerFormat(chip.limit("weight_bits")),
            threshold=subtrahend_format(chip) if by_synapse else whole,
            bias=IntegerFormat(chip.limit("bias_mantissa_bits")),
            per_channel=True,
            per_channel_costs=True,
            resets=("subtract", "zero") if subtracts else ("zero",),
            graded_input=min(chip.limit("spike_payload"), 255),
            step_sum=chip.limit("step_sum"),
            subtraction_in_sum=by_synapse,
        )

    def exact_rules(self, chip: Chip, profile: str = "chip") -> ExactRules:
        """Clock synapses of 7 bits (stored doubled) times 2^0..2^7; potentials of 24 bits, 64 a weight unit."""
        from nmdeploy.convert.exact.rules import SignedPotential

        return SignedPotential(
            weights=IntegerFormat(chip.limit("weight_bits")),
            control=MantissaExponentFormat(chip.limit("weight_bits") - 1, CONTROL_EXPONENT_BITS),
            step_sum=chip.limit("step_sum"),
            read_out=chip.limit("threshold_mantissa"),
            lowest=-chip.limit("threshold_mantissa"),
        )

    def lower(self, network: Network, chip: Chip, profile: str = "chip") -> Lowered:
        from targets.loihi.lower import lower

        return lower(network, chip, profile)

    def rules(self, chip: Chip) -> Sequence[Rule]:
        from targets.loihi.rules import RULES

        return RULES

    def map(self, network: Network, chip: Chip, chips: int | None = 1) -> Placement:
        from targets.loihi.mapper import place

        return place(network, chip, chips)

    def check(self, network: Network, placement: Placement, chip: Chip) -> Sequence[Violation]:
        from targets.loihi.check import recheck

        return recheck(network, placement, chip)

    def emitters(self) -> Mapping[str, Emitter]:
        """`lava`: a Lava script; `net`: a model file of lava-dl's NetX, with a script that runs it."""
        from targets.loihi.emit import emit_lava
        from targets.loihi.netx.emit import emit_net

        return {"lava": emit_lava, "net": emit_net}

    def readers(self) -> Mapping[str, Reader]:
        """`.net`: model files of lava-dl's NetX."""
        from targets.loihi.netx import read_net

        return {".net": read_net}

    def backends(self, settings: RunSettings = DEFAULT_SETTINGS) -> Mapping[str, Backend]:
        """`vendor`: Lava on the CPU; `board`: Lava on a Loihi 2 board."""
        from targets.loihi.board import BoardBackend
        from targets.loihi.vendor import LavaBackend

        return {"vendor": LavaBackend(settings), "board": BoardBackend(settings)}

    def cost(self, deployment: Deployment, result: Result) -> Cost | None:
        from targets.loihi.cost import cost

        return cost(deployment, result, self.chips()[deployment.chip])

    def conformance(self, files: Sequence[Path], profile: str | None = None) -> ConformanceReport:
        from targets.loihi.conformance.replay import conformance

        return conformance(files, profile)
