"""Stored vectors are what the emulator does; a difference is found and located."""

import dataclasses

import numpy as np
import pytest

from nmdeploy.bundle import load, make_vectors, replay, save
from nmdeploy.bundle.replay import Difference
from nmdeploy.deployment import TestVectors
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import DataError
from quantize import IntegerFormat, Overflow


def test_a_loaded_deployment_replays_without_a_mismatch(deployment, tmp_path):
    save(deployment, tmp_path / "a.nmd")
    report = replay(load(tmp_path / "a.nmd"))
    assert report.passed
    assert report.first is None
    spikes = deployment.vectors.spikes["out"]
    assert spikes.any(), "the vectors test something"
    assert (report.steps, report.samples) == spikes.shape[:2]
    assert report.compared == spikes.size + deployment.vectors.potentials["out"].size
    assert str(report).endswith(f"{report.compared} integers compared, 0 mismatches")


def test_the_vectors_are_what_the_reference_emulator_gives(deployment):
    result = emulate(deployment.network, deployment.vectors.inputs, engine="reference")
    np.testing.assert_array_equal(deployment.vectors.spikes["out"], result.spikes["out"])
    np.testing.assert_array_equal(deployment.vectors.potentials["out"], result.final_potentials["out"])
    assert deployment.vectors.potentials["out"].dtype == np.int64


def changed(deployment, field, places):
    array = np.array(getattr(deployment.vectors, field)["out"])
    for place, by in places:
        array[place] += by
    return deployment.with_(vectors=dataclasses.replace(deployment.vectors, **{field: {"out": array}}))


def test_the_first_difference_is_located(deployment):
    got = int(deployment.vectors.spikes["out"][4, 2, 1])
    report = replay(changed(deployment, "spikes", [((6, 0, 0), 1), ((4, 2, 1), 1), ((4, 3, 0), 1)]))
    assert not report.passed
    assert report.mismatches == 3
    assert report.first == Difference("spikes", "out", 4, 2, (1,), got + 1, got)
    text = f"out: spikes of neuron (1,) differs first at step 4, sample 2: expected {got + 1}, got {got}"
    assert str(report).splitlines()[1] == text


def test_a_differing_potential_is_located_at_the_last_step(deployment):
    got = int(deployment.vectors.potentials["out"][3, 2])
    report = replay(changed(deployment, "potentials", [((3, 2), -5)]))
    last = len(deployment.vectors.spikes["out"]) - 1
    assert report.mismatches == 1
    assert report.first == Difference("potential", "out", last, 3, (2,), got - 5, got)


def test_spikes_come_before_potentials(deployment):
    both = changed(changed(deployment, "potentials", [((0, 0), 1)]), "spikes", [((7, 1, 1), 1)])
    assert replay(both).first.variable == "spikes"


def test_a_changed_weight_shows(deployment):
    conv = deployment.network.projections[0]
    kernel = np.array(conv.synapses[0].weight)
    kernel[0] += 3
    projections = (
        dataclasses.replace(conv, synapses=(conv.synapses[0].with_weight(kernel),)),
        *deployment.network.projections[1:],
    )
    network = dataclasses.replace(deployment.network, projections=projections)
    assert not replay(deployment.with_(network=network)).passed


def test_no_vectors(deployment):
    for none in (None, TestVectors({}, {}, {})):
        with pytest.raises(DataError, match="small: the deployment carries no test vectors"):
            replay(deployment.with_(vectors=none))


@pytest.mark.parametrize("name", ["out", "conv"])
def test_vectors_that_do_not_fit_the_network(deployment, name):
    spikes = {name: np.zeros((10, 5, 4), dtype=np.uint8)}
    with pytest.raises(DataError, match=f"{name}: test vectors do not fit the network"):
        replay(deployment.with_(vectors=dataclasses.replace(deployment.vectors, spikes=spikes)))


@pytest.mark.parametrize("value", [0.5, 2, -1])
def test_inputs_that_are_no_spikes_are_refused(deployment, value):
    with pytest.raises(DataError):
        make_vectors(deployment, {"in": np.full((4, 1, 1, 6, 6), value)})


def test_whole_numbers_of_any_type_are_taken_with_or_without_the_name(deployment):
    wide = deployment.vectors.inputs["in"].astype(np.int64)
    assert make_vectors(deployment, wide) == make_vectors(deployment, {"in": wide}) == deployment


def test_a_saved_deployment_without_vectors_gets_some(deployment, tmp_path):
    bare = deployment.with_(vectors=None)
    save(bare, tmp_path / "a.nmd")
    loaded = load(tmp_path / "a.nmd")
    assert loaded.with_(vectors=None) == bare
    assert any(spikes.any() for spikes in loaded.vectors.inputs.values())
    assert replay(loaded).passed
    save(bare, tmp_path / "b.nmd")
    assert (tmp_path / "a.nmd").read_bytes() == (tmp_path / "b.nmd").read_bytes()
    save(bare, tmp_path / "c.nmd", vectors=False)
    assert load(tmp_path / "c.nmd") == bare


def test_what_cannot_be_emulated_is_saved_without_vectors(deployment, tmp_path):
    network = deployment.network
    narrow = IntegerFormat(2, True, Overflow.RAISE)
    projections = tuple(dataclasses.replace(each, accumulator=narrow) for each in network.projections)
    raising = deployment.with_(vectors=None, network=dataclasses.replace(network, projections=projections))
    save(raising, tmp_path / "a.nmd")
    assert load(tmp_path / "a.nmd") == raising
