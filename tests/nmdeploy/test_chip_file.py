import pytest

from nmdeploy.chip_file import read_chips
from nmdeploy.registry import targets
from nmdeploy.target import Figure, Status

TEXT = """
[second]
title = "The second chip"
soma = "leaks"
[second.figures]
cores = { value = 3, unit = "cores/chip", source = "its manual", status = "vendor tool" }

[first]
title = "The first chip"
soma = ""
[first.figures]
"""


def test_chips_come_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "chips.toml"
    path.write_text(TEXT, encoding="utf-8")
    found = read_chips(path)
    assert list(found) == ["second", "first"]
    assert (found["second"].title, found["second"].soma) == ("The second chip", "leaks")
    assert found["second"].figures == {"cores": Figure(3.0, "cores/chip", "its manual", Status.VENDOR_TOOL)}
    assert found["second"].limit("cores") == 3


def test_an_unknown_status_is_refused(tmp_path):
    path = tmp_path / "chips.toml"
    path.write_text(TEXT.replace("vendor tool", "hearsay"), encoding="utf-8")
    with pytest.raises(ValueError, match="hearsay"):
        read_chips(path)


@pytest.mark.parametrize("family", sorted(targets()))
def test_every_figure_of_our_chips_has_a_unit_and_a_source(family):
    figures = [figure for chip in targets()[family].chips().values() for figure in chip.figures.values()]
    assert figures
    assert all(figure.unit and figure.source for figure in figures)
