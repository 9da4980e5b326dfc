"""Replaying a vendor's recorded vectors through a chip's emulator, and locating the first difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        step: time step, from 0; None for values that have none (a table, a configuration).
        neuron: index in the population, or in the table.
        expected, found: the recorded and the emulated value.
    """

    file: str
    net: str
    variable: str
    step: int | None
    neuron: tuple[int, ...]
    expected: int
    found: int

    def __str__(self) -> str:
        place = f"index {self.neuron}" if self.step is None else f"step {self.step}, neuron {self.neuron}"
        return (
            f"{self.file} {self.net}: {self.variable} differs first at {place}: "
            f"expected {self.expected}, got {self.found}"
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
        values: integers without a time step compared (tables, maps, configurations).
        mismatches: neuron-steps of a variable, and values, that differ.
        first: the first mismatch of each net that has one.
    """

    target: str
    profile: str
    files: int = 0
    nets: int = 0
    neuron_steps: int = 0
    values: int = 0
    mismatches: int = 0
    skipped: list[str] = field(default_factory=list)
    first: list[Mismatch] = field(default_factory=list)

    @classmethod
    def under(
        cls, target: str, profile: str | None, profiles: Sequence[str], hint: str | None = None
    ) -> ConformanceReport:
        """An empty report on a target's arithmetic under a profile.

        Args:
            target: the target's name.
            profile: one of `profiles`; None for the first.
            profiles: those that there are recordings for.
            hint: why there are no others.

        Raises:
            UsageError: for another profile.
        """
        if profile is not None and profile not in profiles:
            limit = ", ".join(profiles)
            raise UsageError("unknown profile", where=target, found=repr(profile), limit=limit, hint=hint)
        return cls(target, profile or profiles[0])

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing differed."""
        return self.neuron_steps + self.values > 0 and self.mismatches == 0

    def compare(self, file: str, net: str, variable: str, expected: NDArray[Any], found: NDArray[Any]) -> None:
        """Count differences between two integer arrays `[T, *shape]` and keep the net's first one."""
        if expected.shape != found.shape:
            raise UsageError(
                f"{variable}: shapes differ", where=f"{file} {net}", found=found.shape, limit=expected.shape
            )
        for step, *neuron in self._differences(file, net, expected, found):
            where = (step, *neuron)
            self.first.append(
                Mismatch(file, net, variable, step, tuple(neuron), int(expected[where]), int(found[where]))
            )

    def compare_values(
        self, file: str, net: str, variable: str, expected: NDArray[Any], found: NDArray[Any] | None
    ) -> None:
        """Count differences between two integer arrays that have no time axis.

        Where the number of values differs, all are mismatches.
        """
        self.values += expected.size
        if found is None or found.shape != expected.shape:
            self.mismatches += max(expected.size, 1)
            size = 0 if found is None else found.size
            if self._is_first(file, net):
                self.first.append(Mismatch(file, net, f"number of {variable}", None, (), expected.size, size))
            return
        for neuron in self._differences(file, net, expected, found):
            self.first.append(Mismatch(file, net, variable, None, neuron, int(expected[neuron]), int(found[neuron])))

    def _differences(self, file: str, net: str, expected: NDArray[Any], found: NDArray[Any]) -> list[tuple[int, ...]]:
        """Counts the elements that differ; the first one's index, if it is the net's first."""
        different = np.argwhere(expected != found)
        self.mismatches += len(different)
        return [tuple(int(i) for i in different[0])] if len(different) and self._is_first(file, net) else []

    def _is_first(self, file: str, net: str) -> bool:
        return not any((mismatch.file, mismatch.net) == (file, net) for mismatch in self.first)


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
