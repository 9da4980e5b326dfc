"""A benchmark as text and as plain values for JSON."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

from nmdeploy.bench.measure import Benchmark, Layer
from nmdeploy.report.figures import Kind
from nmdeploy.report.summary import Row, table


def render_bench(measured: Benchmark) -> str:
    """The benchmark for a terminal: what ran where, the speed, and where the time went; no trailing newline."""
    lines = [
        f"{measured.network} on {measured.chip}, profile {measured.profile}: {measured.origin}, {_threads(measured)}",
        f"{measured.images} images of {measured.steps} steps: {measured.inputs}",
        f"checked: {measured.check}",
        f"on: {measured.machine}",
    ]
    return "\n".join([*lines, "", _speed(measured), "", _shares(measured)])


def _threads(measured: Benchmark) -> str:
    if measured.threads is None:
        return "threads as BLAS decides"
    return "1 thread" if measured.threads == 1 else f"{measured.threads} threads"


def _speed(measured: Benchmark) -> str:
    wall, cpu, images = measured.wall_seconds, measured.cpu_seconds, measured.images
    figures = {
        "images/s": [images / each for each in wall],
        "million synops/s": [measured.operations * images / each / 1e6 for each in wall],
        "ms per image": [1e3 * each / images for each in wall],
        "CPU ms per image": [1e3 * each / images for each in cpu],
    }
    rows: list[Row] = [
        (name, _digits(statistics.median(values)), _digits(min(values)), _digits(max(values)))
        for name, values in figures.items()
    ]
    title = f"speed (measured, n = {len(wall)} runs; a synop is one spike over one synapse)"
    return title + "\n" + table(("figure", "median", "least", "most"), rows)


def _shares(measured: Benchmark) -> str:
    total = sum(layer.seconds for layer in measured.layers)
    rows: list[Row] = [
        (
            layer.name,
            f"{layer.neurons:,}",
            f"{100 * layer.spike_rate:.2f}",
            f"{layer.operations:,.0f}",
            f"{100 * layer.seconds / total:.1f}" if total else "-",
            kernels(layer),
        )
        for layer in measured.layers
    ]
    title = "layers (time measured in one more run; spikes and synops emulated)"
    header = ("layer", "neurons", "spikes %", "synops/image", "time %", "kernel")
    return title + "\n" + table(header, rows)


def kernels(layer: Layer) -> str:
    """The kernels of a layer with their shares of the sample-steps, the most used first."""
    total = sum(layer.kernels.values())
    used = sorted(((count, name) for name, count in layer.kernels.items() if count), reverse=True)
    if len(used) < 2:
        return used[0][1] if used else "-"
    return ", ".join(f"{name} {100 * count / total:.1f} %" for count, name in used)


def _digits(value: float) -> str:
    """Four digits that matter, never in exponential form."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def as_plain(measured: Benchmark) -> dict[str, Any]:
    """The benchmark in dictionaries, lists and plain values; every block says how its numbers came about."""
    fields = asdict(measured)
    layers, machine = fields.pop("layers"), fields.pop("machine")
    speed = {
        "kind": Kind.MEASURED.value,
        "runs": len(measured.wall_seconds),
        "wall_seconds": list(fields.pop("wall_seconds")),
        "cpu_seconds": list(fields.pop("cpu_seconds")),
        "images_per_second": measured.images_per_second,
        "synaptic_operations_per_second": measured.operations_per_second,
        "cpu_ms_per_image": measured.cpu_ms_per_image,
    }
    work = {"kind": Kind.EMULATED.value, "synaptic_operations_per_image": measured.operations}
    return {**fields, "machine": machine, "speed": speed, "work": work, "layers": layers}
