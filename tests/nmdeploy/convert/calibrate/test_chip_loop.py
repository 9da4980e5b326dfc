"""A layer by itself does what it does in the whole network on the chip, in every bit."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.calibrate.chip_loop import ChipLoop
from nmdeploy.convert.integers import to_integers
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.subnetwork import behind_known, upstream

STEPS = 12


@pytest.fixture
def whole(residual, loihi, on_chip):
    """A residual network on the chip with the spikes of all its populations."""
    network, samples = residual
    lowered = on_chip(network, loihi)
    spikes = DeterministicRate().encode(samples, STEPS)
    run = emulate(lowered, spikes, record=Recording(spikes=("*",)))
    return network, run


def loop_for(chip, steps):
    return ChipLoop(chip, lambda network: to_integers(network, chip.precision), emulate, steps)


def test_every_layer_alone_gives_the_spikes_of_the_whole(whole, loihi):
    network, run = whole
    loop = loop_for(loihi, run.steps)
    names = [each.name for each in network.populations if each.neuron is not None]
    assert sum(int(run.spikes[name].any()) for name in names) == len(names) - 1  # all but the integrator
    for name in names:
        known = {each: spikes for each, spikes in run.spikes.items() if each != name}
        layer = loop.layer(network, name, known)
        assert [each.name for each in layer.populations if each.neuron is not None] == [name]
        found = loop.run(layer, known, spikes=True)
        np.testing.assert_array_equal(found.spikes[name], run.spikes[name])
        few = loop.run(layer, known, 7)
        assert not few.spikes
        np.testing.assert_array_equal(few.counts[name], run.spikes[name][:, :7].sum(axis=0))


def test_what_is_not_known_runs_along(whole, loihi):
    network, run = whole
    source, last = network.inputs[0].name, network.outputs[0]
    layer = loop_for(loihi, run.steps).layer(network, last, {source: run.spikes[source]})
    assert {each.name for each in layer.populations} == {each.name for each in network.populations}
    found = emulate(layer, run.spikes[source], steps=run.steps)
    np.testing.assert_array_equal(found.spikes[last], run.spikes[last])


def test_upstream_has_all_a_population_depends_on_and_no_more(residual):
    network, _ = residual
    for population in network.populations[1:]:
        part = upstream(network, population.name)
        assert part.outputs == (population.name,)
        assert all(projection in part.projections for projection in network.into(population.name))
        assert {each.name for each in part.populations} <= {each.name for each in network.populations}
    assert len(upstream(network, network.populations[1].name).populations) == 2


def test_populations_that_become_inputs_keep_the_range_of_their_spikes(spiking):
    part = behind_known(spiking, "fc", ("conv",))
    assert [each.name for each in part.inputs] == ["conv"]
    assert part["conv"].spike_range == (0, 1)


def test_a_part_of_a_network_has_the_profile_for_parts(residual, plain, without_biases):
    """Where a profile is about the output of the whole, a layer inside must not be taken for one."""

    class Watching(type(plain.target)):
        def inner_profile(self, profile):
            return "no bias"

        def lower(self, network, chip, profile):
            lowered_as.append(profile)
            return super().lower(network, chip, profile)

    lowered_as = []
    loop = loop_for(replace(plain, target=Watching()), STEPS)
    loop.lowered(without_biases(residual[0]))
    assert lowered_as == ["no bias"]
