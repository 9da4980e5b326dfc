"""What calibration data and networks must be like before a calibration begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import DataError, NetworkError, UsageError
from nmdeploy.network import Network

FEW_SAMPLES = 50
"""Below this many samples a calibration is possible, but chance shapes it."""

_WHERE = "calibration data"


def check_network(network: Network) -> None:
    """Raise unless the network is a float one that can be calibrated layer by layer, with one input and one output."""
    if network.is_integer:
        hint = "calibrate the float network of to_spiking; it is quantized on the way"
        raise UsageError("an integer network cannot be calibrated", where=network.name, hint=hint)
    if network.has_cycle:
        raise NetworkError(["it has a cycle; layers are calibrated one after the other"], where=network.name)
    for what, names in (("input", [each.name for each in network.inputs]), ("output", list(network.outputs))):
        if len(names) != 1:
            raise UsageError(f"calibration needs one {what}", where=network.name, found=", ".join(names), limit=1)


def check_samples(samples: NDArray[Any]) -> Iterator[str]:
    """Remarks on samples that can be used.

    Raises:
        DataError: for fewer than two samples, or samples that are all the same.
    """
    if len(samples) < 2:
        hint = "a few hundred samples are usual; labels are not needed"
        raise DataError("too few samples to calibrate on", where=_WHERE, found=len(samples), limit=2, hint=hint)
    if np.all(samples == samples[:1]):
        hint = "give samples that look like real inputs"
        raise DataError("all samples are the same", where=_WHERE, found=f"{len(samples)} equal samples", hint=hint)
    if len(samples) < FEW_SAMPLES:
        yield f"{_WHERE}: {len(samples)} samples only; {FEW_SAMPLES} or more give steadier gains"


def too_late(network: Network, lowered: Network, steps: int) -> Iterator[str]:
    """Remarks on the first layer that gets its first spike after the input has ended, on chips with latency."""
    for population in network.order() or ():
        late = replace(lowered, outputs=(population.name,)).latency()
        if not population.is_input and late >= steps:
            yield (
                f"{population.name}: its first input arrives at step {late}, after the {steps} input steps; "
                "the network is deeper than the run is long: use more steps"
            )
            return
