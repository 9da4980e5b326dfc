"""Placements: the best one, sinabs' own, layers cut in two, and refusals whose advice is right."""

import re

import numpy as np
import pytest

from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d
from targets.dynapcnn import TARGET
from targets.dynapcnn.layer import layers
from targets.dynapcnn.mapper import place, place_like_sinabs
from targets.dynapcnn.mapper.advice import refusals
from targets.dynapcnn.mapper.split import Cores
from targets.dynapcnn.memory import RESOURCES, core_memories, memory
from targets.dynapcnn.neuron import SpeckIAF


def cores_of(placement):
    return [(load.population, load.core) for load in placement.cores]


def test_the_tutorial_network(tutorial, speck2f):
    """Away from the parallel cores 0 and 1, and as small as can be: core 2 and a spare small core stay free."""
    placement = place(tutorial, speck2f)
    assert cores_of(placement) == [("l0", 3), ("l1", 4), ("l2", 5), ("l3", 6), ("l4", 7)]
    assert (placement.core_count, placement.least_cores, placement.off_chip) == (5, 5, ("in",))
    for load, layer in zip(placement.cores, layers(tutorial), strict=True):
        assert load.used == memory(layer)
        assert placement.limits_of(load) == core_memories(speck2f)[load.core]
        assert np.array_equal(load.neurons, np.arange(tutorial[load.population].size))
    assert placement.limits == {"kernel_words": 65536, "neuron_words": 65536, "bias_words": 1024}
    assert TARGET.check(tutorial, placement, speck2f) == []


def test_the_tutorial_network_as_sinabs_places_it(tutorial, speck2f):
    """The cores that sinabs 3.1.3 took for this network (golden file `mnist_tutorial`)."""
    placement = place_like_sinabs(tutorial, speck2f)
    assert [core for _, core in cores_of(placement)] == [0, 3, 5, 6, 1]
    assert TARGET.check(tutorial, placement, speck2f) == []
    assert TARGET.mappers()["sinabs"] is place_like_sinabs


def test_the_devkit_has_no_known_parallel_cores(tutorial):
    placement = place(tutorial, TARGET.chips()["dynapcnndevkit"])
    assert TARGET.check(tutorial, placement, TARGET.chips()["dynapcnndevkit"]) == []


@pytest.mark.parametrize("mapper", [place, place_like_sinabs])
def test_one_chip_only(tutorial, speck2f, mapper):
    assert mapper(tutorial, speck2f, None) == mapper(tutorial, speck2f, 1)
    for chips in (0, 2):
        with pytest.raises(UsageError, match=f"found {chips}, limit 1"):
            mapper(tutorial, speck2f, chips)


def test_a_layer_that_fits_no_core_is_cut_in_two(chain_of, speck2f):
    net = chain_of((2, 64, 64), (32, 3, 1, 1), (10, 8, 0, 4))
    placement = place(net, speck2f)
    first, second = placement.of("l0")
    assert [len(load.neurons) for load in (first, second)] == [16 * 4096] * 2
    assert {first.core, second.core} <= {0, 1, 2}
    assert first.used == {"kernel_words": 2 << (4 + 4), "neuron_words": 65536, "bias_words": 0}
    assert np.array_equal(np.concatenate([first.neurons, second.neurons]), np.arange(32 * 4096))
    assert placement.least_cores == placement.core_count == 3
    (remark,) = TARGET.check(net, placement, speck2f)
    assert (remark.code, remark.where, remark.severity.value) == ("DYN048", "l0", "warning")
    with pytest.raises(FitError, match="DYN020"):
        place_like_sinabs(net, speck2f)


def test_as_few_cuts_as_possible(chain_of, speck2f):
    """Three layers need the kernels of cores 5 and 6: the last is cut, behind which no events meet."""
    big = (128, 3, 1, 1)
    net = chain_of((32, 4, 4), big, (32, 1, 0, 1), big)
    assert len(place(net, speck2f).cores) == 3
    net = chain_of((32, 4, 4), big, (32, 1, 0, 1), big, (32, 1, 0, 1), big)
    placement = place(net, speck2f)
    assert [len(placement.of(f"l{index}")) for index in range(5)] == [1, 1, 1, 1, 2]
    assert {load.core for load in placement.of("l4")} == {3, 4}
    assert TARGET.check(net, placement, speck2f)[0].code == "DYN048"


