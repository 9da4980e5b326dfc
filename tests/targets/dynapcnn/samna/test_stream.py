"""Events on their way into and out of a board."""

from types import SimpleNamespace

import numpy as np
import pytest

from targets.dynapcnn.event_arrays import EVENT as NMDEPLOY_EVENT
from targets.dynapcnn.samna.stream import EVENT, Core, Entry, entering, leaving, potentials


@pytest.fixture
def board():
    """Makes events that are plain records."""
    return SimpleNamespace(event=lambda name, **fields: SimpleNamespace(kind=name, **fields))


def test_an_event_is_the_same_on_both_sides():
    assert EVENT == NMDEPLOY_EVENT


def test_the_host_pools_shifts_and_drops(board):
    events = np.array([(5, 2, 10, 1), (8, 0, 11, 0), (0, 7, 12, 0)], EVENT)
    entries = {"image": [Entry(3, (1, 1), 0, (9, 9)), Entry(7, (2, 2), 4, (3, 4))]}
    made = entering(board, {"image": events}, entries)
    found = [(each.layer, each.feature, each.y, each.x, each.timestamp) for each in made]
    # Column 8 pooled by 2 is column 4 of 4, row 7 is row 3 of 3: both are outside.
    assert found == [(3, 1, 2, 5, 10), (7, 5, 1, 2, 10), (3, 0, 0, 8, 11), (3, 0, 7, 0, 12)]


def test_inputs_are_merged_by_time_and_keep_their_order(board):
    first = np.array([(0, 0, 5, 0), (1, 0, 5, 0), (2, 0, 9, 0)], EVENT)
    second = np.array([(3, 0, 1, 0), (4, 0, 5, 0)], EVENT)
    entries = {name: [Entry(0, (1, 1), 0, (1, 9))] for name in ("a", "b")}
    assert [each.x for each in entering(board, {"a": first, "b": second}, entries)] == [3, 0, 1, 4, 2]


def test_spikes_of_other_layers_are_not_ours():
    spikes = [SimpleNamespace(layer=layer, x=1, y=2, timestamp=3, feature=0) for layer in (13, 4, 2, 4)]
    cores = [Core(4, "left", 0, (2, 4, 4), 64), Core(5, "left", 2, (2, 4, 4), 64)]
    found = leaving(spikes, cores)
    assert found["left"].tolist() == [(1, 2, 3, 0), (1, 2, 3, 0)]


def test_a_part_of_a_layer_counts_its_channels_on():
    cores = [Core(4, "left", 0, (2, 4, 4), 64), Core(5, "left", 2, (2, 4, 4), 64)]
    spikes = [SimpleNamespace(layer=5, x=0, y=0, timestamp=0, feature=1)]
    assert leaving(spikes, cores)["left"]["p"].tolist() == [3]


def test_potentials_come_in_any_order_among_other_events():
    def told(address, value, **fields):
        return SimpleNamespace(layer=4, address=address, neuron_state=value, **fields)

    answers = [[told(1, -7), SimpleNamespace(spike=True)], [], [told(9, 5), told(0, 3)]]
    board = SimpleNamespace(
        event=lambda name, **fields: fields,
        source=SimpleNamespace(write=lambda events: None),
        sink=SimpleNamespace(get_events=lambda: answers.pop(0)),
        is_spike=lambda event: hasattr(event, "spike"),
    )
    assert potentials(board, Core(4, "out", 0, (2, 1, 1), 64), 5.0).ravel().tolist() == [3, -7]
    assert answers == []
