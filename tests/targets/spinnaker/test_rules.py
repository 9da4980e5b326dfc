from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.deployment import Deployment, Placement, deploy
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import Integrator
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import Conv2d, Dense, OneToOne, SumPool2d
from nmdeploy.target import Profile, Severity
from quantize import IntegerFormat
from targets.spinnaker import TARGET
from targets.spinnaker.lower import lower
from targets.spinnaker.mapper.load import events_in_time
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta
from targets.spinnaker.pace import sufficient_time_scale_factor

SMALL = np.array([[2, -4], [6, 8]])
ONE = 32768
ONE_STEP = {"tau_syn_exc": 2048, "tau_syn_inh": 2048}


def net(neuron=None, weight=SMALL, *, source=None, synapses=None, maximum=1, **projection):
    """One projection into SpiNNaker's neurons."""
    weight = np.asarray(weight)
    populations = (
        Population("in", source or (weight.shape[1],), maximum=maximum),
        Population("out", (weight.shape[0],), neuron or IFTruncDelta()),
    )
    projection = {"delay": 1, **projection}
    return Network("net", populations, (Projection("in", "out", synapses or (Dense(weight),), **projection),))


def image(neuron, kernel, size=4, source=None):
    channels = len(kernel)
    populations = (
        Population("in", (kernel.shape[1], size, size), source),
        Population("out", (channels, size, size), neuron),
    )
    if source is not None:
        populations = (Population("first", (kernel.shape[1], size, size)), *populations)
    edge = kernel.shape[2] // 2
    projections = [Projection("in", "out", (Conv2d(kernel, padding=(edge,) * 4),), delay=1)]
    projections += [] if source is None else [Projection("first", "in", delay=1)]
    return Network("image", populations, tuple(projections))


def broken(network, chip):
    return [violation for rule in TARGET.rules(chip) for violation in rule(network, chip)]


def codes(network, chip):
    return [violation.code for violation in broken(network, chip)]


def test_sound_networks_break_nothing(spin5, ideal_images):
    assert codes(net(), spin5) == []
    for profile in ("chip", "conv"):
        found = broken(lower(ideal_images, spin5, profile).network, spin5)
        assert [each.code for each in found] == ["SPI043"]
        assert found[0].severity is Severity.WARNING


def test_neurons_of_other_chips(spin5):
    assert codes(net(Integrator()), spin5) == ["SPI001"]


def test_spikes_have_no_values(spin5):
    assert codes(net(maximum=3), spin5) == ["SPI002"]
    negative = net()
    negative = replace(negative, populations=(replace(negative["in"], minimum=-1), negative["out"]))
    assert codes(negative, spin5) == ["SPI002"]


def test_sums_go_to_the_buffers_as_they_are(spin5):
    twice = net(synapses=(Dense(SMALL), OneToOne(np.array([2]))))
    assert codes(twice, spin5) == ["SPI003"]
    assert codes(net(exponent=1), spin5) == ["SPI004"]
    assert codes(net(accumulator=IntegerFormat(20)), spin5) == ["SPI004"]


def test_weights_of_rows(spin5):
    assert codes(net(weight=[[65535, -65535], [0, 1]]), spin5) == []
    (found, *_) = broken(net(weight=[[1, 2], [0, -65536]]), spin5)
    assert (found.code, found.found, found.limit) == ("SPI005", -65536, 65535)


def test_overlapping_pools_add_weights_up(spin5):
    populations = (Population("in", (1, 3, 1)), Population("out", (1, 2, 1), IFTruncDelta()))
    chain = (SumPool2d((2, 1), (1, 1)), Conv2d(np.full((1, 1, 2, 1), 40000), padding=(1, 0, 0, 0)))
    network = Network("pool", populations, (Projection("in", "out", chain, delay=1),))
    assert "SPI005" in codes(network, spin5)


def test_weights_of_kernels(spin5):
    kernel = np.full((1, 1, 1, 1), 32767)
    neuron = IFCurrExp(shift_exc=4, shift_inh=4, **ONE_STEP)
    assert codes(image(neuron, kernel), spin5) == []
    assert codes(image(neuron, -kernel - 1), spin5) == []
    (found,) = broken(image(neuron, kernel + 1), spin5)
    assert (found.code, found.limit) == ("SPI005", "-32768..32767")


