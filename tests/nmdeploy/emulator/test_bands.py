"""The memory in which spikes are sorted, and when they are."""

from unittest.mock import patch

import numpy as np
import pytest

from nmdeploy.emulator import bands
from nmdeploy.emulator.bands import plan_bands
from nmdeploy.emulator.windows import windows_of
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d


def tables(chain, source, target):
    found = windows_of(chain, source, target)
    assert found is not None
    return found


def pooled_convolution():
    return tables((SumPool2d(2), Conv2d(np.ones((4, 3, 2, 2), np.int8))), (3, 7, 6), (4, 2, 2))


def test_every_bit_has_its_column_of_windows_and_its_channels_weights():
    # Rows of windows are two pixels high, six columns wide, three channels deep; a channel has 2x2x4 weights.
    found = plan_bands(pooled_convolution()).row_places
    expected = [(x // 2, 16 * channel) for _ in range(2) for x in range(6) for channel in range(3)]
    assert found.tolist() == [list(each) for each in expected]


def test_a_column_that_no_window_sees_has_a_place_of_its_own():
    chain = (SumPool2d(2), Conv2d(np.ones((4, 3, 2, 2), np.int8)))
    found = plan_bands(tables(chain, (3, 6, 7), (4, 2, 2))).row_places
    assert found[: 3 * 7, 0].tolist() == [0] * 6 + [1] * 6 + [2] * 6 + [3] * 3
    assert found[: 3 * 7, 1].tolist() == [0, 16, 32] * 6 + [-1] * 3


@pytest.mark.parametrize(("aim", "rows"), [(1, 1), (2 * 48, 2), (3 * 48 - 1, 2), (1 << 14, 3)])
def test_a_band_has_as_many_rows_of_windows_as_fit_and_at_least_one(aim, rows):
    # A row has three windows and a place for what none sees, 12 neurons each.
    with patch.object(bands, "BAND_EVENTS", aim):
        found = plan_bands(pooled_convolution())
    assert found.fields["band"] == rows
    assert found.events == rows * 4 * (12 + 1)
    assert found.fields["band_spikes"] == rows * 36 + bands.SPARE
    assert found.listed == found.fields["band_spikes"] + rows * 4 + 2 * found.fields["band_words"]


@pytest.mark.parametrize("offset", range(64))
def test_there_is_room_for_every_word_that_a_row_of_windows_may_touch(offset):
    for bits in (1, 36, 63, 64, 65, 128, 960):
        assert (offset + bits + 63) // 64 <= bits // 64 + 2


@pytest.mark.parametrize(
    ("chain", "source", "target"),
    [
        ((Dense(np.ones((4, 9), np.int8)),), (9,), (4,)),
        ((Conv2d(np.ones((4, 1, 2, 2), np.int8)),), (1, 5, 5), (4, 4, 4)),
        ((SumPool2d(2, 1), Conv2d(np.ones((4, 3, 2, 2), np.int8))), (3, 5, 5), (4, 3, 3)),
        ((Conv2d(np.ones((4, 1, 2, 2), np.int8), groups=2),), (2, 5, 5), (4, 4, 4)),
    ],
    ids=["one window", "each spike a window", "windows share columns", "channel groups"],
)
def test_nothing_is_sorted_where_that_is_no_use(chain, source, target):
    found = plan_bands(tables(chain, source, target))
    assert found.row_places is None
    assert found.listed == 0
    assert found.events == found.fields["room"]


def test_a_dense_layer_after_a_pool_is_sorted():
    chain = (SumPool2d(2), Reshape((12,)), Dense(np.ones((5, 12), np.int8)))
    assert plan_bands(tables(chain, (3, 4, 4), (5,))).row_places is not None
