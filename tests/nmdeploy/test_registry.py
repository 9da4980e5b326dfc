"""Targets come from entry points; one that is broken is told and harms no other."""

from importlib.metadata import EntryPoint

import pytest

from nmdeploy import registry
from nmdeploy.errors import UsageError
from nmdeploy.neurons import IF, Integrator
from nmdeploy.target import Chip, Target


class ToyIF(IF):
    kind = "toy.IF"


class Toy(Target):
    """A target with chips and nothing behind them."""

    def __init__(self, name, chips):
        self.name = name
        self._chips = {chip: Chip(chip, chip.upper(), {}) for chip in chips}

    def chips(self):
        return self._chips

    def neuron_models(self):
        return (ToyIF,)

    def profiles(self, chip):
        return ("hard", "soft") if chip.name == "toy2" else super().profiles(chip)

    def precision(self, chip, profile):
        raise AssertionError("not asked for here")

    lower = rules = map = check = precision


TOY, OTHER = Toy("toy", ["toy1", "toy2"]), Toy("other", ["other1", "toy2"])
EMPTY, LIAR, NOT_A_TARGET = Toy("empty", []), Toy("honest", ["x"]), object()


def point(name, value):
    return EntryPoint(name, f"{__name__}:{value}", registry.GROUP)


@pytest.fixture
def install(monkeypatch):
    """Pretend that these, and only these, plug-ins are installed."""

    def installed(*named):
        points = dict(named)

        def load(self):
            if isinstance(points[self], Exception):
                raise points[self]
            return points[self]

        def entry_points(group):
            assert group == "nmdeploy.targets"
            return tuple(points)

        monkeypatch.setattr(EntryPoint, "load", load)
        monkeypatch.setattr(registry, "entry_points", entry_points)
        registry._load.cache_clear()

    yield installed
    monkeypatch.undo()
    registry._load.cache_clear()


@pytest.fixture
def toys(install):
    install((point("toy", "TOY"), TOY), (point("other", "OTHER"), OTHER))


@pytest.mark.parametrize(
    ("name", "target", "chip"),
    [
        ("toy", TOY, "toy1"),
        ("toy:", TOY, "toy1"),
        ("toy1", TOY, "toy1"),
        ("toy:toy2", TOY, "toy2"),
        ("other:toy2", OTHER, "toy2"),
        ("other1", OTHER, "other1"),
    ],
)
def test_a_family_a_chip_or_both_name_a_chip(toys, name, target, chip):
    choice = registry.chip(name)
    assert choice.target is target
    assert choice.chip.name == chip


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("toy1", "toy1/chip"),
        ("toy1/", "toy1/chip"),
        ("toy/chip", "toy1/chip"),
        ("toy:toy2", "toy2/hard"),
        ("toy:toy2/soft", "toy2/soft"),
        ("other:toy2/hard", "toy2/hard"),
    ],
)
def test_a_profile_may_follow_a_slash(toys, name, chosen):
    assert registry.chip(name).name == chosen


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy1/soft", r"toy1: the chip has no such profile \(found 'soft', limit chip\)"),
        ("toy:toy2/chip", r"toy2: the chip has no such profile \(found 'chip', limit hard, soft\)"),
        ("toy1/chip/chip", r"found 'chip/chip'"),
        ("toy2/soft", "several targets have a chip of this name"),
        ("/chip", "unknown target"),
    ],
)
def test_profiles_that_there_are_not(toys, name, message):
    with pytest.raises(UsageError, match=message):
        registry.chip(name)


def test_targets_are_listed_by_name(toys):
    assert list(registry.targets()) == ["other", "toy"]
    registry.targets().clear()
    assert list(registry.targets()) == ["other", "toy"]


@pytest.mark.parametrize("name", ["loihi9", "toy:other1", "", ":", "toy1:toy1", "TOY"])
def test_an_unknown_name_is_answered_with_what_there_is(toys, name):
    with pytest.raises(UsageError) as refused:
        registry.chip(name)
    assert str(refused.value) == (
        f"unknown target (found {name!r}, limit other:other1, other:toy2, toy:toy1, toy:toy2); see: nmdeploy targets"
    )


def test_a_chip_of_two_families_must_be_named_in_full(toys):
    with pytest.raises(UsageError, match=r"several targets have a chip of this name .*other:toy2, toy:toy2"):
        registry.chip("toy2")


def test_no_targets_at_all(install):
    install()
    with pytest.raises(UsageError, match="limit none"):
        registry.chip("toy")


def test_a_family_without_chips(install):
    install((point("empty", "EMPTY"), EMPTY))
    with pytest.raises(UsageError, match="unknown target"):
        registry.chip("empty")


def test_broken_plug_ins_are_reported_and_the_others_work(install):
    install(
        (point("alien", "missing"), ModuleNotFoundError("No module named 'alien'")),
        (point("strange", "NOT_A_TARGET"), NOT_A_TARGET),
        (point("liar", "LIAR"), LIAR),
        (point("toy", "TOY"), TOY),
    )
    assert list(registry.targets()) == ["toy"]
    assert registry.broken_targets() == {
        "alien": "ModuleNotFoundError: No module named 'alien'",
        "liar": f"{__name__}:LIAR calls itself 'honest'",
        "strange": f"{__name__}:NOT_A_TARGET is no Target",
    }
    with pytest.raises(UsageError, match="unknown target; ModuleNotFoundError: No module named 'alien'"):
        registry.chip("alien")


def test_two_plug_ins_of_one_name_do_not_hide_each_other(install):
    second = Toy("toy", ["toy9"])
    install((point("toy", "Z_SECOND"), second), (point("toy", "TOY"), TOY))
    assert registry.targets() == {"toy": TOY}
    assert registry.broken_targets() == {f"toy ({__name__}:Z_SECOND)": "another plug-in has this name"}


def test_an_interrupt_while_loading_passes_on(install):
    install((point("toy", "TOY"), TOY))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EntryPoint, "load", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.targets()


def test_neuron_models_by_kind(toys):
    assert registry.neuron_model("IF") is IF
    assert registry.neuron_model("Integrator") is Integrator
    assert registry.neuron_model("toy.IF") is ToyIF


@pytest.mark.parametrize("kind", ["toy.LIF", "alien.IF", "", "toy", "if"])
def test_an_unknown_neuron_model(toys, kind):
    with pytest.raises(UsageError, match=f"no installed target defines the neuron model '{kind}'"):
        registry.neuron_model(kind)


def test_the_targets_of_this_distribution_can_be_loaded():
    registry._load.cache_clear()
    assert registry.broken_targets() == {}
    assert registry.chip("loihi").chip.name == "loihi1"
