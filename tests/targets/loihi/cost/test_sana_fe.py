"""The same placement in another simulator of Loihi."""

import numpy as np

from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF

EVERY_SPIKE = Recording(spikes=("*",), counts=("*",))


def test_packets_and_hops_are_those_that_sana_fe_counts(deployed, items):
    """Recorded from SANA-FE 2.2.9 (`sanafe.load_loihi()`, neurons with a bias on the same cores, 10 steps)."""
    generator, neurons, targets, steps = np.random.default_rng(5), 40, 60, 10
    homes = {"a": generator.integers(0, 128, neurons), "b": generator.integers(0, 128, targets)}
    weights = (generator.random((targets, neurons)) < 0.2).astype(np.int8) * 2
    network = Network(
        "sana-fe",
        (
            Population("in", (1,)),
            Population("a", (neurons,), LoihiLIF(vth=1, bias_mant=2, bias_exp=6)),
            Population("b", (targets,), LoihiLIF(vth=131071)),
        ),
        (
            Projection("in", "a", (Dense(np.zeros((neurons, 1), np.int8)),), 1),
            Projection("a", "b", (Dense(weights),), 1),
        ),
    )
    result = emulate(network, np.zeros((steps - 2, 1, 1), np.uint8), record=EVERY_SPIKE)
    placed = {name: [(0, int(core)) for core in cores] for name, cores in homes.items()}
    found = items(TARGET.cost(deployed(network, placed), result))
    assert result.counts["a"].sum() == 400  # SANA-FE: neurons_fired
    assert found["spikes from core to core"].count.most == 4590  # packets_sent
    hops = [found[f"tile hops {way}"].count.most for way in ("east-west", "north-south")]
    assert sum(hops) == 18350  # hops
    # SANA-FE delivers in the step of the spike, Loihi one step later: 9 steps of 10.
    assert found["synaptic operations a->b"].count.least == 4920 * 9 / 10  # spikes
    active = found["active among them"].count
    assert active.least <= 940 <= active.most  # neurons_updated
