import numpy as np
import pytest

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.report.memory import CoreUse, Occupancy, ResourceUse, share, use_by_core, use_by_population
from nmdeploy.report.sections import core_section, placement_section


def test_resources_of_each_population(deployment):
    assert use_by_population(deployment.placement) == (
        ResourceUse("conv", "neurons", 2, 12, 16.0, 20, 32),
        ResourceUse("conv", "words", 2, 40, 52.0, 64, 80),
        ResourceUse("out", "neurons", 1, 3, 3.0, 3, 32),
        ResourceUse("out", "words", 1, 24, 24.0, 24, 80),
        ResourceUse("dead", "neurons", 1, 3, 3.0, 3, 32),
        ResourceUse("dead", "words", 1, 0, 0.0, 0, 80),
    )


def test_a_core_that_populations_share_appears_once(deployment):
    assert use_by_core(deployment.placement) == (
        CoreUse(0, 0, ("conv",), 20, {"neurons": 20, "words": 64}),
        CoreUse(0, 1, ("conv", "out"), 15, {"neurons": 15, "words": 64}),
        CoreUse(1, 0, ("dead",), 3, {"neurons": 3, "words": 0}),
    )


def test_resources_that_a_population_or_core_does_not_name():
    loads = (
        CoreLoad(0, 1, "b", np.arange(2), {"words": 3}),
        CoreLoad(0, 0, "a", np.arange(1), {"axons": 1, "unlimited": 9}),
    )
    placement = Placement("toy1", loads, {"axons": 4, "words": 4})
    assert use_by_population(placement) == (
        ResourceUse("b", "words", 1, 3, 3.0, 3, 4),
        ResourceUse("a", "axons", 1, 1, 1.0, 1, 4),
    )
    assert [core.used for core in use_by_core(placement)] == [{"axons": 1, "words": 0}, {"axons": 0, "words": 3}]


@pytest.mark.parametrize(("used", "limit", "expected"), [(1, 4, 0.25), (0, 0, 0.0), (1, 0, 1.0), (4, 4, 1.0)])
def test_share(used, limit, expected):
    assert share(used, limit) == expected


def test_fill_is_that_of_the_fullest_core():
    assert ResourceUse("a", "words", 2, 1, 2.0, 3, 4).fill == 0.75


@pytest.mark.parametrize(("least", "gap"), [(None, None), (2, 0.0), (1, 1.0)])
def test_the_gap_is_to_the_proven_least(least, gap):
    loads = tuple(CoreLoad(0, core, "a", np.arange(1), {}) for core in range(2))
    held = Occupancy.of(Placement("toy1", loads, {}, least_cores=least))
    assert (held.cores, held.least_cores, held.gap) == (2, least, gap)
    told = [line for line in placement_section(held).lines if "gap" in line]
    if gap is None:
        assert told == []
    else:
        bound = f"No placement takes fewer than {least} (proven in the model of the chip)"
        assert told == [f"{bound}: optimality gap at most {100 * gap:.1f} %."]


def test_cores_of_different_sizes():
    """A row for each size of core; the fill of a core is of what it has itself."""
    loads = (
        CoreLoad(0, 0, "a", np.arange(3), {"words": 3}, {"words": 4}),
        CoreLoad(0, 1, "a", np.arange(2), {"words": 2}, {"words": 8}),
        CoreLoad(0, 2, "a", np.arange(1), {"words": 1}, {"words": 4}),
    )
    held = Occupancy.of(Placement("toy1", loads, {"words": 8}))
    assert held.uses == (ResourceUse("a", "words", 2, 1, 2.0, 3, 4), ResourceUse("a", "words", 1, 2, 2.0, 2, 8))
    assert [held.fill(core, "words") for core in held.every_core] == [0.75, 0.25, 0.25]
    assert [row[-1] for row in core_section(held).rows] == ["3 (75 %)", "2 (25 %)", "1 (25 %)"]
