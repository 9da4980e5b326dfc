import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.errors import UsageError
from targets.dynapcnn.configuration import DvsInput


def naive_sensor(dvs, raster):
    """Event by event, with plain coordinates."""
    out = np.zeros((len(raster), *dvs.shape), dtype=int)
    (top, bottom), (left, right) = dvs.window
    for n, p, y, x in np.argwhere(raster):
        row, column = y // dvs.pooling[0], x // dvs.pooling[1]
        if not (top <= row < bottom and left <= column < right):
            continue
        row, column = row - top, column - left
        row = bottom - top - 1 - row if dvs.mirror_y else row
        column = right - left - 1 - column if dvs.mirror_x else column
        row, column = (column, row) if dvs.swap_xy else (row, column)
        out[n, 0 if dvs.merge else p, row, column] += raster[n, p, y, x]
    return out


@given(data=st.data())
def test_the_sensor_treats_maps_as_it_treats_single_events(data):
    size = data.draw(st.tuples(st.integers(4, 9), st.integers(4, 9)))
    pooling = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    ends = [whole // pool for whole, pool in zip(size, pooling, strict=True)]
    crop = tuple((data.draw(st.integers(0, 1)), data.draw(st.integers(2, end))) for end in ends)
    flags = {name: data.draw(st.booleans()) for name in ("merge", "mirror_y", "mirror_x", "swap_xy")}
    dvs = DvsInput(size, pooling, data.draw(st.sampled_from([None, crop])), **flags)
    raster = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 3, size=(3, 2, *size))
    assert np.array_equal(dvs.apply(raster), naive_sensor(dvs, raster))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (129, 4)}, r"the sensor has no such size \(found 129, limit 1..128\)"),
        ({"size": (4, 0)}, "no such size"),
        ({"size": (4, 4), "pooling": (5, 1)}, r"the sensor cannot be pooled so \(found 5, limit 1..4\)"),
        ({"size": (4, 4), "pooling": (1, 0)}, "cannot be pooled"),
        ({"size": (4, 4), "crop": ((0, 4), (2, 5))}, r"the cut leaves the pooled map \(found \(2, 5\), limit 0..4\)"),
        ({"size": (4, 4), "crop": ((3, 3), (0, 4))}, "the cut leaves"),
        ({"size": (4, 4), "crop": ((-1, 3), (0, 4))}, "the cut leaves"),
    ],
)
def test_the_sensor_has_limits(options, message):
    with pytest.raises(UsageError, match=message):
        DvsInput(**options)
