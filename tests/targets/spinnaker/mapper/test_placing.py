from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from nmdeploy.deployment import deploy, remap
from nmdeploy.errors import FitError, UsageError
from targets.spinnaker.check import recheck
from targets.spinnaker.lower import lower
from targets.spinnaker.mapper import place
from targets.spinnaker.mapper.placing import chip_cores, least_cores


def with_figure(chip, **values):
    figures = {**chip.figures, **{name: replace(chip.figures[name], value=value) for name, value in values.items()}}
    return replace(chip, figures=MappingProxyType(figures))


def test_every_board_has_its_application_cores(spin5, spin3):
    assert sum(chip_cores(spin5)) == 759
    assert chip_cores(spin3) == [15, 16, 16, 16]


def test_slices_and_padding(spin5, ideal_dense):
    network = lower(ideal_dense([100, 301, 11]), spin5).network
    placement = place(network, spin5)
    sizes = [(load.population, len(load.neurons), load.used["neurons"], load.core) for load in placement.cores]
    assert sizes == [("in", 100, 100, 0), ("l0", 256, 256, 1), ("l0", 45, 46, 2), ("l1", 11, 12, 3)]
    assert [load.used["sdram"] for load in placement.cores] == [924, 236460, 236460, 61748]
    assert [load.used["tick_instructions"] for load in placement.cores] == [0, 256 * 126, 46 * 126, 12 * 126]
    assert placement.off_chip == ()
    assert placement.least_cores == least_cores(network, spin5) == 4
    assert placement.limits["sdram"] == 123469792
    assert recheck(network, placement, spin5) == []


def test_images_of_both_profiles(spin5, ideal_images):
    for profile, cores in (("chip", 7), ("conv", 10)):
        deployment = deploy(ideal_images, f"spin5/{profile}")
        assert deployment.placement.core_count == cores  # as on sPyNNaker's virtual board
        assert deployment.placement.least_cores <= cores


def test_boards_are_added_as_they_are_needed(spin3, spin5, ideal_dense):
    network = lower(ideal_dense([8, 30000, 2]), spin3).network
    with pytest.raises(FitError, match=r"SPI070.*found 2, limit 1.*spin5"):
        place(network, spin3, None)
    large = lower(ideal_dense([2, 256 * 760, 2]), spin5).network
    with pytest.raises(FitError, match=r"SPI070.*chips=2"):
        place(large, spin5)
    placement = place(large, spin5, None)
    assert placement.chip_count == 2
    assert {load.core for load in placement.cores if load.chip == 0} == set(range(759))
    assert remap(deploy(ideal_dense([8, 12, 2]), "spin5"), None).placement.chip_count == 1


def test_chips_full_of_memory_leave_cores_free(spin5, ideal_dense):
    network = lower(ideal_dense([100, 301, 11]), spin5).network
    tight = with_figure(spin5, sdram=240000 + 490000)
    placement = place(network, tight)
    assert [load.core for load in placement.cores] == [0, 1, 15, 30]
    assert recheck(network, placement, tight) == []


def test_a_network_has_at_least_one_board_and_spin3_only_one(spin5, spin3, ideal_dense):
    network = lower(ideal_dense([4, 4]), spin5).network
    with pytest.raises(UsageError, match="at least one board"):
        place(network, spin5, 0)
    with pytest.raises(UsageError, match=r"cannot be joined.*limit 1.*spin5"):
        place(network, spin3, 2)


def test_neurons_of_a_tile_are_those_of_the_image(spin5, ideal_images):
    network = lower(ideal_images, spin5, "conv").network
    loads = place(network, spin5).of("same")
    assert [load.neurons[0] for load in loads] == [0, 96, 192]
    assert np.concatenate([load.neurons for load in loads]).tolist() == list(range(288))
