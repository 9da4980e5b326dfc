"""Peers compute our integers, so that a comparison of speed compares the same work."""

import numpy as np
import pytest

from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Upsample2d


def networks():
    from benchmarks.networks import dense_network, small_convolutions, vgg

    return [dense_network(sizes=(30, 20, 10)), small_convolutions(width=2), vgg(widths=((4, 4), (6,)), side=8)]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("batch", [2, 3])
def test_peers_give_our_spikes(index, batch):
    pytest.importorskip("torch")
    from benchmarks.activity import bernoulli, made_images, with_activity
    from benchmarks.peers import in_batches, peers

    network = networks()[index]
    spikes = bernoulli(made_images(network.populations[0].shape, 3), 12)
    network = with_activity(network, spikes, 0.45)  # with biases too
    expected = emulate(network, spikes).spikes[network.outputs[0]]
    assert expected.any()
    ready, missing = peers(network)
    assert "torch" in ready
    assert len(ready) + len(missing) == 3
    for name, run in ready.items():
        np.testing.assert_array_equal(in_batches(run, spikes, batch), expected, err_msg=name)


def test_a_peer_that_lacks_something_of_its_own_is_named(monkeypatch):
    from benchmarks import peers
    from benchmarks.networks import dense_network

    def without_loguru(network):
        raise ImportError("No module named 'loguru'")

    monkeypatch.setattr(peers, "import_module", lambda name: None)
    for maker in ("torch_loop", "sinabs_layers", "spikingjelly_layers"):
        monkeypatch.setattr(peers, maker, without_loguru)
    ready, missing = peers.peers(dense_network(sizes=(3, 2)))
    assert not ready
    assert [sentence.split()[0] for sentence in missing] == ["torch", "sinabs", "spikingjelly"]
    assert all("loguru" in sentence for sentence in missing)


def test_a_network_that_peers_cannot_run_is_refused():
    pytest.importorskip("torch")
    from benchmarks.networks import dense_network
    from benchmarks.peers import torch_loop

    hard = dense_network(sizes=(3, 2)).populations[1].neuron
    populations = (Population("in", (2,)), Population("out", (2,), IF(hard.threshold, reset="zero")))
    with pytest.raises(ValueError, match="soft reset"):
        torch_loop(Network("hard", populations, (Projection("in", "out"),)))
    images = (Population("in", (1, 2, 2)), Population("out", (1, 4, 4), IF(1)))
    with pytest.raises(ValueError, match="Upsample2d"):
        torch_loop(Network("up", images, (Projection("in", "out", (Upsample2d((2, 2)),)),)))


def test_rivals_take_turns():
    from benchmarks.turns import take_turns

    order = []
    times = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 3
    assert len(times["b"].cpu) == len(times["b"].wall) == 3
    assert times["a"].wall_median in times["a"].wall
