"""The compiled kernels as Python sees them: structures of `kernels/nm.h` and `events.h`, and which kernels run.

The extension module holds addresses only; ctypes calls them, without the interpreter's
lock. Without the extension (no compiler at installation) everything falls back to numpy.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_kernels: ModuleType | None
try:
    from nmdeploy.emulator import _kernels  # type: ignore[attr-defined, no-redef, unused-ignore]
except ImportError:
    _kernels = None

WINDOWS, UNROLLED = 0, 1
EXACT, WRAP, SATURATE, RAISE = 0, 1, 2, 3
DONE, OVERFLOW, NO_MEMORY = 0, 1, 2
SLACK = 192
"""Numbers beyond the last current or weight that kernels may touch: 12 registers of 16."""
CACHE_LINE = 64
"""Bytes."""
COUNTERS = ("silent", "event", "dense")
"""What `Stage.counters` counts for each map."""


def _record(name: str, words: str, pointers: str) -> type[ctypes.Structure]:
    """A structure of 8-byte fields; those in `pointers` are addresses."""
    addresses = set(pointers.split())
    fields = [(field, ctypes.c_void_p if field in addresses else ctypes.c_int64) for field in words.split()]
    return type(name, (ctypes.Structure,), {"_fields_": fields, "__doc__": "As in kernels/nm.h or events.h."})


Map = _record(
    "Map",
    "kind valued size channels width windows_y windows_x rows columns y_first x_first y_runs x_runs "
    "bit_weight bit_current row_places room band band_spikes band_words pooled single weights chunk narrow reach_y "
    "reach_x first targets dense_above dense dense_blocks dense_rows dense_quads flush plane_height plane_width top "
    "left stride_y stride_x dilation_y out_height out_width out_channels timed inhibits scaled exponent format low "
    "high mask sign",
    "rows columns y_first x_first y_runs x_runs bit_weight bit_current row_places weights first targets dense",
)
Scan = _record(
    "Scan",
    "width period bias above subtract low high plain shift wraps mask sign clips zero refractory ceiling",
    "bias above subtract low high",
)
Stage = _record(
    "Stage",
    "neurons words width maps map scan sources strides spikes potential silent recorded tally exported chunk "
    "pitch current inhibition sums events listed census plane bytes counters",
    "map scan sources strides spikes potential silent recorded tally exported current "
    "inhibition sums events listed census plane bytes counters",
)
EventMap = _record(
    "EventMap",
    "source unrolled places y_first x_first y_runs x_runs first targets weights",
    "places y_first x_first y_runs x_runs first targets weights",
)
EventPopulation = _record(
    "EventPopulation",
    "neurons width maps map format minimum maximum mask sign uniform above subtract low tick_low leak zero least "
    "fires_on_tick ranks ranked potential fired heads events count capacity ticked given given_first largest counts "
    "totals spikes recorded",
    "map above subtract low tick_low leak ranks ranked potential fired heads events given given_first counts totals "
    "spikes recorded",
)


def check_layout() -> None:
    """Refuse an extension that was built from other structures.

    Raises:
        ImportError: for an extension that does not match this file.
    """
    for structure in (Map, Scan, Stage, EventMap, EventPopulation):
        if ctypes.sizeof(structure) != getattr(_kernels, f"SIZE_OF_{structure.__name__.upper()}", None):
            raise ImportError("nmdeploy's compiled kernels are of another version; install nmdeploy again")


if _kernels is not None:
    check_layout()


def _function(name: str, arguments: str, result: Any = None) -> Any:
    """A function of the extension by name; in `arguments` p is an address and i an integer."""
    if _kernels is None:
        return None
    kinds = {"p": ctypes.c_void_p, "i": ctypes.c_int64}
    return ctypes.CFUNCTYPE(result, *(kinds[kind] for kind in arguments))(getattr(_kernels, name))


run = _function("RUN", "ppiii")
pack = _function("PACK", "piiiiipi")
unpack = _function("UNPACK", "piiiip")
tally = _function("TALLY", "piiip")
events = _function("EVENTS", "ppiiii", ctypes.c_int64)
forget_events = _function("FORGET_EVENTS", "pi")


@dataclass(frozen=True)
class Kernels:
    """The kernels of one instruction set.

    Attributes:
        name: what reports call it.
        address: of the nm_kernels record.
    """

    name: str
    address: int


def sets() -> tuple[Kernels, ...]:
    """The kernels that this processor can run, the fastest first; none where nothing was compiled."""
    found = (getattr(_kernels, name, None) for name in ("AVX2", "NEON", "PORTABLE"))
    return tuple(Kernels(*each) for each in found if each is not None)


def description() -> str:
    """Which kernels are in use, for a person."""
    available = sets()
    if not available:
        return "none (installed without a C compiler); the numpy engine runs instead"
    return f"{available[0].name} (of {', '.join(each.name for each in available)})"


def call(kernels: Kernels, stages: Sequence[ctypes.Structure], samples: int, steps: int) -> None:
    """Run a block of `steps` steps of some populations, in order, for all samples of their buffers."""
    pointers = np.array([ctypes.addressof(stage) for stage in stages], np.uint64)
    run(kernels.address, address(pointers), len(stages), samples, steps)


def address(array: NDArray[Any]) -> int:
    """Where the numbers of a C-contiguous array begin."""
    where: int = array.__array_interface__["data"][0]
    return where


def zeros(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """As `np.zeros`, beginning at a cache line: registers that lie across two lines are read at half the speed."""
    kind = np.dtype(dtype)
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    buffer = np.zeros(size * kind.itemsize + CACHE_LINE, np.uint8)
    begin = -address(buffer) % CACHE_LINE
    made: NDArray[Any] = buffer[begin : begin + size * kind.itemsize].view(kind).reshape(shape)
    return made


def padded(array: NDArray[Any], dtype: Any, slack: int = SLACK) -> NDArray[Any]:
    """The numbers of `array` in a row, with `slack` zeros behind them, beginning at a cache line."""
    out = zeros(array.size + slack, dtype)
    out[: array.size] = array.ravel()
    return out
