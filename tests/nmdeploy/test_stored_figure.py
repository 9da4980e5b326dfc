"""A figure that a deployment keeps is read, or refused with its name."""

import pytest

from nmdeploy.errors import DataError
from nmdeploy.stored_figure import stored_figure


def doubled(entry):
    return 2 * int(entry["number"])


def test_a_figure_is_read():
    assert stored_figure({"size": {"number": "21"}}, "size", "size", doubled) == 42


def test_without_an_entry_there_is_none():
    assert stored_figure({"other": {"number": 1}}, "size", "size", doubled) is None


@pytest.mark.parametrize("entry", [{}, {"number": "many"}, {"number": None}, {"number": []}])
def test_an_entry_that_cannot_be_read_is_refused_with_its_name(entry):
    with pytest.raises(DataError, match="the figure is no length") as caught:
        stored_figure({"size": entry}, "size", "length", doubled)
    assert "size" in str(caught.value)


def test_a_bug_in_reading_is_not_taken_for_a_bad_entry():
    def broken(entry):
        return entry.number

    with pytest.raises(AttributeError):
        stored_figure({"size": {"number": 1}}, "size", "size", broken)
