"""The forms of a network between the trained one and the chip, so that a report can tell where accuracy was lost."""

from __future__ import annotations

from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.resets import with_reset
from nmdeploy.network import Network
from nmdeploy.target import Choice

SPIKES = "spikes"
RESET = "spikes, chip's reset"
WEIGHTS = "spikes, quantized weights"
BOTH = "spikes, chip's reset, quantized weights"
CHIP = "chip"


def variants(network: Network, chip: Choice) -> dict[str, Network]:
    """A float spiking network with each further stage of conversion switched on alone, and all of them together.

    Run all of them on the same samples for the same steps: `SPIKES` shows what coding by
    spikes costs against the trained network, `RESET` and `WEIGHTS` what either stage
    costs on top of it, `BOTH` what they cost together, `CHIP` what the rest of the
    chip's arithmetic adds.

    Args:
        network: float network, as from `to_spiking`.
        chip: target, chip and profile.

    Returns:
        Networks by the names above, in this order: two float ones, two integer ones, and the lowered one.

    Raises:
        QuantizationError, FitError: where the chip cannot have the network.
    """
    ideal, own = with_reset(network, "subtract", chip), with_reset(network, chip.precision.resets[0], chip)
    quantized = to_integers(own, chip.precision)
    return {
        SPIKES: ideal,
        RESET: own,
        WEIGHTS: to_integers(ideal, chip.precision),
        BOTH: quantized,
        CHIP: chip.target.lower(quantized, chip.chip, chip.profile).network,
    }
