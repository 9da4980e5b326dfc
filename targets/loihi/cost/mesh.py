"""Where a core lies on a chip's mesh of tiles, and how far a spike travels to another core.

Loihi's tiles form a two-dimensional mesh. Which core lies in which tile is not
published; this is SANA-FE's arrangement (Boyle et al., IEEE TCAD 44(8), 2025,
`arch/loihi.yaml` and `src/schedule.cpp`), an estimate: core k of a chip lies in tile
k // 4, tile t in column t // 4 and row t % 4 of 8 x 4 tiles. Spikes take the shortest
way, first along one axis, then along the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmdeploy.target import Chip

Place = tuple[int, int]
"""A core: index of its chip, and of the core on it."""


@dataclass(frozen=True)
class Mesh:
    """Arrangement of the cores of one chip.

    Attributes:
        tile_cores: cores in one tile.
        rows: tiles in one column.
    """

    tile_cores: int
    rows: int

    @classmethod
    def of(cls, chip: Chip) -> Mesh | None:
        """The mesh of `chip`; None when its figures tell none."""
        if "tile_cores" not in chip.figures:
            return None
        return cls(chip.limit("tile_cores"), chip.limit("mesh_rows"))

    def hops(self, places: Sequence[Place]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """East-west and north-south tile hops from every core to every other, `[cores, cores]`; chips do not matter."""
        tiles = np.array([core // self.tile_cores for _, core in places], dtype=np.int64)
        columns, rows = np.divmod(tiles, self.rows)
        return np.abs(columns[:, None] - columns), np.abs(rows[:, None] - rows)

    def tiles(self, places: Sequence[Place]) -> int:
        """The number of tiles, on all chips, that have one of these cores."""
        return len({(chip, core // self.tile_cores) for chip, core in places})
