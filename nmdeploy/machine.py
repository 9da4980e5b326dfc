"""What a measurement ran on: processor, load and versions, for the record beside every figure."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")
"""Where Linux describes its processors."""


@dataclass(frozen=True)
class Machine:
    """The machine at one moment.

    Attributes:
        processor: its name, as far as the system tells.
        cpus: processors that this process may use.
        load: processes running or waiting, averaged over the last minute; None where
            the system does not tell (Windows).
        system: operating system and architecture.
        versions: of Python and of libraries, by name.
    """

    processor: str
    cpus: int
    load: float | None
    system: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        load = "load unknown" if self.load is None else f"load average {self.load:.1f}"
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{self.processor}, {self.cpus} CPUs, {load}; {self.system}; {versions}"


def this_machine(libraries: Sequence[str] = ("nmdeploy", "numpy")) -> Machine:
    """The machine now, with the versions of those `libraries` (distribution names) that are installed."""
    return Machine(
        _processor(),
        usable_cpus(),
        os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        f"{platform.system()} {platform.machine()}",
        {"Python": platform.python_version(), **_versions(libraries)},
    )


def usable_cpus() -> int:
    """Processors that this process may use; a container may have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    if PROCESSORS.is_file():
        for line in PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
