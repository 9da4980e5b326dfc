"""The mapping benchmark builds the networks it names and prints published figures beside ours."""

import numpy as np
import pytest

from targets.loihi.neuron import LoihiLIFSubtract


@pytest.mark.parametrize(
    ("name", "neurons", "weights"),
    [
        ("mlp", 266, 784 * 256 + 2560),
        ("mnist-pools", 14590, 500 + 16000 + 36864 + 64000 + 5000),
        ("nxtf-mnist", 784 + 3626, 6746 - 38 + 1),  # without 38 biases, with the weight of the input neurons
        ("nxtf-mnist-tutorial", 784 + 6538, 33802 - 122 + 1),
        ("nxtf-cifar-mobilenet", 79882, None),
    ],
)
def test_the_shapes_have_the_published_totals(name, neurons, weights):
    from benchmarks.loihi_mapping import SHAPES

    net = SHAPES[name].network(name)
    assert sum(population.size for population in net.populations if not population.is_input) == neurons
    if weights is not None:
        chains = [projection.synapses for projection in net.projections]
        assert sum(s.weight.size for chain in chains for s in chain if s.weight is not None) == weights
    assert all(np.all(s.weight != 0) for p in net.projections for s in p.synapses if s.weight is not None)


def test_the_published_net_is_a_reconstruction_with_341k_synapses():
    from benchmarks.loihi_mapping import SHAPES

    net = SHAPES["nxtf-mnist"].network("net")
    synapses = sum(int(p.fan_out(net[p.source].shape).sum()) for p in net.projections[1:])
    assert abs(synapses - 341_000) < 0.01 * 341_000


def test_the_command_prints_ours_beside_theirs(capsys):
    from benchmarks.loihi_mapping import main

    main(["--only", "nxtf-mnist", "mlp", "--check"])
    printed = capsys.readouterr().out
    assert "published  14 cores (Rueckauer et al. 2022)" in printed
    assert "modelled   2 cores on 1 chips" in printed
    assert printed.count("re-walked  0 violations") == 2
    assert "not published" in printed


def test_the_tutorials_network_resets_by_subtraction():
    from benchmarks.loihi_mapping import SHAPES

    assert isinstance(SHAPES["nxtf-cifar-mobilenet"].neuron, LoihiLIFSubtract)
