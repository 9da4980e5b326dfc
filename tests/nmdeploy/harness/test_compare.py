"""A planted fault of each kind must be named, by a comparison that knows nothing of it."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.emulator.result import Recording
from nmdeploy.errors import ShapeError, UsageError
from nmdeploy.harness.compare import CAUSES, compare
from nmdeploy.harness.first_difference import Recorded
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape
from quantize import IntegerFormat, Overflow

STEPS, SAMPLES = 25, 3
ALL = ("conv", "hidden", "out")


@pytest.fixture
def network(rng):
    kernel = rng.integers(-30, 50, (3, 2, 3, 3)).astype(np.int8)
    dense = (10 * rng.integers(-4, 6, (6, 48))).astype(np.int8)  # so that potentials meet the threshold exactly
    readout = rng.integers(-30, 40, (4, 6)).astype(np.int8)
    return Network(
        "victim",
        (
            Population("in", (2, 6, 6)),
            Population("conv", (3, 4, 4), IF(100)),
            Population("hidden", (6,), IF(150)),
            Population("out", (4,), IF(60)),
        ),
        (
            Projection("in", "conv", (Conv2d(kernel),), delay=1),
            Projection("conv", "hidden", (Reshape((48,)), Dense(dense)), delay=1),
            Projection("hidden", "out", (Dense(readout),), delay=1),
        ),
    )


@pytest.fixture
def spikes(rng):
    return (rng.random((STEPS, SAMPLES, 2, 6, 6)) < 0.3).astype(np.uint8)


def run(network, spikes, potentials=False, names=ALL):
    record = Recording(spikes=names, potentials=names if potentials else (), counts=())
    result = nm.emulate(network, spikes, steps=STEPS + 3, record=record)
    return Recorded(dict(result.spikes), dict(result.potentials))


def with_neuron(network, name, **changes):
    populations = [
        replace(each, neuron=replace(each.neuron, **changes)) if each.name == name else each
        for each in network.populations
    ]
    return replace(network, populations=tuple(populations))


def with_projection(network, index, **changes):
    projections = list(network.projections)
    projections[index] = replace(projections[index], **changes)
    return replace(network, projections=tuple(projections))


def with_weight(network, index, change):
    chain = list(network.projections[index].synapses)
    chain[-1] = chain[-1].with_weight(np.ascontiguousarray(change(chain[-1].weight)))
    return with_projection(network, index, synapses=tuple(chain))


def lasting_state(network, spikes):
    """All samples as one, so that nothing is reset between them."""
    silence = np.zeros((3, *spikes.shape[1:]), np.uint8)
    joined = np.concatenate([spikes, silence]).swapaxes(0, 1).reshape(-1, 1, *spikes.shape[2:])
    record = Recording(spikes=ALL, counts=())
    result = nm.emulate(network, joined, steps=len(joined), record=record)
    parted = {
        name: values.reshape(SAMPLES, STEPS + 3, *values.shape[2:]).swapaxes(0, 1)
        for name, values in result.spikes.items()
    }
    return Recorded(parted)


def without_a_pixel(spikes):
    lost = spikes.copy()
    lost[:, :, 1, 2, 3] = 0
    return lost


def read_as_hwc(weight):
    """A dense weight whose columns expect (H, W, C) where (C, H, W) comes."""
    return weight.reshape(6, 3, 4, 4).transpose(0, 2, 3, 1).reshape(6, 48)


FAULTS = {
    "threshold comparison": ("hidden", lambda net, x: run(with_neuron(net, "hidden", fire=">"), x)),
    "reset": ("conv", lambda net, x: run(with_neuron(net, "conv", reset="zero"), x)),
    "one-step delay shift": ("hidden", lambda net, x: run(with_projection(net, 1, delay=2), x)),
    "flipped kernel": ("conv", lambda net, x: run(with_weight(net, 0, lambda w: w[..., ::-1, ::-1]), x)),
    "permuted axes": ("hidden", lambda net, x: run(with_weight(net, 1, read_as_hwc), x)),
    "state not reset": ("conv", lasting_state),
    "saturation": (
        "hidden",
        lambda net, x: run(with_neuron(net, "hidden", potential=IntegerFormat(8, overflow=Overflow.WRAP)), x),
    ),
    "missing events": ("conv", lambda net, x: run(net, without_a_pixel(x))),
}


def test_every_cause_is_planted():
    # The order of events is planted where there are single events: tests/targets/dynapcnn.
    assert {*FAULTS, "event order"} == CAUSES.keys()


@pytest.mark.parametrize("cause", FAULTS)
def test_a_planted_fault_is_named(network, spikes, cause):
    population, plant = FAULTS[cause]
    told = compare(network, spikes, plant(network, spikes))
    assert not told.passed
    assert told.place.population == population
    assert told.explanations[0].cause == cause
    assert told.explanations[0].unexplained == 0
    assert f"1. {cause} (" in str(told)
    assert "explains everything" in str(told)


def test_a_lost_spike_is_found(network, spikes):
    lost = spikes.copy()
    step, *neuron = (int(index[5]) for index in np.nonzero(spikes[5:, 2]))
    lost[(step + 5, 2, *neuron)] = 0
    told = compare(network, spikes, run(network, lost, potentials=True))
    assert told.place.population == "conv"
    assert told.place.step == step + 6
    assert told.explanations[0].cause == "missing events"
    assert f"the spike of in {tuple(neuron)} at step {step + 5} of sample 2" in told.explanations[0].words


def test_an_early_end_of_the_input_is_found(network, spikes):
    told = compare(network, spikes, run(network, np.where(np.arange(STEPS)[:, None, None, None, None] < 12, spikes, 0)))
    best = told.explanations[0]
    assert (best.cause, best.unexplained) == ("missing events", 0)
    assert "every spike of in from step 12 on of all samples" in best.words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda maps: maps[..., ::-1], "in is mirrored"),
        (lambda maps: maps.swapaxes(-1, -2), "in has rows and columns exchanged"),
        (lambda maps: maps[:, :, ::-1], "in has its channels in reverse order"),
    ],
)
def test_maps_read_in_another_way_are_named(network, spikes, change, words):
    told = compare(network, spikes, run(network, np.ascontiguousarray(change(spikes))))
    assert (told.explanations[0].cause, told.explanations[0].unexplained) in (
        ("permuted axes", 0),
        ("flipped kernel", 0),
    )
    permuted = next(each for each in told.explanations if each.cause == "permuted axes")
    assert (permuted.words, permuted.unexplained) == (words, 0)


def test_outputs_written_in_another_order_are_named(network, spikes):
    found = run(network, spikes, names=("conv",))
    maps = found.spikes["conv"]
    written = np.ascontiguousarray(maps.transpose(0, 1, 3, 4, 2)).reshape(maps.shape)
    told = compare(network, spikes, Recorded({"conv": written}))
    assert told.explanations[0].cause == "permuted axes"
    assert told.explanations[0].words == "conv is written as HWC and read as CHW"


@pytest.mark.parametrize(("shift", "words"), [(1, "its own spikes are recorded a step late"), (-1, "a step early")])
def test_outputs_recorded_at_another_step_are_named(network, spikes, shift, words):
    found = run(network, spikes, names=("out",))
    moved = np.roll(found.spikes["out"], shift, axis=0)
    moved[0 if shift > 0 else -1] = 0
    told = compare(network, spikes, Recorded({"out": moved}))
    assert told.explanations[0].cause == "one-step delay shift"
    assert told.explanations[0].unexplained == 0
    assert words in told.explanations[0].words or "all inputs" in told.explanations[0].words


def test_no_difference(network, spikes):
    told = compare(network, spikes, run(network, spikes, potentials=True))
    assert told.passed
    assert told.compared == 2 * (STEPS + 3) * SAMPLES * (48 + 6 + 4)
    assert str(told).endswith("no difference")


def test_what_is_told_of_the_place(network, spikes):
    told = compare(network, spikes, run(with_neuron(network, "out", bias=1), spikes, potentials=True))
    place = told.place
    assert (place.population, place.variable, place.step, place.sample) == ("out", "potential", 0, 0)
    assert (place.expected, place.found) == (0, 1)
    assert (told.before, told.after, told.fires_at) == (0, 0, 60)
    assert "IF(threshold=60)" in str(told)


def test_the_arriving_spikes_add_up_to_the_step(network, spikes):
    told = compare(network, spikes, run(with_neuron(network, "conv", threshold=101), spikes))
    current = sum(each.weight * each.spike for each in told.arrived)
    fired = told.place.expected
    assert told.arrived
    assert all(each.step == told.place.step - 1 for each in told.arrived)
    assert told.after == told.before + current - 100 * fired


def test_what_nothing_explains_is_said(network, spikes):
    found = run(network, spikes, names=("out",))
    noise = np.random.Generator(np.random.PCG64(5)).integers(0, 2, found.spikes["out"].shape).astype(np.uint8)
    told = compare(network, spikes, Recorded({"out": noise}))
    assert all(each.unexplained > 0 for each in told.explanations)
    nothing = replace(told, explanations=())
    assert "none of the known causes" in str(nothing)


def test_a_network_with_a_loop_is_examined_where_it_differs_first(rng, spikes):
    loop = Network(
        "loop",
        (Population("in", (2, 6, 6)), Population("a", (5,), IF(90)), Population("b", (5,), IF(70))),
        (
            Projection("in", "a", (Reshape((72,)), Dense(rng.integers(-20, 30, (5, 72)))), delay=1),
            Projection("a", "b", (Dense(rng.integers(-20, 60, (5, 5))),), delay=1),
            Projection("b", "a", (Dense(rng.integers(-20, 20, (5, 5))),), delay=1),
        ),
        outputs=("b",),
    )
    told = compare(loop, spikes, run(with_neuron(loop, "b", reset="zero"), spikes, names=("a", "b")))
    assert (told.place.population, told.explanations[0].cause) == ("b", "reset")


def test_sources_that_were_not_recorded_are_emulated(network, spikes):
    told = compare(network, spikes, run(with_neuron(network, "out", reset="zero"), spikes, names=("out",)))
    assert (told.place.population, told.explanations[0].cause) == ("out", "reset")


def test_an_integrator_that_saturates(rng, spikes):
    network = Network(
        "integrator",
        (Population("in", (2, 6, 6)), Population("out", (3,), Integrator())),
        (Projection("in", "out", (Reshape((72,)), Dense(rng.integers(-20, 127, (3, 72)))), delay=1),),
    )
    narrow = with_neuron(network, "out", potential=IntegerFormat(16, overflow=Overflow.SATURATE))
    told = compare(network, spikes, run(narrow, spikes * 1, potentials=True, names=("out",)))
    if told.place is None:
        pytest.fail("the potential does not reach 16 bits")
    assert told.explanations[0].cause == "saturation"
    assert told.fires_at is None


@pytest.mark.parametrize("chip", ["loihi1/chip", "loihi1/subtract"])
def test_a_deployment_is_compared_too(network, spikes, chip):
    ideal = replace(network, projections=tuple(replace(each, delay=0) for each in network.projections))
    reset = "zero" if chip == "loihi1/chip" else "subtract"
    for name in ALL:
        ideal = with_neuron(ideal, name, reset=reset)
    deployment = nm.deploy(ideal, chip)
    late = replace(deployment.network["hidden"].neuron, vth=deployment.network["hidden"].neuron.vth + 1)
    populations = [
        replace(each, neuron=late) if each.name == "hidden" else each for each in deployment.network.populations
    ]
    told = compare(deployment, spikes, run(replace(deployment.network, populations=tuple(populations)), spikes))
    assert (told.place.population, told.explanations[0].cause) == ("hidden", "threshold comparison")
    assert told.fires_at == 64 * 149 + 1


def test_progress_is_told(network, spikes):
    ticks = []
    compare(network, spikes, run(with_neuron(network, "out", reset="zero"), spikes), lambda *tick: ticks.append(tick))
    assert ticks == [(done, len(CAUSES)) for done in range(1, len(CAUSES) + 1)]


@pytest.mark.parametrize(
    "found", [Recorded(), Recorded({"nobody": np.zeros((5, 1, 2))}), Recorded({"in": np.zeros(1)})]
)
def test_recordings_of_other_populations_are_refused(network, spikes, found):
    with pytest.raises(UsageError, match="recordings are of the network's populations"):
        compare(network, spikes, found)


def test_recordings_of_another_shape_are_refused(network, spikes):
    with pytest.raises(ShapeError, match="out: recorded spikes have another shape"):
        compare(network, spikes, Recorded({"out": np.zeros((STEPS, SAMPLES, 5), np.uint8)}))
