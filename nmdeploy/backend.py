"""Running a deployment elsewhere than on the emulator: the vendor's software, or a board.

A backend takes what the emulator takes and returns what it returns, so that results
can be compared number by number.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording
from nmdeploy.errors import HardwareUnavailable

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment
    from nmdeploy.emulator.inputs import Inputs
    from nmdeploy.emulator.result import Result
    from nmdeploy.progress import Progress

AUTO, BOARD, VENDOR, EMULATOR = "auto", "board", "vendor", "emulator"
PLACES = (AUTO, BOARD, VENDOR, EMULATOR)
"""Where a user can have a deployment run; `auto` takes the first of the others that is ready."""


@dataclass(frozen=True)
class RunSettings:
    """What a user can say about where a deployment runs.

    Attributes:
        python: another interpreter, which has the vendor's software; None for this one.
        board: which board, in the vendor's own naming; None for the first that is found.
        limit_s: seconds after which a run that has not finished is ended.
    """

    python: Path | None = None
    board: str | None = None
    limit_s: float = 600.0

    @property
    def interpreter(self) -> Path:
        """The Python that has the vendor's software: `python`, or this one."""
        return self.python or Path(sys.executable)


DEFAULT_SETTINGS = RunSettings()


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here and now.

    Attributes:
        ready: whether it can.
        found: what would run, with versions and device (`Lava 0.10.0 on CPU, Python 3.10.13`); or why nothing can.
        hint: what to do when it is not ready.
    """

    ready: bool
    found: str
    hint: str | None = None

    def require(self, where: str) -> None:
        """Refuse to go on where nothing can run.

        Args:
            where: the backend's name.

        Raises:
            HardwareUnavailable: with what was found, and the hint.
        """
        if not self.ready:
            raise HardwareUnavailable(self.found, where=where, hint=self.hint)


class Backend(ABC):
    """One way to run deployments of a chip family."""

    name: str
    """`vendor` or `board`."""

    @abstractmethod
    def availability(self) -> Availability:
        """Whether it can run here and now; never raises for what is merely missing."""

    @abstractmethod
    def run(
        self,
        deployment: Deployment,
        inputs: Inputs,
        *,
        steps: int | None = None,
        record: Recording = DEFAULT_RECORDING,
        progress: Progress | None = None,
    ) -> Result:
        """Run `deployment`; arguments and result are those of `nmdeploy.emulate`.

        Raises:
            HardwareUnavailable: when it is not available.
            RunError: when the vendor's software fails, or does not finish in time.
            UsageError, ShapeError, DataError: as `emulate`, and for what the backend cannot record.
        """
