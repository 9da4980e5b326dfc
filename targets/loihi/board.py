"""A Loihi 2 board as a backend, through Lava's hardware run configuration.

Intel lends boards, and Lava's extension for them, to members of the INRC; Lava finds the
board by environment variables (`lava/utils/loihi.py` and `slurm.py` of Lava 0.10.0).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from nmdeploy.backend import Availability
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Selection
from nmdeploy.errors import UsageError
from targets.loihi.neuron import LoihiLIFSubtract
from targets.loihi.vendor import LavaBackend

HOST_VARIABLES = ("NXSDKHOST", "SLURM")
"""Environment variables by which Lava is told of a host: its address, or that SLURM assigns one."""
DEVICE = "loihi2"


class BoardBackend(LavaBackend):
    """Lava on a Loihi 2 board.

    Args:
        settings: `python` has Lava with its extension for boards; `board` is a SLURM node or a
            host's address, None for the one that the environment names.
    """

    name = "board"
    device = DEVICE

    def judged(self, found: Mapping[str, str | bool | None]) -> Availability:
        if not found["board"]:
            hint = "Intel gives the extension to members of the INRC; Lava on the CPU: --on vendor"
            lava = f"Lava {found['lava']}" if found["lava"] else "Lava"
            text = f"no Loihi 2 board: {lava} for Python {found['python']} has no extension for boards"
            return Availability(False, text, hint)
        host = self._host()
        if host is None:
            hint = f"set {' or '.join(HOST_VARIABLES)}, or name the board"
            return Availability(False, "no Loihi 2 board: Lava's extension for boards is there, but no host", hint)
        return Availability(True, f"Lava {found['lava']} on Loihi 2 ({host}), Python {found['python']}")

    def _host(self) -> str | None:
        if self.settings.board is not None:
            return self.settings.board
        for name in HOST_VARIABLES:
            if os.environ.get(name):
                return f"{name}={os.environ[name]}"
        return "SLURM" if shutil.which("sinfo") else None

    def check(self, deployment: Deployment, selected: Selection) -> None:
        """Refuse what a Loihi 2 board cannot run, or Lava cannot record there."""
        network = deployment.network
        if deployment.chip != DEVICE:
            hint = f"map it to Loihi 2: nmdeploy map BUNDLE --target {DEVICE} --out NEW"
            raise UsageError(
                "Lava runs Loihi 2 boards", where=network.name, found=deployment.chip, limit=DEVICE, hint=hint
            )
        subtracting = [each.name for each in network.populations if isinstance(each.neuron, LoihiLIFSubtract)]
        if subtracting:
            hint = "convert with --reset zero, or run on the CPU: --on vendor"
            raise UsageError(
                "on a board, reset by subtraction needs your own neuron microcode",
                where=", ".join(subtracting),
                hint=hint,
            )
        hidden = [name for name in (*selected.spikes, *selected.counts) if name not in self._recorded(deployment)]
        if selected.potentials or hidden:
            found = ", ".join([*selected.potentials, *hidden])
            limit = "spikes of the inputs and outputs"
            raise UsageError(
                "cannot be recorded on a board", found=found, limit=limit, hint="record it on the emulator"
            )

    def _recorded(self, deployment: Deployment) -> set[str]:
        return {*deployment.network.outputs, *(each.name for each in deployment.network.inputs)}
