import shutil

import numpy as np
import pytest

from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, SumPool2d


def pooled_convolution():
    """4x4 pixels, pooled to 2x2, then a 2x2 kernel without padding into 3 channels: 12 weights applied a step."""
    kernel = np.ones((3, 1, 2, 2), dtype=np.int8)
    return Network(
        "pooled",
        (Population("in", (1, 4, 4)), Population("out", (3, 1, 1), IF(threshold=1000))),
        (Projection("in", "out", (SumPool2d((2, 2)), Conv2d(kernel))),),
    )


def test_weights_are_counted_behind_the_pool():
    from benchmarks.bound import weights_applied

    network = pooled_convolution()
    assert weights_applied(network, network.projections[0]) == 12


@pytest.mark.parametrize(
    ("adds", "macs", "expected"),
    [
        (1000.0, 1e9, 1e3 * (10 * 12 / 1e9 + 3 * 3 * 10 / 1000)),  # multiplying everything is less
        (1000.0, 1.0, 1e3 * (2 * 3 / 1000 + 3 * 3 * 10 / 1000)),  # two spikes over three synapses are less
    ],
)
def test_the_bound_is_the_lesser_way_and_the_neurons(adds, macs, expected):
    from benchmarks.bound import Rates, bound_ms

    network = pooled_convolution()
    spikes = np.zeros((10, 1, 1, 4, 4), np.uint8)
    spikes[0, 0, 0, 0, :2] = 1
    assert bound_ms(network, emulate(network, spikes), Rates(adds, macs, "made up")) == pytest.approx(expected)


@pytest.mark.skipif(shutil.which("cc") is None and shutil.which("gcc") is None, reason="needs a C compiler")
def test_the_rates_of_this_core_are_measured(tmp_path):
    from benchmarks.bound import Meter
    from benchmarks.turns import take_turns

    try:
        meter = Meter(tmp_path)
    except (OSError, AttributeError):
        pytest.skip("this machine has no AVX2")
    rates = meter.rates(take_turns(meter.rivals(), 1))
    assert rates.int16_adds > 1e8  # a tenth of a number in each cycle of a slow core
    assert rates.int8_macs > 1e8
    assert "measured here" in str(rates)


def test_without_a_compiler_it_says_so(tmp_path, monkeypatch):
    from benchmarks import bound

    monkeypatch.setattr(bound.shutil, "which", lambda _: None)
    with pytest.raises(OSError, match="no C compiler"):
        bound.Meter(tmp_path)
