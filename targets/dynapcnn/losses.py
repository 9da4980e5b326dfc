"""What a layer loses in becoming integers, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmdeploy.convert.channels import ChainWeights
from nmdeploy.network import Population
from nmdeploy.target import Precision
from quantize import Interval, count_clipped, quantize_values


def losses(population: Population, incoming: Sequence[ChainWeights], scale: float, precision: Precision) -> str:
    """The report on a layer: bits in use, threshold in weight units, weights zeroed and clipped, error.

    The error is the root of the mean squared error of the weights, as a share of their root mean square.

    Args:
        population: of the float network.
        incoming: the float weights that enter it.
        scale: value of one integer unit.
        precision: of the chip.
    """
    weights = np.concatenate([np.ravel(each.weight).astype(np.float64) for each in incoming])
    integers = quantize_values(weights, scale, precision.weights, precision.rounding).astype(np.int64)
    clipped = count_clipped(weights, scale, precision.weights, precision.rounding) / weights.size
    zeroed = np.count_nonzero((integers == 0) & (weights != 0)) / weights.size
    power = float(np.mean(np.square(weights)))
    error = float(np.sqrt(np.mean(np.square(integers * scale - weights)) / power)) if power else 0.0
    bits = Interval(int(integers.min()), int(integers.max())).bits
    parts = [f"{bits} of {precision.weights.bits} weight bits in use"]
    threshold = getattr(population.neuron, "threshold", None)
    if threshold is not None:
        parts.append(f"threshold {int(np.rint(np.max(threshold) / scale))} units")
    parts += [f"{zeroed:.2%} of the weights become 0", f"{clipped:.2%} are clipped", f"weight error {error:.2%}"]
    return f"{population.name}: {', '.join(parts)}"
