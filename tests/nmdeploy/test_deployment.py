"""`deploy` lowers, checks the rules, maps, and lets the target's checker confirm."""

import dataclasses

import numpy as np
import pytest

from nmdeploy.coding import DeterministicRate
from nmdeploy.deployment import CoreLoad, Placement, TestVectors, deploy, remap
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense
from nmdeploy.target import Chip, Choice, Lowered, Profile, Severity, Target, Violation


def remark(code, severity=Severity.WARNING):
    return Violation(code, "conv", f"{code} is told", severity=severity)


class Toy(Target):
    """A target that records the order of its calls and finds what it is told to find."""

    name = "toy"

    def __init__(self, placement, found=(), broken=()):
        self.placement, self.found, self.broken, self.calls = placement, found, broken, []

    def chips(self):
        return {"toy1": Chip("toy1", "Toy 1", {})}

    def neuron_models(self):
        return ()

    def precision(self, chip, profile):
        raise AssertionError("deploy quantizes nothing")

    def lower(self, network, chip, profile):
        self.calls.append(("lower", chip.name))
        lowered = dataclasses.replace(network, notes=("lowered",))
        return Lowered(lowered, Profile("toy/plain", (("fire", ">"),)), (remark("TOY100"),))

    def rules(self, chip):
        return [lambda network, chip, each=each: self.rule(network, each) for each in self.found]

    def rule(self, network, found):
        assert network.notes == ("lowered",)
        self.calls.append(("rule", found.code))
        return [found]

    def map(self, network, chip, chips=1):
        assert network.notes == ("lowered",)
        self.calls.append(("map", chip.name))
        return self.placement

    def check(self, network, placement, chip):
        assert placement is self.placement
        self.calls.append(("check", chip.name))
        return list(self.broken)

    @property
    def choice(self):
        return Choice(self, self.chips()["toy1"], "chip")


@pytest.fixture
def network(deployment):
    return deployment.network


@pytest.fixture
def placement(deployment):
    return deployment.placement


def test_the_passes_run_in_order_and_every_remark_is_kept(network, placement):
    toy = Toy(placement, [remark("TOY001"), remark("TOY002")])
    made = deploy(network, toy.choice, remarks=(remark("TOY200"),), encoder=DeterministicRate(), steps=12)
    assert toy.calls == [("lower", "toy1"), ("rule", "TOY001"), ("rule", "TOY002"), ("map", "toy1"), ("check", "toy1")]
    assert [each.code for each in made.remarks] == ["TOY200", "TOY100", "TOY001", "TOY002"]
    assert made.network.notes == ("lowered",)
    assert (made.target, made.chip, made.profile.name, made.steps) == ("toy", "toy1", "toy/plain", 12)
    assert made.placement is placement
    assert made.encoder == DeterministicRate()


def test_an_error_of_a_rule_stops_before_mapping_and_all_are_told(network, placement):
    found = [remark("TOY001"), remark("TOY002", Severity.ERROR), remark("TOY003", Severity.ERROR)]
    toy = Toy(placement, found)
    with pytest.raises(FitError, match="Toy 1: does not fit: 3 violations") as refused:
        deploy(network, toy.choice)
    assert refused.value.violations == tuple(found)
    assert toy.calls[-1] == ("rule", "TOY003")


def test_a_placement_that_the_checker_breaks_is_refused(network, placement):
    toy = Toy(placement, broken=[remark("TOY900", Severity.ERROR)])
    with pytest.raises(FitError, match="TOY900"):
        deploy(network, toy.choice)


def test_a_chip_can_be_given_by_name(network):
    with pytest.raises(UsageError, match="unknown target"):
        deploy(network, "no such chip")


def test_a_deployment_is_mapped_again_to_other_numbers_of_chips():
    dense = Projection("in", "out", (Dense(np.full((3, 4), 2)),))
    populations = (Population("in", (4,)), Population("out", (3,), IF(9, reset="zero")))
    deployment = deploy(Network("tiny", populations, (dense,)), "loihi1")
    assert remap(deployment, 3) == remap(deployment, None) == deployment
    with pytest.raises(UsageError, match="at least one chip"):
        remap(deployment, 0)


