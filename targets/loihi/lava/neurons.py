"""Lava's fixed-point LIF neurons, run sample after sample in one Lava run, and recorded.

The arithmetic is Lava's own (`lava/proc/lif/models.py`), inherited. Added are the fresh
state at the start of every sample, silence between samples until spikes in flight have
arrived, recording, and reset by subtraction, which stock Lava does not have. The
Processes stay stock; the run configuration maps them to these ProcessModels.

A Process carries what its ProcessModel needs in `proc_params`: `schedule`, `recordings`
and, for reset by subtraction, `subtrahend`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset


class Schedule(NamedTuple):
    """When samples run: `steps` steps of each, then `silence` steps without spikes."""

    steps: int
    silence: int

    @property
    def period(self) -> int:
        """Steps from the start of one sample to the start of the next."""
        return self.steps + self.silence


class SampleBySample:
    """A mix-in before one of Lava's LIF models; see the module."""

    time_step: int
    vth_shift: int
    a_in: Any
    s_out: Any
    u: Any
    v: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self.parameters = proc_params
        self.schedule: Schedule = proc_params["schedule"]
        self.subtrahend = proc_params.get("subtrahend", None)
        self.files: dict[str, Any] = {}

    def run_spk(self) -> None:
        """One time step, as Lava's own but for what the module says."""
        now: int = self.time_step
        sample, step = divmod(now - 1, self.schedule.period)
        if step >= self.schedule.steps:
            self.a_in.recv()
            self.s_out.send(np.zeros(self.v.shape, dtype=np.int32))
            return
        if step == 0:
            self.u[:], self.v[:] = self.parameters["u"], self.parameters["v"]
        self.time_step = step + 1  # LIFReset counts the steps of its sample
        super().run_spk()  # type: ignore[misc]
        self.time_step = now
        self.record(sample, step)

    def spiking_activation(self) -> Any:
        """Lava's, kept for the recording."""
        self.fired = super().spiking_activation()  # type: ignore[misc]
        return self.fired

    def reset_voltage(self, spike_vector: Any) -> None:
        """v := 0 where it spiked, or v := v - subtrahend * 2**6."""
        if self.subtrahend is None:
            super().reset_voltage(spike_vector)  # type: ignore[misc]
        else:
            self.v[:] -= np.where(spike_vector, np.left_shift(self.subtrahend, self.vth_shift), 0).astype(np.int32)

    def record(self, sample: int, step: int) -> None:
        """Write the step into the arrays on disk, `[samples, steps, *shape]`, that `recordings` names."""
        if not self.files:
            recordings: dict[str, Path] = self.parameters["recordings"]
            self.files = {name: np.load(path, mmap_mode="r+") for name, path in recordings.items()}
        for name, values in (("spikes", self.fired), ("u", self.u), ("v", self.v)):
            if name in self.files:
                self.files[name][sample, step] = values
        if step == self.schedule.steps - 1:
            self.files["final_v"][sample] = self.v


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SampledLif(SampleBySample, PyLifModelBitAcc):  # type: ignore[misc]
    """`LIF`."""


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SampledLifReset(SampleBySample, PyLifResetModelBitAcc):  # type: ignore[misc]
    """`LIFReset`."""


PROCESS_MODELS = {LIF: SampledLif, LIFReset: SampledLifReset}
"""For `exception_proc_model_map` of a run configuration."""
