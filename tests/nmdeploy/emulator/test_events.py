"""Streams of events, and the engine in everyday use: recording, early ends, inference, bundles."""

import gc
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from nmdeploy.bundle import make_vectors, replay
from nmdeploy.coding import DeterministicRate, FirstSpike, SpikeCount
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.emulator import compiled, event_run, event_tables
from nmdeploy.emulator.event_order import raster_inputs
from nmdeploy.emulator.event_reference import TICK
from nmdeploy.emulator.events import SENT, emulate_events
from nmdeploy.emulator.inputs import Stream, spike_type
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.timings import Timings
from nmdeploy.emulator.until import Until
from nmdeploy.errors import EmulationOverflow, UsageError
from nmdeploy.inference import infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import EventRule, fill
from nmdeploy.report import build_report
from nmdeploy.synapses import Conv2d, Dense, Reshape
from nmdeploy.target import Profile
from quantize import IntegerFormat, Overflow

EVENT = [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u2")]
SIXTEEN = IntegerFormat(16, overflow=Overflow.SATURATE)
ENGINES = ("reference", "compiled") if compiled.sets() else ("reference",)
EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))


@pytest.fixture
def network(by_event):
    """6x6 pixels, a convolution with padding, three classes; signed weights."""
    rng = np.random.Generator(np.random.PCG64(5))
    neuron = by_event(EventRule(20, 20, -100, SIXTEEN))
    conv = Conv2d(rng.integers(-5, 12, (2, 1, 3, 3)), padding=1)
    dense = (Reshape((72,)), Dense(rng.integers(-9, 12, (3, 72))))
    return Network(
        "small",
        (Population("in", (1, 6, 6)), Population("mid", (2, 6, 6), neuron), Population("out", (3,), neuron)),
        (Projection("in", "mid", (conv,)), Projection("mid", "out", dense)),
    )


@pytest.fixture
def raster(rng):
    return (rng.random((11, 5, 1, 6, 6)) < 0.3).astype(np.uint8)


def events_of(raster, tick=1):
    """One sample's raster `[T, C, H, W]` as a stream, step after step."""
    when, p, y, x = np.nonzero(raster)
    events = np.zeros(len(when), EVENT)
    events["x"], events["y"], events["p"], events["t"] = x, y, p, when * tick
    return events


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_is_a_run_without_steps(network, raster, engine):
    stream = emulate_events(network, events_of(raster[:, 0]), record=("*",), engine=engine)
    steps = emulate(network, raster[:, :1], record=EVERYTHING, engine=engine)
    for name in ("mid", "out"):
        counts = np.zeros(network[name].shape, int)
        sent = stream.events[name]
        place = (sent["p"],) if name == "out" else (sent["p"], sent["y"], sent["x"])
        np.add.at(counts, place, 1)
        np.testing.assert_array_equal(counts, steps.counts[name][0])
        np.testing.assert_array_equal(stream.potentials[name], steps.potentials[name][-1, 0])
        assert sent.dtype == SENT
        assert np.all(np.diff(sent["cause"]) >= 0)
        np.testing.assert_array_equal(sent["t"], events_of(raster[:, 0])["t"][sent["cause"]])
        assert len(sent)
    assert stream.origin == steps.origin


