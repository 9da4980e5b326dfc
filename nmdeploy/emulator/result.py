"""What an emulation returns, and what it is asked to record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALL = "*"


@dataclass(frozen=True)
class Recording:
    """What to keep of a run; the default is what read-outs need.

    Attributes:
        spikes: populations whose spikes are kept at every recorded step; None
            means the outputs, `("*",)` everything.
        potentials: populations whose membrane potential is kept at the end of every recorded
            step; `"name.u"` keeps state variable `u` of population `name` under that key instead.
        counts: populations whose spikes are summed over all steps, neuron by neuron; None means the outputs.
        steps: the steps to record, as a slice of the run; counts always cover all steps.
    """

    spikes: tuple[str, ...] | None = None
    potentials: tuple[str, ...] = ()
    counts: tuple[str, ...] | None = None
    steps: slice = field(default_factory=lambda: slice(None))


DEFAULT_RECORDING = Recording()
EVERY_SPIKE = Recording(spikes=(ALL,), counts=(ALL,))


@dataclass(frozen=True)
class Result:
    """The outcome of a run.

    Attributes:
        spikes: by population, uint8 `[T_recorded, N, *shape]`; where spikes have a range beyond
            0..255, the smallest integer type that holds it. Event by event, counts of events.
        potentials: by population (or `name.variable`, as asked for), `[T_recorded, N, *shape]`,
            int64 (float networks: float), at the end of each step, after reset.
        counts: by population, int64 `[N, *shape]`, sum of spike values over all steps.
        final_potentials: by output population, `[N, *shape]` after the last step.
        total_spikes: by population (inputs too), int64 `[N]`, sum of spike values.
        synaptic_operations: by projection name, int64 `[N]`: spikes times fan-out
            (one operation a spike, whatever its value), of the steps that are delivered
            within the run.
        steps: steps run.
        samples: number of samples.
        origin: what ran (`emulated (reference)`, `emulated (numpy engine)`, `emulated (compiled
            engine)`, `emulated (event reference)`, `emulated (compiled event engine)`,
            `simulated in float`).
        ended: steps that each sample ran, int64 `[N]`, where samples could end early (`Until`);
            else None, and all ran `steps`.
        remarks: what the vendor's software or a board had to report of the run (late packets,
            saturated buffers), a sentence each.
    """

    spikes: Mapping[str, NDArray[np.uint8]]
    potentials: Mapping[str, NDArray[Any]]
    counts: Mapping[str, NDArray[np.int64]]
    final_potentials: Mapping[str, NDArray[Any]]
    total_spikes: Mapping[str, NDArray[np.int64]]
    synaptic_operations: Mapping[str, NDArray[np.int64]]
    steps: int
    samples: int
    origin: str
    ended: NDArray[np.int64] | None = None
    remarks: tuple[str, ...] = ()
