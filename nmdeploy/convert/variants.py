"""The forms of a network between the trained one and the chip, so that a report can tell where accuracy was lost."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nmdeploy.coding import Encoder
from nmdeploy.convert.calibrate import Corrections, calibrate
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.resets import with_reset
from nmdeploy.network import Network
from nmdeploy.target import Choice

SPIKES = "spikes"
RESET = "spikes, chip's reset"
WEIGHTS = "spikes, quantized weights"
BOTH = "spikes, chip's reset, quantized weights"
CHIP = "chip"

NOT_CALIBRATED = "not calibrated"
ALONE = {
    "timing": "biases in time alone",
    "thresholds": "thresholds alone",
    "starts": "initial potentials alone",
    "gains": "gains alone",
    "offsets": "offsets alone",
    "refit": "output refitted alone",
}
"""What a calibration with one of its `Corrections` is called."""
CALIBRATED = "calibrated"


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


def calibrated_variants(
    network: Network,
    samples: NDArray[Any],
    chip: Choice,
    *,
    steps: int,
    encoder: Encoder | None = None,
    seed: int = 0,
) -> dict[str, Network]:
    """A network on the chip without calibration, with each correction of a calibration alone, and with all of them.

    Compare each with `NOT_CALIBRATED`. Corrections help each other: what all gain together is
    more than the sum of what each gains alone.

    Args:
        network, samples, chip, steps, encoder, seed: as in `calibrate`.

    Returns:
        Lowered networks: `NOT_CALIBRATED`, the names in `ALONE`, `CALIBRATED`.

    Raises:
        NmdeployError: as `calibrate` does.
    """
    chosen = {NOT_CALIBRATED: Corrections.only()}
    chosen |= {title: Corrections.only(name) for name, title in ALONE.items()}
    chosen[CALIBRATED] = Corrections()
    found = {}
    for title, corrections in chosen.items():
        calibration = calibrate(
            network, samples, chip, steps=steps, encoder=encoder, corrections=corrections, seed=seed
        )
        integers = to_integers(calibration.network, chip.precision)
        found[title] = chip.target.lower(integers, chip.chip, chip.profile).network
    return found
