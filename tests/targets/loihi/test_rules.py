from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from nmdeploy.deployment import deploy
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import Conv2d, Dense, OneToOne, SumPool2d
from nmdeploy.target import Severity
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract
from targets.loihi.rules import unrolled

SMALL = np.array([[2, -4], [6, 8]], dtype=np.int16)


def net(neuron=None, weight=SMALL, *, maximum=1, minimum=0, **projection):
    """One Dense projection into Loihi neurons."""
    weight = np.asarray(weight)
    source = Population("in", (weight.shape[1],), minimum=minimum, maximum=maximum)
    target = Population("out", (weight.shape[0],), neuron or LoihiLIF(10))
    projection = {"delay": 1, **projection}
    return Network("net", (source, target), (Projection("in", "out", (Dense(weight),), **projection),))


def broken(network, chip):
    return [violation for rule in TARGET.rules(chip) for violation in rule(network, chip)]


def codes(network, chip):
    return [violation.code for violation in broken(network, chip)]


def test_a_sound_network_breaks_nothing(loihi1, loihi2):
    assert codes(net(), loihi1) == []
    assert codes(net(), loihi2) == []


class Foreign(OneToOne):
    kind: ClassVar[str] = "Foreign"


def test_unknown_kinds_of_synapse_and_neuron(loihi1):
    populations = (Population("in", (2,)), Population("out", (2,), Integrator()))
    network = Network("net", populations, (Projection("in", "out", (Foreign(np.array([2])),), delay=1),))
    assert codes(network, loihi1) == ["LOI001", "LOI002"]


def image(channels, size, kernel_channels=1, kernel=1, synapses=None):
    weight = np.full((channels, kernel_channels, kernel, kernel), 2, np.int16)
    populations = (
        Population("in", (kernel_channels, size + kernel - 1, size + kernel - 1)),
        Population("out", (channels, size, size), LoihiLIF(10)),
    )
    return Network("image", populations, (Projection("in", "out", synapses or (Conv2d(weight),), delay=1),))


def test_weights_of_convolutions_and_dense_layers_are_read_without_unrolling(loihi1):
    ((_, weights),) = unrolled(image(33, 16, 32, 8), loihi1)
    assert weights.size == 33 * 32 * 64
    # Only the middle of a 3x3 kernel ever meets a 1x1 image.
    single = Projection("in", "out", (Conv2d(np.arange(9).reshape(1, 1, 3, 3), padding=1),), delay=1)
    populations = (Population("in", (1, 1, 1)), Population("out", (1, 1, 1), LoihiLIF(9)))
    ((_, weights),) = unrolled(Network("single", populations, (single,)), loihi1)
    np.testing.assert_array_equal(weights, [4])


@pytest.mark.parametrize(
    ("weight", "lost"),
    [
        ([[254, -256]], None),
        ([[255, 1]], None),
        ([[-255, -1]], None),
        ([[-256, -2]], None),  # also storable as mixed
        ([[3, -4]], 3),
        ([[256, -2]], 256),
        ([[256, 2]], 256),
        ([[-258, 2]], -258),
        ([[-256, -1]], -256),
    ],
)
def test_stored_weights(loihi1, weight, lost):
    found = [each.found for each in broken(net(weight=weight), loihi1) if each.code == "LOI005"]
    assert found == ([] if lost is None else [lost])


def test_overlapping_pools_add_weights_up(loihi1):
    pools = (SumPool2d((2, 2), (1, 1)), Conv2d(np.full((1, 1, 2, 2), 100, np.int16)))
    network = image(1, 4, 1, 3, pools)
    (violation,) = broken(network, loihi1)
    assert (violation.code, violation.found) == ("LOI005", 400)


def test_exponents_must_not_cut_bits_off(loihi1):
    assert codes(net(exponent=-1), loihi1) == []
    (violation,) = broken(net(exponent=-2), loihi1)
    assert (violation.code, violation.found, violation.limit) == ("LOI006", 2, "multiples of 4")


def test_the_sum_of_a_step(loihi1):
    edge = np.full((1, 256), 128, np.int16)  # 256 * 128 = 32768
    below = edge - (np.arange(256) == 0)
    assert codes(net(LoihiLIF(1), below), loihi1) == []
    (violation,) = broken(net(LoihiLIF(1), edge), loihi1)
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI007", "out", 32768, 32767)
    assert codes(net(LoihiLIF(1), -edge), loihi1) == ["LOI007"]
    assert codes(net(LoihiLIF(1), edge, exponent=-1), loihi1) == []