def test_cores_and_chips_are_counted_once(placement):
    assert placement.core_count == 3
    assert placement.chip_count == 2
    assert [len(load.neurons) for load in placement.of("conv")] == [20, 12]
    assert placement.of("in") == ()
    assert Placement("toy1", (), {}).core_count == Placement("toy1", (), {}).chip_count == 0


def test_deployments_are_compared_by_content(deployment):
    assert deployment.with_(steps=deployment.steps) == deployment
    assert deployment.with_(steps=deployment.steps + 1) != deployment
    spikes = np.array(deployment.vectors.spikes["out"])
    vectors = dataclasses.replace(deployment.vectors, spikes={"out": spikes})
    assert deployment.with_(vectors=vectors) == deployment
    spikes[0, 0, 0] ^= 1
    vectors = dataclasses.replace(deployment.vectors, spikes={"out": spikes})
    assert deployment.with_(vectors=vectors) != deployment


def test_arrays_of_vectors_and_cores_are_read_only():
    load = CoreLoad(0, 0, "conv", np.arange(3), {"neurons": np.int64(3)})
    vectors = TestVectors({"in": np.zeros(3, dtype=np.uint8)}, {}, {})
    for array in (load.neurons, vectors.inputs["in"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert type(load.used["neurons"]) is int


def test_repr_shows_shapes_instead_of_numbers(deployment):
    text = repr(deployment)
    assert "inputs={'in': uint8[8,5,1,6,6]}" in text
    assert "neurons=int64[20]" in text
    assert "\n" not in text


class Mapping(Toy):
    """The toy with a mapper of another name, whose placement alone gets a remark of the checker."""

    def __init__(self, placement, other):
        super().__init__(placement)
        self.other = other

    def mappers(self):
        return {"other": lambda network, chip, chips: self.other}

    def check(self, network, placement, chip):
        return [remark("TOY048")] if placement is self.other else []


@pytest.fixture
def mapping(placement, monkeypatch):
    toy = Mapping(placement, dataclasses.replace(placement, least_cores=1))
    monkeypatch.setattr("nmdeploy.deployment.find_chip", lambda name: toy.choice)
    return toy


def codes(deployment):
    return [each.code for each in deployment.remarks]


def test_another_mapper_is_named_in_the_provenance_and_its_remarks_are_kept(network, mapping):
    made = deploy(network, mapping.choice, mapper="other", provenance={"seed": "0"})
    assert made.placement is mapping.other
    assert (codes(made), made.provenance) == (["TOY100", "TOY048"], {"seed": "0", "mapper": "other"})


def test_mapping_again_replaces_the_mapper_and_its_remarks(network, mapping):
    first = deploy(network, mapping.choice)
    other = remap(first, 1, "other")
    assert (codes(first), first.provenance) == (["TOY100"], {})
    assert (codes(other), other.provenance) == (["TOY100", "TOY048"], {"mapper": "other"})
    assert remap(other, 1, "other") == other
    assert remap(other, 1) == first


def test_a_mapper_that_there_is_not(network, placement, mapping):
    with pytest.raises(UsageError, match=r"no such mapper \(found 'best', limit other"):
        deploy(network, mapping.choice, mapper="best")
    with pytest.raises(UsageError, match="limit none but its own"):
        deploy(network, Toy(placement).choice, mapper="sinabs")


def test_limits_of_cores_that_differ():
    small = CoreLoad(0, 1, "conv", np.arange(3), {"neurons": 3}, {"neurons": 4})
    placement = Placement("toy1", (CoreLoad(0, 0, "conv", np.arange(3), {"neurons": 3}), small), {"neurons": 8})
    assert [placement.limits_of(load) for load in placement.cores] == [{"neurons": 8}, {"neurons": 4}]
