"""The read-out block of the chip, which hears only every fourth feature of the last layer.

By an erratum of Speck2e and Speck2f, class k (from 1) listens to feature 4 (k - 1)
(sinabs 3.1.3, docs/speck/faqs/chip_errata.md, `utils.extend_readout_layer`), so the last layer
gets 4 (n - 1) + 1 features for n classes; those between have weights of 0 and never fire.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Projection
from nmdeploy.target import Chip, Severity, Violation


def readout_violations(network: Network, chip: Chip) -> list[Violation]:
    """Why the chip's read-out block cannot take a lowered network's output; empty when it can."""
    if "readout_classes" not in chip.figures:
        hint = "deploy with the profile 'chip' and count the output spikes on the host"
        return [Violation("DYN119", network.name, f"{chip.title} has no read-out block", hint=hint)]
    if len(network.outputs) != 1:
        found = ", ".join(network.outputs)
        return [Violation("DYN119", network.name, "the read-out block listens to one layer", found, 1)]
    output, limit = network[network.outputs[0]], chip.limit("readout_classes")
    found_violations = []
    if output.size != output.shape[0] or network.out_of(output.name):
        message = "the read-out block listens to a last layer of one pixel"
        found_violations.append(Violation("DYN119", output.name, message, str(output.shape), "(classes, 1, 1)"))
    if output.shape[0] > limit:
        message = "more classes than the read-out block tells apart"
        found_violations.append(Violation("DYN119", output.name, message, output.shape[0], limit))
    return found_violations


def with_readout(network: Network, chip: Chip) -> tuple[Network, Violation]:
    """A lowered network whose output is widened for the chip's read-out block, and the remark that says so.

    Spikes of class k come from feature 4 k of the new output (`Population.readout_step`), all
    others are silent: what the network decides is the same.

    Args:
        network: lowered, without `readout_violations`.
        chip: the chip.
    """
    step, output = chip.limit("readout_feature_step"), network[network.outputs[0]]
    features = step * (output.size - 1) + 1
    neuron: Any = output.neuron
    zero_between = {name: _spread(getattr(neuron, name), 0, features, step) for name in ("v_init", "leak")}
    alike = {
        name: _spread(value, np.ravel(value)[0], features, step)
        for name in ("threshold_high", "threshold_low")
        for value in [getattr(neuron, name)]
    }
    wide = replace(output, shape=(features, 1, 1), neuron=replace(neuron, **zero_between, **alike), readout_step=step)
    widened = replace(
        network,
        populations=tuple(wide if each.name == output.name else each for each in network.populations),
        projections=tuple(
            _widened(each, features, step) if each.target == output.name else each for each in network.projections
        ),
    )
    message = f"widened for the read-out block: class k listens to feature {step}(k-1)"
    remark = Violation("DYN105", output.name, message, f"{features} features", None, None, Severity.WARNING)
    return widened, remark


def _spread(value: Any, between: int, features: int, step: int) -> Any:
    """A parameter of each class for its feature, another number for the features between."""
    if np.ndim(value) == 0 and value == between:
        return value
    classes = (features - 1) // step + 1
    return _apart(np.broadcast_to(value, (classes, 1, 1)), features, step, between)


def _widened(projection: Projection, features: int, step: int) -> Projection:
    conv: Any = projection.synapses[-1]
    return replace(
        projection, synapses=(*projection.synapses[:-1], replace(conv, weight=_apart(conv.weight, features, step)))
    )


def _apart(values: Array, features: int, step: int, between: int = 0) -> Array:
    """`values` on every `step`-th place of the first axis, `between` on the others."""
    wide = np.full((features, *values.shape[1:]), between, dtype=values.dtype)
    wide[::step] = values
    return wide
