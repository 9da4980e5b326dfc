"""A lower bound for the CPU time of one image on one core, from what the core can do at best.

A layer either adds one weight for each synaptic operation, 16 bits wide, or multiplies
all its weights by all its inputs, 8 bits wide, whichever is less; a neuron takes three
16-bit operations a step (add, compare, subtract)::

    sum over layers of min(synaptic operations / A, steps * weights applied / M)  +  3 * neurons * steps / A

with A 16-bit additions and M 8-bit multiply-accumulates a second. Reading spikes,
packing, borders and memory cost nothing in it, so it is not meant to be reached.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.turns import Times, take_turns
from nmdeploy.emulator.result import Result
from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Synapse

OPERATIONS_A_NEURON = 3
ADDS, MACS = "int16_adds", "int8_macs"  # the functions of bound.c
ROUNDS = 400_000


@dataclass(frozen=True)
class Rates:
    """What one core does in a second.

    Attributes:
        int16_adds: additions of 16-bit numbers.
        int8_macs: products of 8-bit numbers, added up.
        about: where the numbers come from, in words.
    """

    int16_adds: float
    int8_macs: float
    about: str

    def __str__(self) -> str:
        return f"{self.int16_adds / 1e9:.0f} G int16 adds/s and {self.int8_macs / 1e9:.0f} G int8 MAC/s ({self.about})"


STATED = Rates(65e9, 138e9, "not measured here: an AMD EPYC vCPU with AVX2")
"""Measured for this project on another day; used where bound.c cannot be compiled."""


def bound_ms(network: Network, result: Result, rates: Rates) -> float:
    """The lower bound in CPU milliseconds for one image of the run `result` of `network`."""
    seconds = 0.0
    for projection in network.projections:
        events = float(result.synaptic_operations[projection.name].mean())
        dense = result.steps * weights_applied(network, projection)
        seconds += min(events / rates.int16_adds, dense / rates.int8_macs)
    neurons = sum(population.size for population in network.populations if not population.is_input)
    seconds += OPERATIONS_A_NEURON * neurons * result.steps / rates.int16_adds
    return 1e3 * seconds


def weights_applied(network: Network, projection: Projection) -> int:
    """Multiply-accumulates of the weighted maps of a projection in one step, borders left out."""
    shapes = projection.shapes(network[projection.source].shape)
    return sum(_applied(synapse, before) for synapse, before in zip(projection.synapses, shapes, strict=False))


def _applied(synapse: Synapse, in_shape: tuple[int, ...]) -> int:
    return 0 if synapse.weight is None else int(synapse.fan_out(in_shape).sum())


class Meter:
    """Measures the rates of this core with `bound.c`, in turns with whatever else is timed.

    Args:
        folder: where the compiled library goes; it must outlive the meter.

    Raises:
        OSError: without a C compiler or AVX2.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise OSError("there is no C compiler")
        library, source = folder / "bound.so", Path(__file__).with_name("bound.c")
        command = [compiler, "-O2", "-funroll-loops", "-mavx2", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(command, capture_output=True, check=False)
        self._library = ctypes.CDLL(str(library))
        for name in (ADDS, MACS):
            function = self._function(name)
            function.argtypes, function.restype = [ctypes.c_int64], ctypes.c_int64

    def _function(self, name: str) -> Any:
        return getattr(self._library, name)

    def rivals(self) -> dict[str, Callable[[], object]]:
        """The two loops, to be timed by `take_turns`; some tens of milliseconds each."""
        return {name: lambda name=name: self._function(name)(ROUNDS) for name in (ADDS, MACS)}  # type: ignore[misc]

    def rates(self, times: Mapping[str, Times]) -> Rates:
        """The rates from the times that `take_turns` measured."""
        adds, macs = (ROUNDS * self._function(name)(1) / times[name].cpu_median for name in (ADDS, MACS))
        return Rates(adds, macs, "measured here, in turns with the others")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        meter = Meter(Path(folder))
        print(meter.rates(take_turns(meter.rivals(), 9)))