@pytest.mark.parametrize(
    ("second", "delay", "found"),
    [
        (None, 1, ["LOI007"]),
        (Schedule(((3, 2),)), 1, ["LOI007"]),
        (Schedule(((5, 2),)), 1, []),
        (Schedule(((5, 2),)), 4, []),
        (Schedule(((1, 2),)), 3, ["LOI007"]),
    ],
)
def test_what_schedules_keep_apart_does_not_add_up(loihi1, second, delay, found):
    """Spikes of the first arrive in steps 4 and 5."""
    populations = (
        Population("first", (100,), schedule=Schedule(((3, 2),))),
        Population("second", (100,), schedule=second),
        Population("out", (1,), LoihiLIF(10)),
    )
    weight = (Dense(np.full((1, 100), 200)),)
    projections = (
        Projection("first", "out", weight, delay=1),
        Projection("second", "out", weight, delay=delay),
    )
    assert codes(Network("two", populations, projections), loihi1) == found


@pytest.mark.parametrize(
    ("neuron", "code", "found"),
    [
        (LoihiLIF(131071), None, None),
        (LoihiLIF(0), None, None),
        (LoihiLIF(131072), "LOI008", 131072),
        (LoihiLIF(-1), "LOI008", -1),
        (LoihiLIF(np.array([5, 6])), None, None),
        (LoihiLIF(5, bias_mant=np.array([-4096, 4095])), None, None),
        (LoihiLIF(5, bias_mant=4096), None, None),  # 2048 times 2
        (LoihiLIF(5, bias_mant=4097), "LOI010", 4097),
        (LoihiLIF(5, bias_mant=4095, bias_exp=7), None, None),
        (LoihiLIF(5, bias_mant=4096, bias_exp=7), "LOI010", 2**19),
        (LoihiLIF(5, bias_mant=np.array([-4097, 0])), "LOI010", -4097),
        (LoihiLIF(5, bias_mant=-2049, bias_exp=8), "LOI010", -2049 * 256),
        (LoihiLIF(5, bias_mant=-9000, bias_exp=-2), None, None),  # -2250
        (LoihiLIF(5, bias_exp=8), None, None),
        (LoihiLIF(5, du=-1), "LOI011", -1),
        (LoihiLIF(5, dv=4096), "LOI011", 4096),
        (LoihiLIF(5, v_init=2**23), "LOI013", 2**23),
        (LoihiLIF(5, v_init=1 - 2**23), None, None),
        (LoihiLIF(5, u_init=-(2**22), bias_mant=-4096, bias_exp=7), None, None),
    ],
)
def test_neuron_parameters(loihi1, neuron, code, found):
    assert [(each.code, each.found) for each in broken(net(neuron), loihi1)] == ([(code, found)] if code else [])


def test_current_and_bias_together(loihi1):
    # 4 * 64 a step, a quarter of which is forgotten in every step: 4 * 256 at rest.
    weight = np.array([[4]])
    steady = LoihiLIF(1, du=1023, u_init=0)
    assert codes(net(steady, weight), loihi1) == []
    at_edge = replace(steady, bias_mant=2**23 - 1 - 4 * 256)
    assert codes(net(at_edge, weight), loihi1) == ["LOI010"]
    beyond = replace(steady, bias_mant=2**23 - 4 * 256)
    assert codes(net(beyond, weight), loihi1) == ["LOI010", "LOI012"]
    assert codes(net(LoihiLIF(1, u_init=2**23 - 1, bias_mant=1), weight), loihi1) == ["LOI012"]


def test_delays(loihi1):
    assert codes(net(delay=63), loihi1) == []
    assert codes(net(delay=64), loihi1) == ["LOI014"]
    assert codes(net(delay=0), loihi1) == ["LOI014"]


def test_graded_spikes_are_loihi_2s(loihi1, loihi2):
    (violation,) = broken(net(maximum=2), loihi1)
    assert (violation.code, violation.found) == ("LOI015", "0..2")
    assert "DeterministicRate" in violation.hint
    assert codes(net(maximum=2, minimum=-3), loihi2) == []
    assert codes(net(minimum=-1), loihi1) == ["LOI015"]
    (violation,) = [each for each in broken(net(minimum=-(2**31)), loihi2) if each.code == "LOI015"]
    assert (violation.code, violation.limit, violation.hint) == ("LOI015", f"{1 - 2**31}..{2**31 - 1}", None)