def test_saturation_by_bound_is_told_for_each_sign(spin5):
    assert codes(net(weight=[[40000, 25535], [-40000, -25535]]), spin5) == []
    found = broken(net(weight=[[40000, 25536], [-40000, -25537]]), spin5)
    assert [(each.code, each.found, each.severity) for each in found] == [
        ("SPI006", 65536, Severity.WARNING),
        ("SPI006", 65537, Severity.WARNING),
    ]


def test_all_projections_share_a_population_s_buffers(spin5):
    network = net(weight=[[40000, 0], [0, 1]])
    assert codes(network, spin5) == []
    twice = replace(network, projections=network.projections * 2)
    assert codes(twice, spin5) == ["SPI006"]


@pytest.mark.parametrize(("start", "found"), [(1, ["SPI006", "SPI043"]), (2, [])])
def test_what_schedules_keep_apart_shares_neither_buffers_nor_time(spin5, start, found):
    size = events_in_time(spin5) // 20
    populations = (
        Population("first", (size,), schedule=Schedule(((1, 1),), 4)),
        Population("second", (size,), schedule=Schedule(((start, 1),), 4)),
        Population("out", (20,), IFTruncDelta()),
    )
    weight = (Dense(np.full((20, size), 60000 // size)),)
    projections = tuple(Projection(name, "out", weight, delay=1) for name in ("first", "second"))
    network = Network("two", populations, projections)
    assert codes(network, spin5) == found
    placed = Deployment(network, "spinnaker", "spin5", Profile("spinnaker/chip", ()), Placement("spin5", (), {}))
    assert sufficient_time_scale_factor(placed) == (3 if found else 2)  # one more for the update of the neurons


def test_one_shift_a_sign(spin5):
    assert codes(net(IFTruncDelta(shift_exc=np.array([0, 1]), shift_inh=np.array([2, 1]))), spin5) == ["SPI007"] * 2
    assert codes(net(IFTruncDelta(shift_exc=1)), spin5) == []


def test_steps_of_one_millisecond_and_no_input_before_the_first(spin5):
    assert codes(net(IFCurrExp(time_step=ONE // 10)), spin5) == ["SPI010"]
    assert codes(net(IFTruncDelta(isyn_exc=3)), spin5) == ["SPI011"]
    assert codes(net(IFTruncDelta(isyn_inh=3)), spin5) == ["SPI011"]


def test_the_threshold_that_the_layout_allows(spin5):
    assert codes(net(IFTruncDelta(v_thresh=ONE + 1)), spin5) == ["SPI012"]
    assert codes(net(IFTruncDelta(v_thresh=np.array([ONE, 5]))), spin5) == ["SPI012"]
    assert codes(net(IFCurrExp(v_thresh=5)), spin5) == []


def test_odd_images_of_trunc_delta(spin5):
    kernel = np.full((1, 1, 3, 3), 5)
    network = image(IFCurrExp(**ONE_STEP), kernel, 3, IFTruncDelta())
    (found,) = broken(network, spin5)
    assert (found.code, found.where, found.found) == ("SPI013", "in", 9)
    assert codes(image(IFCurrExp(**ONE_STEP), kernel, 4, IFTruncDelta()), spin5) == []
    assert codes(image(IFTruncDelta(), kernel, 3, IFTruncDelta()), spin5) == []  # rows: padded, not odd


@pytest.mark.parametrize(
    ("neuron", "weight", "wraps"),
    [
        (IFTruncDelta(tau_m=ONE << 14), [[65535, 65535], [0, 0]], False),
        (IFTruncDelta(tau_m=ONE << 15), [[65535, 65535], [0, 0]], False),
        (IFTruncDelta(tau_m=ONE << 15, i_offset=1), [[65535, 65535], [0, 0]], True),
        (IFTruncDelta(tau_m=ONE << 15, shift_inh=1), [[-65535, 0], [0, 0]], True),
        (IFTruncDelta(tau_m=ONE << 15, shift_inh=1), [[-30000, 0], [0, 0]], False),
        (IFCurrExp(tau_m=ONE << 15, cm=2 * ONE, shift_exc=4, shift_inh=4, **ONE_STEP), [[65535, 0], [0, 0]], False),
        (IFCurrExp(tau_m=ONE << 15, shift_exc=4, shift_inh=4, **ONE_STEP), [[65535, 0], [0, 0]], False),
        (IFCurrExp(tau_m=ONE << 15, shift_exc=5, shift_inh=4, **ONE_STEP), [[65535, 0], [0, 0]], True),
    ],
)
def test_input_times_resistance_stays_in_32_bits(spin5, neuron, weight, wraps):
    found = [each for each in broken(net(neuron, weight), spin5) if each.code == "SPI014"]
    assert bool(found) == wraps
    assert all(each.severity is Severity.WARNING for each in found)


def test_a_leak_that_rounds_to_nothing(spin5):
    longest = ONE * ONE
    for model in (IFCurrDelta, IFCurrExp):
        assert codes(net(model(tau_m=longest)), spin5) == []
        assert codes(net(model(tau_m=longest + 1)), spin5) == ["SPI015"]


def test_delays(spin5):
    assert codes(net(delay=0), spin5) == ["SPI016"]
    assert codes(net(delay=4096), spin5) == []
    found, memory = broken(net(delay=4097), spin5)
    assert (found.code, found.limit, memory.code) == ("SPI017", 4096, "SPI040")


def test_kernels_of_a_core_are_counted(spin5):
    kernel = np.ones((1, 8192, 1, 1), dtype=np.int8)
    network = image(IFCurrExp(**ONE_STEP), kernel, 1)
    (found,) = (each for each in broken(network, spin5) if each.code == "SPI018")
    assert (found.where, found.found, found.limit) == ("out", 8192, 8191)
    assert "SPI018" not in codes(image(IFCurrExp(**ONE_STEP), kernel[:, 1:], 1), spin5)


def test_a_core_s_own_memory_is_checked_though_the_vendor_does_not(spin5):
    kernel = np.ones((1, 1500, 3, 3), dtype=np.int8)
    network = image(IFCurrExp(**ONE_STEP), kernel, 4)
    (found,) = (each for each in broken(network, spin5) if each.code == "SPI040")
    assert found.where == "out.c0"
    assert found.limit == 65536
    assert found.found > 1500 * 2 * 9


def test_memory_of_the_chip(spin5):
    weight = np.ones((2, 200000), dtype=np.int8)
    assert "SPI041" not in codes(net(weight=weight), spin5)
    figures = {**spin5.figures, "sdram": replace(spin5.figures["sdram"], value=4_000_000)}
    assert "SPI041" in codes(net(weight=weight), replace(spin5, figures=figures))


def test_work_that_does_not_fit_a_step_is_told(spin5):
    busy = events_in_time(spin5)
    assert busy == 2343
    few = net(weight=np.ones((20, busy // 20), int))
    assert codes(few, spin5) == []
    (found,) = broken(net(weight=np.ones((20, 3 * busy // 20), int)), spin5)
    assert found.code == "SPI043"
    assert "time_scale_factor=3" in found.hint
    figures = {**spin5.figures, "tick_instructions": replace(spin5.figures["tick_instructions"], value=251)}
    assert codes(net(), replace(spin5, figures=figures)) == ["SPI042"]


def test_routers_have_entries_for_so_many_senders(spin5):
    wide = np.ones((1, 1024, 1, 1), dtype=np.int8)
    assert "SPI044" in codes(image(IFCurrExp(**ONE_STEP), wide, 1), spin5)
    assert "SPI044" not in codes(image(IFCurrExp(**ONE_STEP), wide[:, 1:], 1), spin5)


def test_everything_is_told_at_once():
    network = net(IFTruncDelta(v_thresh=5, isyn_exc=1), weight=[[1, 2], [0, -65536]])
    with pytest.raises(FitError) as error:
        deploy(network, "spin5")
    assert [each.code for each in error.value.violations] == ["SPI005", "SPI011", "SPI012", "SPI006"]
