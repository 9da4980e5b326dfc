"""Replaying what the binaries of sPyNNaker 7.4.1 did, and finding the first difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nmdeploy.conformance import ConformanceReport, vector_files
from nmdeploy.emulator import compiled
from nmdeploy.emulator.run import Engine
from nmdeploy.errors import DataError
from targets.spinnaker.conformance import maps, nets, neurons, tables
from targets.spinnaker.conformance.vectors import Vectors

PROFILES = ("chip", "conv")
"""The binaries are the same under both, so either replays every file."""


def engines_here() -> tuple[Engine, ...]:
    """Every engine of this installation."""
    return ("reference", "numpy", "compiled") if compiled.sets() else ("reference", "numpy")


def conformance(
    files: Sequence[Path], profile: str | None = None, engines: tuple[Engine, ...] | None = None
) -> ConformanceReport:
    """Compare neurons, tables, address rules and nets with recordings of the shipped binaries.

    Args:
        files: `.npz` recordings, or folders of them.
        profile: one of `PROFILES`; None means the first.
        engines: which emulators replay neurons and nets; None means all that are installed.

    Raises:
        UsageError: for an unknown profile or a path that does not exist.
        DataError: for a file that is no recording.
    """
    report = ConformanceReport.under("spinnaker", profile, PROFILES)
    for path in vector_files(files, ".npz"):
        report.files += 1
        _replay(report, Vectors.read(path), engines or engines_here())
    return report


def _replay(report: ConformanceReport, vectors: Vectors, engines: tuple[Engine, ...]) -> None:
    if neurons.RECORDED in vectors.arrays:
        neurons.replay_neurons(report, vectors, engines)
    elif any(name in vectors.arrays for name in tables.RECORDED):
        tables.replay_tables(report, vectors)
    elif vectors.names(maps.CONVOLUTION):
        maps.replay_convolutions(report, vectors)
    elif vectors.names(maps.POOL_DENSE):
        maps.replay_pool_dense(report, vectors)
    elif vectors.names(nets.RECORDED):
        nets.replay_nets(report, vectors, engines)
    else:
        listing = ", ".join(sorted(vectors.arrays)[:5]) or "no arrays"
        raise DataError("not a recording of SpiNNaker's binaries", where=str(vectors.path), found=listing)
