"""Tiles of the chip, and barriers over them."""

import numpy as np
import pytest

from targets.loihi import TARGET
from targets.loihi.cost.coefficients import barrier
from targets.loihi.cost.mesh import Mesh

CHIPS = TARGET.chips()


def test_the_mesh_holds_every_core_of_the_chip_once():
    mesh, chip = Mesh.of(CHIPS["loihi1"]), CHIPS["loihi1"]
    places = [(0, core) for core in range(chip.limit("cores"))]
    assert mesh.tiles(places) == chip.limit("mesh_rows") * chip.limit("mesh_columns")
    east_west, north_south = mesh.hops(places)
    assert east_west.max() == chip.limit("mesh_columns") - 1
    assert north_south.max() == chip.limit("mesh_rows") - 1
    assert np.array_equal(np.count_nonzero(east_west + north_south == 0, axis=0), np.full(128, 4))


@pytest.mark.parametrize(("tiles", "least", "most"), [(1, 113, 113), (2, 113, 465), (31, 113, 465), (32, 465, 465)])
def test_the_barrier_lies_between_the_published_ends(tiles, least, most):
    found = barrier(CHIPS["loihi1"], tiles)
    assert (found.least, found.most) == pytest.approx((least * 1e-9, most * 1e-9))
