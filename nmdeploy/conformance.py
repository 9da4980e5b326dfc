"""Replaying a vendor's recorded vectors through a chip's emulator, and locating the first difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import UsageError


@dataclass(frozen=True)
class Mismatch:
    """The first place where a replayed net differs from its recording.

    Attributes:
        file, net: where the recording lives.
        variable: what differs (`layer 1 v`, `layer 0 spikes`).
        step: time step, from 0.
        neuron: index in the population.
        expected, found: the recorded and the emulated value.
    """

    file: str
    net: str
    variable: str
    step: int
    neuron: tuple[int, ...]
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.file} {self.net}: {self.variable} differs first at step {self.step}, "
            f"neuron {self.neuron}: expected {self.expected}, got {self.found}"
        )


@dataclass
class ConformanceReport:
    """Totals of a replay.

    Attributes:
        target, profile: whose arithmetic was replayed, under which semantics.
        files: number of files read.
        nets: number of nets replayed.
        skipped: nets left out, each with the reason.
        neuron_steps: neurons times steps compared.
        mismatches: neuron-steps of a variable that differ.
        first: the first mismatch of each net that has one.
    """

    target: str
    profile: str
    files: int = 0
    nets: int = 0
    neuron_steps: int = 0
    mismatches: int = 0
    skipped: list[str] = field(default_factory=list)
    first: list[Mismatch] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing differed."""
        return self.neuron_steps > 0 and self.mismatches == 0

    def compare(self, file: str, net: str, variable: str, expected: NDArray[Any], found: NDArray[Any]) -> None:
        """Count differences between two integer arrays `[T, *shape]` and keep the net's first one."""
        if expected.shape != found.shape:
            raise UsageError(
                f"{variable}: shapes differ", where=f"{file} {net}", found=found.shape, limit=expected.shape
            )
        different = np.argwhere(expected != found)
        self.mismatches += len(different)
        if len(different) and not any((m.file, m.net) == (file, net) for m in self.first):
            step, *neuron = (int(i) for i in different[0])
            where = (step, *neuron)
            self.first.append(
                Mismatch(file, net, variable, step, tuple(neuron), int(expected[where]), int(found[where]))
            )


def vector_files(paths: Iterable[Path], suffix: str) -> list[Path]:
    """The files named by `paths`: files as they are, folders by their files of `suffix`.

    Raises:
        UsageError: for a path that does not exist, or when nothing is left.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError("there is no such file or folder", where=str(path))
        found += sorted(path.glob(f"*{suffix}")) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"no {suffix} files there", hint="name vector files or a folder of them")
    return found
