import pytest

from targets.spinnaker import TARGET


@pytest.mark.parametrize("name", ["spin5", "spin3"])
def test_every_figure_has_unit_and_source(name):
    figures = TARGET.chips()[name].figures
    assert all(figure.unit and figure.source for figure in figures.values())


def test_the_large_board_is_the_default():
    chips = TARGET.chips()
    assert list(chips) == ["spin5", "spin3"]
    assert (chips["spin5"].limit("board_chips"), chips["spin3"].limit("board_chips")) == (48, 4)
    assert chips["spin5"].figures.keys() - chips["spin3"].figures.keys() == {"box_power"}
    assert chips["spin3"].figures.keys() - chips["spin5"].figures.keys() == {"boards"}