@pytest.mark.parametrize("engine", ENGINES)
def test_events_of_ticks_have_no_cause_but_a_time(by_event, engine):
    neuron = by_event(EventRule(5, 5, None, SIXTEEN, leak=2, fires_on_tick=True))
    network = Network("clocked", (Population("in", (1,)), Population("out", (1,), neuron)), (Projection("in", "out"),))
    events = np.array([(0, 0, 31, 0)], EVENT)
    found = emulate_events(network, events, tick=10, engine=engine)
    # 2, 4, 6 fires at the third tick (1 left), 2 at the event, 4 at the last tick
    assert found.events["out"].tolist() == [(0, 0, 0, 30, TICK)]
    assert found.potentials["out"].tolist() == [4]
    with pytest.raises(UsageError, match=r"out: neurons leak at the ticks of a slow clock; pass tick="):
        emulate_events(network, events, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_silent_stream_and_times_left_out(network, engine):
    silent = emulate_events(network, np.zeros(0, EVENT), engine=engine)
    assert [len(sent) for sent in silent.events.values()] == [0]
    plain = np.zeros(50, [("x", int), ("y", int), ("p", int)])
    found = emulate_events(network, plain, engine=engine, record=("mid",))
    assert list(found.events) == ["mid"]
    assert not found.events["mid"]["t"].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_counts_no_step_and_so_knows_no_largest_spike(by_event, engine):
    neuron = by_event(EventRule(1, 1, None, IntegerFormat(16)), 0, 1)
    network = Network("busy", (Population("in", (1,)), Population("out", (1,), neuron)), (Projection("in", "out"),))
    events = np.zeros(9, EVENT)
    assert len(emulate_events(network, events, engine=engine).events["out"]) == 9
    deaf = replace(neuron, rule=EventRule(None, None, None, IntegerFormat(3)))
    quiet = replace(network, populations=(network["in"], Population("out", (1,), deaf)))
    with pytest.raises(EmulationOverflow, match=r"out, step 0, sample 0, neuron \(0,\): membrane potential overflows"):
        emulate_events(quiet, events, engine=engine)


def test_streams_of_other_networks_and_populations_are_refused(network):
    from nmdeploy.neurons import IF

    steps = Network("steps", (Population("in", (1,)), Population("out", (1,), IF(1))), (Projection("in", "out"),))
    with pytest.raises(UsageError, match="have time steps, it takes no single events"):
        emulate_events(steps, np.zeros(0, EVENT))
    with pytest.raises(UsageError, match=r"no population to record events of \(found 'in', limit mid, out\)"):
        emulate_events(network, np.zeros(0, EVENT), record=("in",))
    with pytest.raises(UsageError, match="unknown engine"):
        emulate_events(network, np.zeros(0, EVENT), engine="slow")


@pytest.mark.parametrize("engine", ENGINES)
def test_only_what_is_asked_for_is_kept(network, raster, engine):
    whole = emulate(network, raster, record=EVERYTHING, engine=engine)
    record = Recording(spikes=("mid", "in"), potentials=("out",), counts=("mid",), steps=slice(2, 9, 3))
    found = emulate(network, raster, record=record, engine=engine)
    np.testing.assert_array_equal(found.spikes["mid"], whole.spikes["mid"][2:9:3])
    np.testing.assert_array_equal(found.spikes["in"], raster[2:9:3])
    np.testing.assert_array_equal(found.potentials["out"], whole.potentials["out"][2:9:3])
    assert list(found.spikes) == ["mid", "in"]
    assert list(found.counts) == ["mid"]
    assert found.spikes["mid"].dtype == np.uint16 == spike_type(network["mid"])
    assert whole.spikes["mid"].any()
    assert whole.spikes["out"].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_operations_are_events_times_fan_out(network, raster, engine):
    found = emulate(network, raster, record=EVERYTHING, engine=engine)
    for projection in network.projections:
        fan_out = projection.fan_out(network[projection.source].shape)
        expected = (found.counts[projection.source] * fan_out).reshape(5, -1).sum(axis=1)
        assert found.synaptic_operations[projection.name].tolist() == expected.tolist()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("population", ["out", "in"])
def test_a_sample_ends_when_its_decision_is_known(network, raster, engine, population):
    until = Until(population, spikes=2, every=3)
    found = emulate(network, raster, record=EVERYTHING, engine=engine, until=until)
    assert len(set(found.ended.tolist()) | {11}) > 1
    for sample, steps in enumerate(found.ended.tolist()):
        own = emulate(network, raster[:, sample : sample + 1], record=EVERYTHING, engine=engine, steps=steps)
        np.testing.assert_array_equal(found.spikes["out"][:steps, sample], own.spikes["out"][:, 0])
        assert not found.spikes["out"][steps:, sample].any()
        np.testing.assert_array_equal(found.final_potentials["out"][sample], own.final_potentials["out"][0])
        assert found.total_spikes["in"][sample] == own.total_spikes["in"][0]


@pytest.mark.parametrize("engine", ENGINES)
def test_batches_streams_and_progress(network, raster, engine):
    whole = emulate(network, raster, engine=engine)
    seen = []
    stream = Stream(lambda samples: raster[:, samples], 5, 11)
    found = emulate(network, stream, engine=engine, batch=2, threads=2, progress=lambda *done: seen.append(done))
    np.testing.assert_array_equal(found.spikes["out"], whole.spikes["out"])
    assert seen == [(2, 5), (4, 5), (5, 5)]
    with pytest.raises(UsageError, match="at least one sample"):
        emulate(network, raster, engine=engine, batch=0)
    with pytest.raises(UsageError, match="at least one thread"):
        emulate(network, raster, engine=engine, threads=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_timings_change_nothing(network, raster, engine):
    timings = Timings()
    found = emulate(network, raster, record=EVERYTHING, engine=engine, timings=timings)
    plain = emulate(network, raster, record=EVERYTHING, engine=engine)
    for name in ("mid", "out"):
        np.testing.assert_array_equal(found.spikes[name], plain.spikes[name])
        np.testing.assert_array_equal(found.potentials[name], plain.potentials[name])
    assert set(timings.seconds) == {"mid", "out"}
    assert all(sum(kernels.values()) == 55 for kernels in timings.kernels.values())


def test_the_origin_tells_what_ran(network, raster):
    assert emulate(network, raster, engine="reference").origin == "emulated (event reference)"
    assert emulate(network, raster, engine="numpy").origin == "emulated (event reference)"
    with patch.object(compiled, "_kernels", None):
        assert emulate(network, raster).origin == "emulated (event reference)"
        with pytest.raises(UsageError, match="was not built"):
            emulate(network, raster, engine="compiled")


@pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")
def test_projections_too_large_to_be_unrolled_run_in_the_reference(by_event):
    neuron = by_event(EventRule(2, 2, None, SIXTEEN))
    network = Network("plain", (Population("in", (4,)), Population("out", (4,), neuron)), (Projection("in", "out"),))
    spikes = np.ones((3, 1, 4), int)
    assert emulate(network, spikes).origin == "emulated (compiled event engine)"
    with patch.object(event_tables, "LARGEST_UNROLLED", 3), patch.object(event_tables, "_TABLES", Memo()):
        assert emulate(network, spikes).origin == "emulated (event reference)"
        with pytest.raises(UsageError, match="too large for the compiled event engine"):
            emulate(network, spikes, engine="compiled")


@pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")
def test_tables_too_large_to_be_counted_run_in_the_reference(network, raster):
    with patch.object(event_tables, "LARGEST_TABLE", 3), patch.object(event_tables, "_TABLES", Memo()):
        assert emulate(network, raster).origin == "emulated (event reference)"


def test_the_potential_is_all_there_is_to_record(by_event):
    class WithMemory(by_event):
        def initial_state(self, shape, dtype):
            return {"v": fill(0, shape, dtype), "u": fill(0, shape, dtype)}

    neuron = WithMemory(EventRule(2, 2, None, SIXTEEN))
    network = Network("two", (Population("in", (1,)), Population("out", (1,), neuron)), (Projection("in", "out"),))
    with pytest.raises(UsageError, match=r"v is the only state variable \(found out.u\)"):
        emulate(network, np.ones((1, 1, 1), int), record=Recording(potentials=("out.u",)))


@pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")
def test_queues_are_freed_with_their_machine(network, raster):
    machine = event_run.machines(network, "compiled")[0]()
    machine.run(raster_inputs(network, {"in": raster[:, 0]}, 0, 11), 11)
    records = machine._records
    assert records[1].events
    del machine
    gc.collect()
    assert not records[1].events


def test_inference_and_early_decisions(network, rng):
    images = rng.random((6, 1, 6, 6))
    whole = infer(network, images, steps=16, encoder=DeterministicRate(), readout=SpikeCount(), batch=4)
    assert whole.result.counts["out"].any()
    first = infer(network, images, steps=16, readout=FirstSpike())
    early = infer(network, images, steps=16, readout=FirstSpike(), stop_early=True)
    assert early.decision.labels.tolist() == first.decision.labels.tolist()
    assert early.result.ended.min() < 16


def test_a_bundle_carries_and_replays_its_vectors(network, raster):
    deployment = Deployment(
        network, "toy", "toy1", Profile("toy/chip", ()), Placement("toy1", (), {}, ("in", "mid", "out"))
    )
    made = make_vectors(deployment, raster)
    assert made.vectors.spikes["out"].any()
    assert replay(made).passed
    assert build_report(made).bounds == ()  # sums of a step mean nothing here