def refused(net, chip, mapper=place):
    with pytest.raises(FitError) as caught:
        mapper(net, chip)
    return caught.value.violations


def test_layers_that_compete(chain_of, speck2f):
    big = (128, 3, 1, 1)
    net = chain_of((32, 4, 4), big, (32, 1, 0, 1), big, (32, 1, 0, 1), big)
    found = refused(net, speck2f, place_like_sinabs)
    assert [(each.code, each.where, each.limit) for each in found] == [
        ("DYN022", name, "cores 5, 6") for name in ("l0", "l2", "l4")
    ]
    assert found[0].message == "3 layers fit 2 cores only: 'l0', 'l2', 'l4'"
    assert found[0].found == "65,536 kernel words, 2,048 neuron words"
    assert found[0].hint == (
        "64 instead of 128 channels, or a kernel of 2 instead of 3, or 16 instead of 32 input channels would fit"
    )
    assert found[2].hint == "a kernel of 2 instead of 3, or 16 instead of 32 input channels would fit"
    mended = chain_of((32, 4, 4), (64, 3, 1, 1), (32, 1, 0, 1), big, (32, 1, 0, 1), big)
    assert len(place_like_sinabs(mended, speck2f).cores) == 5
    one_more = chain_of((32, 4, 4), (65, 3, 1, 1), (32, 1, 0, 1), big, (32, 1, 0, 1), big)
    assert [each.code for each in refused(one_more, speck2f, place_like_sinabs)] == ["DYN022"] * 3


def test_fewer_channels_of_a_layer_are_fewer_inputs_of_the_next(chain_of, speck2f):
    """l1 has the kernels for cores 5 and 6, all of its own; with half of l0's channels it fits others."""
    big = (128, 3, 1, 1)
    net = chain_of((1, 4, 4), (32, 1, 0, 1), big, (32, 1, 0, 1), big, (32, 1, 0, 1), big)
    hints = {each.where: each.hint for each in refused(net, speck2f, place_like_sinabs)}
    assert hints["l1"].startswith("64 instead of 128 channels")
    assert hints["l3"] == (
        "64 instead of 128 channels, or a kernel of 2 instead of 3, or 16 instead of 32 input channels would fit"
    )
    narrow = chain_of((1, 4, 4), (16, 1, 0, 1), big, (32, 1, 0, 1), big, (32, 1, 0, 1), big)
    assert place_like_sinabs(narrow, speck2f).core_count == 6


def test_a_layer_that_fits_nowhere(chain_of, speck2f):
    (found,) = refused(chain_of((64, 8, 8), (512, 5, 2, 1), (10, 1, 0, 1)), speck2f)
    assert (found.code, found.where) == ("DYN020", "l0")
    assert "for its kernel words and neuron words" in found.message
    assert found.found == "1,048,576 kernel words, 32,768 neuron words"
    nearest, words = re.search(r"core (\d) comes nearest, with ([\d,]+) kernel words", found.message).groups()
    assert int(words.replace(",", "")) == 1_048_576 - core_memories(speck2f)[int(nearest)]["kernel_words"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda n: ((64, 8, 8), (n, 5, 2, 1), (10, 1, 0, 1)), r"(\d+) instead of 512 channels"),
        (lambda n: ((n, 8, 8), (64, 5, 2, 1), (10, 1, 0, 1)), r"(\d+) instead of 512 input channels"),
    ],
)
def test_what_would_fit_fits_and_one_more_does_not(chain_of, speck2f, make, words):
    found = refused(chain_of(*make(512)), speck2f)[0]
    most = int(re.search(words, found.hint).group(1))
    assert place_like_sinabs(chain_of(*make(most)), speck2f).core_count == 2
    assert refused(chain_of(*make(most + 1)), speck2f, place_like_sinabs)[0].where == "l0"


def test_outputs_are_not_cut_down(chain_of, speck2f):
    (found,) = refused(chain_of((1024, 2, 2), (1000, 2, 0, 1)), speck2f)
    assert " 1000 channels" not in found.hint
    assert "15 instead" not in found.hint
    assert found.hint == "16 instead of 1024 input channels would fit"
    assert place(chain_of((16, 2, 2), (1000, 2, 0, 1)), speck2f).core_count == 1


