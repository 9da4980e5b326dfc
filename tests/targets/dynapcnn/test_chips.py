import pytest

from targets.dynapcnn import TARGET
from targets.dynapcnn.chips import chips
from targets.dynapcnn.profiles import PROFILES

NAMES = ("speck2f", "speck2e", "dynapcnndevkit")


def test_the_family_default_first():
    assert tuple(TARGET.chips()) == NAMES
    assert TARGET.chips() is chips()


@pytest.mark.parametrize("name", NAMES)
def test_memories_add_up_to_what_is_published(name):
    """272 KB of weights and 327 thousand neurons: Richter et al., arXiv:2304.06793."""
    chip = chips()[name]
    cores = range(chip.limit("cores"))
    assert sum(chip.limit(f"kernel_words_{core}") for core in cores) == 272 * 1024
    assert sum(chip.limit(f"neuron_words_{core}") for core in cores) == 327_680
    assert {chip.limit(f"bias_words_{core}") for core in cores} == {1024}
    assert f"kernel_words_{len(cores)}" not in chip.figures


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_says_where_it_is_from(name):
    for figure in chips()[name].figures.values():
        assert figure.source
        assert figure.unit


def test_limits_of_a_layer():
    limits = {name: chips()["speck2f"].limit(name) for name in ("kernel_size", "stride", "padding", "pooling")}
    assert limits == {"kernel_size": 16, "stride": 8, "padding": 7, "pooling": 4}
    sizes = [chips()["speck2f"].limit(name) for name in ("input_size", "output_size", "channels", "destinations")]
    assert sizes == [128, 64, 1024, 2]


def test_only_the_development_kit_writes_kill_bits_and_needs_an_old_samna():
    assert [name for name in NAMES if "kill_bits" in chips()[name].figures] == ["dynapcnndevkit"]
    assert chips()["dynapcnndevkit"].figures["samna_before"].value == 0.46


def test_profiles_are_those_that_the_chip_has_the_hardware_for():
    assert TARGET.profiles(chips()["speck2f"]) == TARGET.profiles(chips()["speck2e"]) == tuple(PROFILES)
    assert TARGET.profiles(chips()["dynapcnndevkit"]) == ("chip", "step")
    assert TARGET.profiles(chips()["speck2f"])[0] == "chip"


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_say_what_they_mean(name):
    assert PROFILES[name].name == f"dynapcnn/{name}"
    aspects = [aspect for aspect, _ in PROFILES[name].semantics]
    assert len(aspects) == len(set(aspects))
    assert {"time", "potential", "floor", "fire", "reset", "bias"} <= set(aspects)