def test_thresholds_that_differ_cost_cores(loihi1, loihi2):
    weight = np.full((12, 1), 2)
    eight = LoihiLIF(np.arange(12) % 8)
    assert codes(net(eight, weight), loihi1) == []
    (warning,) = broken(net(LoihiLIF(np.arange(12)), weight), loihi1)
    assert (warning.code, warning.severity, warning.found, warning.limit) == ("LOI009", Severity.WARNING, 12, 8)
    assert warning.hint.endswith("at least 2 cores")
    (warning,) = broken(net(eight, weight), loihi2)
    assert (warning.code, warning.severity, warning.limit) == ("LOI009", Severity.WARNING, None)
    assert "not published" in warning.message


def subtracting(subtrahend, **parameters):
    return LoihiLIFSubtract(parameters.pop("vth", 9), subtrahend=subtrahend, **parameters)


@pytest.mark.parametrize(
    ("subtrahend", "lost", "nearest"),
    [
        (1, None, 0),
        (255, None, 0),
        (257, 257, 256),
        (511, 511, 512),
        (32640, None, 0),
        (np.array([3, 1001]), 1001, 1000),
    ],
)
def test_a_recurrent_synapse_subtracts_a_mantissa_times_a_power_of_two(loihi1, loihi2, subtrahend, lost, nearest):
    network = net(subtracting(subtrahend), [[2], [2]])
    found = broken(network, loihi1)
    assert [(each.code, each.found) for each in found] == ([("LOI016", lost)] if lost else [])
    if lost:
        assert found[0].hint.startswith(f"the nearest is {nearest};")
    assert codes(network, loihi2) == ["LOI105"]


def test_two_compartments_need_a_current_of_one_step_and_no_leak(loihi1, loihi2):
    found = broken(net(subtracting(10, du=100, dv=7)), loihi1)
    assert [(each.code, each.found, each.limit) for each in found] == [("LOI017", 100, 4095), ("LOI017", 7, 0)]
    assert codes(net(subtracting(10, du=100, dv=7)), loihi2) == ["LOI105"]
    assert codes(net(LoihiLIF(10, du=100, dv=7)), loihi1) == []


def test_the_subtraction_counts_in_the_sum_of_a_step(loihi1, loihi2):
    weight = np.array([[-4, 2]])
    (violation,) = broken(net(subtracting(32640), np.full((1, 64), -2)), loihi1)
    assert (violation.code, violation.found) == ("LOI007", 32640 + 128)
    assert codes(net(subtracting(32640), weight), loihi1) == []
    assert codes(net(subtracting(32640), np.full((1, 64), -2)), loihi2) == ["LOI105"]
    # And in the current: 2**23 - 1 - 4 * 64 leaves room for the input alone.
    beside = subtracting(10, u_init=0, bias_mant=-(2**17) + 10, bias_exp=6)
    assert codes(net(beside, weight), loihi2) == ["LOI010", "LOI105"]
    assert codes(net(beside, weight), loihi1) == ["LOI010", "LOI012"]


def test_loihi_2_tells_that_subtraction_needs_microcode(loihi2):
    (remark,) = broken(net(subtracting(10)), loihi2)
    assert remark.severity is Severity.WARNING
    assert str(remark) == (
        "LOI105 warning: out: reset by subtraction on Loihi 2 needs your own neuron microcode "
        "(found loihi.LIFSubtract); Lava on CPU and the emulator run it"
    )


def test_all_violations_come_at_once(loihi1):
    found = codes(net(LoihiLIF(131072, bias_mant=5001), [[3, -4], [2, 2]], delay=99, maximum=3), loihi1)
    assert found == ["LOI005", "LOI008", "LOI010", "LOI014", "LOI015"]


def test_deploy_refuses_what_breaks_a_rule():
    populations = (Population("in", (2,), maximum=9), Population("out", (2,), IF(200000, bias=9999, reset="zero")))
    network = Network("bad", populations, (Projection("in", "out", (Dense(np.ones((2, 2), np.int8)),), delay=70),))
    with pytest.raises(FitError) as caught:
        deploy(network, "loihi1")
    assert [each.code for each in caught.value.violations] == ["LOI008", "LOI010", "LOI014", "LOI015"]
