"""Bands: rows of windows whose spikes the compiled kernels sort at once; see kernels/sort_body.h."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.scans import WORD
from nmdeploy.emulator.windows import Windows

BAND_EVENTS = 1 << 14
"""Aim for the events of a band: 64 KiB, a part of a core's second-level cache."""
SPARE = 8
"""Spikes that are listed before their number counts."""


@dataclass(frozen=True, eq=False)
class Bands:
    """How the spikes of a projection are listed.

    Attributes:
        fields: of the nm_map record.
        row_places: `[bits of the tallest row of windows, 2]`: column of the bit's window and where its
            channel's weights begin, -1 where no window sees it; None where spikes are not sorted: there is
            one window, windows share columns, or each spike is a window or a channel group by itself.
        events, listed: numbers of scratch in 32 and 64 bits.
    """

    fields: dict[str, int]
    row_places: NDArray[np.int32] | None
    events: int
    listed: int


def plan_bands(windows: Windows) -> Bands:
    """Choose the rows of windows that are sorted at once, and the memory for it.

    Args:
        windows: tables of the projection.
    """
    rows, across = windows.vertical.spans, len(windows.horizontal.spans)
    tallest = int((rows[:, 1] - rows[:, 0]).max())
    room, columns = tallest * len(windows.bit_weight), windows.column_window()
    alone = windows.single or len(rows) * across == 1
    if columns is None or windows.bit_current is not None or alone:
        return Bands({"room": room}, None, room, 0)
    bits, pitch = tallest * windows.width * windows.channels, across + 1
    band = min(len(rows), max(1, BAND_EVENTS // (pitch * room)))
    spikes, words = band * bits + SPARE, band * (bits // WORD + 2) + 1
    fields = {"room": room, "band": band, "band_spikes": spikes, "band_words": words}
    listed = spikes + band * pitch + 2 * words
    return Bands(fields, _row_places(windows, columns, tallest), band * pitch * (room + 1), listed)


def _row_places(windows: Windows, columns: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
    weights = np.tile(windows.bit_weight[: windows.channels], windows.width)
    columns = np.repeat(columns, windows.channels)
    seen = columns < len(windows.horizontal.spans)
    pairs: NDArray[Any] = np.stack([columns, np.where(seen, weights, -1)], axis=1)
    return np.ascontiguousarray(np.tile(pairs, (rows, 1)), dtype=np.int32)