def test_cuts_that_other_layers_leave_no_room_for(chain_of, speck2f):
    """Two layers of 128 Ki neurons want the three cores with 64 Ki: each by itself could be cut."""
    found = refused(chain_of((1, 64, 64), (32, 1, 0, 1), (32, 1, 0, 1), (10, 1, 0, 4)), speck2f)
    assert [(each.code, each.where) for each in found] == [("DYN020", "l0"), ("DYN020", "l1")]
    assert all("; cut in two it would fit, had each of its sources two destinations" in each.hint for each in found)


def test_a_third_destination_is_no_matter_of_room(residual, speck2f):
    assert place(residual, speck2f).core_count == 3


def test_ten_layers(chain_of, speck2f):
    found = refused(chain_of((1, 4, 4), *[(2, 1, 0, 1)] * 10), speck2f)
    assert {each.code for each in found} == {"DYN022"}
    assert len(found) == 10


def test_every_resource_is_declared(tutorial, speck2f):
    assert all(set(load.used) == set(load.limits) == set(RESOURCES) for load in place(tutorial, speck2f).cores)


def test_two_changes_together_where_one_is_not_enough(chain_of, speck2f):
    (found,) = refused(chain_of((64, 16, 16), (512, 5, 2, 1)), speck2f)
    assert found.hint == "a kernel of 1 instead of 5 together with a map of 8 x 8 instead of 16 x 16 would fit"


def test_fewer_classes_where_nothing_else_is_left(chain_of, speck2f):
    (found,) = refused(chain_of((16, 1, 1), (99_999, 1, 0, 1)), speck2f)
    assert found.hint == "4096 instead of 99999 channels would fit"


def test_advice_counts_on_cuts(chain_of, speck2f):
    """Of four layers for cores 5 and 6, one can be cut onto 3 and 4; one more must be smaller."""
    big, small = (128, 3, 1, 1), (32, 1, 0, 1)
    rest = (small, big, small, big, small, big)
    found = refused(chain_of((32, 4, 4), big, *rest), speck2f)
    assert [each.where for each in found] == ["l0", "l2", "l4"]
    most = int(re.match(r"(\d+) instead of 128 channels", found[0].hint).group(1))
    place(chain_of((32, 4, 4), (most, 3, 1, 1), *rest), speck2f)
    assert refused(chain_of((32, 4, 4), (most + 1, 3, 1, 1), *rest), speck2f)
    hints = [each.hint for each in refused(chain_of((32, 4, 4), big, *rest), speck2f, place_like_sinabs)]
    assert hints == ["no smaller size of this layer alone is enough"] * 3


def test_sources_that_share_channels_have_as_many():
    """Fewer channels of one of them alone do not make the next layer's kernels smaller."""
    big, one = np.ones((128, 32, 3, 3), dtype=np.int8), np.ones((8, 128, 1, 1), dtype=np.int8)
    names = ("left", "right", "alone")
    net = Network(
        "shared",
        (
            Population("in", (32, 4, 4)),
            *(Population(name, (128, 4, 4), SpeckIAF(9)) for name in names),
            *(Population(name, (8, 4, 4), SpeckIAF(9)) for name in ("sum", "plain")),
        ),
        (
            *(Projection("in", name, (Conv2d(big, padding=1),)) for name in names),
            *(Projection(name, "sum", (Conv2d(one),)) for name in ("left", "right")),
            Projection("alone", "plain", (Conv2d(one),)),
        ),
    )
    tried = []

    def placeable(found, sizes, cores):
        tried.append({name: (size.input_channels, size.output_shape[0]) for name, size in sizes.items()})
        return False

    found = refusals(layers(net), Cores.of(TARGET.chips()["speck2f"]), placeable)
    assert [each.where for each in found] == list(names)
    assert {sizes["sum"][0] for sizes in tried} == {128}
    assert {sizes["plain"][0] for sizes in tried if sizes["alone"][1] < 128} == {
        sizes["alone"][1] for sizes in tried if sizes["alone"][1] < 128
    }
