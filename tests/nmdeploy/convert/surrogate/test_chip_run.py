"""What training sees of the chip is what the deployment does there."""

import numpy as np
import pytest

import nmdeploy
from nmdeploy.coding import DeterministicRate, MembranePotential, SpikeCount
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.surrogate.chip_run import OnChip
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate

STEPS = 6


def on(chip):
    return OnChip(chip, lambda network: to_integers(network, chip.precision), DeterministicRate(), STEPS)


@pytest.mark.parametrize("name", ["loihi1", "loihi2/subtract", "spinnaker", "speck2f"])
@pytest.mark.parametrize("readout", ["potential", "count"])
def test_rates_and_scores_are_those_of_the_deployment(digits_like, images, without_biases, name, readout):
    chip = nmdeploy.chip(name)
    network = to_spiking(digits_like, images, readout=readout, reset=chip.precision.resets[0])
    network = network if chip.precision.bias is not None else without_biases(network)
    lowered = nmdeploy.deploy(to_integers(network, chip.precision), chip).network
    spikes = DeterministicRate().encode(images[:12], STEPS)
    expected = emulate(lowered, spikes, record=Recording(counts=("*",)))
    run = on(chip).run(network, images[:12])
    for population in network.populations:
        counts = expected.counts[population.name].reshape(12, *population.shape)
        np.testing.assert_array_equal(run.rates[population.name], (counts / STEPS).astype(np.float32))
    assert run.rates["conv"].any()
    reader, unit = (MembranePotential(), 1.0) if readout == "potential" else (SpikeCount(), network["fc"].rate_scale)
    decision = reader.decide(expected, lowered["fc"])
    np.testing.assert_allclose(run.scores, decision.scores * unit / STEPS, rtol=1e-6)
    scores, decided = on(chip).decided(network, images[:12])
    np.testing.assert_array_equal(scores, run.scores)
    np.testing.assert_array_equal(decided.labels, decision.labels)
    assert run.bias_steps == (STEPS + lowered.latency()) / STEPS
