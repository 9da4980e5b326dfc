"""Exact mode in Lava itself, run here: all clock populations included, one sample in a run or several.

Needs lava-nc 0.10.0 (Python 3.10). The seed of a run comes from NMDEPLOY_SEED or the
clock and is part of every test's name, so that a failure can be replayed.
"""

import os
import time

import numpy as np
import pytest

pytest.importorskip("lava", reason="lava-nc 0.10.0 is installed on Python 3.10 only")

from dataclasses import replace
from functools import cache

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import quantize_activations, stream, to_exact
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Profile
from targets.loihi.vendor import LavaBackend

SEED = int(os.environ.get("NMDEPLOY_SEED", time.time_ns() % 2**32))
NETWORKS = 24
TOGETHER = 8
"""Networks in one Lava run; a dense one, one with a residual addition and a convolution in turn."""
SAMPLES, STEPS = 2, 16
RUN = 64
"""Steps of a Lava run: enough for all."""
STREAMS, STREAMED = 6, 4
"""Streamed networks, all in one Lava run, and samples of each."""


def dense(rng):
    """20-16-16-10, with a residual addition on half of them."""
    populations = (
        Population("in", (20,)),
        Population("a", (16,), IF(1.0, bias=rng.normal(size=16) / 5)),
        Population("b", (16,), IF(1.0, bias=rng.normal(size=16) / 5)),
        Population("out", (10,), Integrator(bias=rng.normal(size=10))),
    )
    shortcut = (Projection("a", "b"),) if rng.integers(2) else ()
    projections = (
        Projection("in", "a", (Dense(rng.normal(size=(16, 20)) / 2),)),
        Projection("a", "b", (Dense(rng.normal(size=(16, 16)) / 2),)),
        *shortcut,
        Projection("b", "out", (Dense(rng.normal(size=(10, 16))),)),
    )
    return Network("dense", populations, projections)


def convolution(rng):
    populations = (
        Population("in", (1, 6, 6)),
        Population("a", (2, 6, 6), IF(1.0, bias=rng.normal(size=(2, 1, 1)) / 5)),
        Population("b", (8,), IF(1.0)),
        Population("out", (4,), Integrator()),
    )
    projections = (
        Projection("in", "a", (Conv2d(rng.normal(size=(2, 1, 3, 3)) / 2, padding=1),)),
        Projection("a", "b", (SumPool2d(2), Reshape((18,)), Dense(rng.normal(size=(8, 18)) / 3))),
        Projection("b", "out", (Dense(rng.normal(size=(4, 8))),)),
    )
    return Network("convolution", populations, projections)


@cache
def case(index):
    """Network number `index`: in exact mode, as deployed, and its input spikes."""
    rng = np.random.Generator(np.random.PCG64((SEED, index)))
    choice = nm.chip("loihi1")
    rules = choice.target.exact_rules(choice.chip, choice.profile)
    network = (dense, convolution)[index % 4 == 3](rng)
    ann = quantize_activations(network, rules, levels=(4, 8)[index % 2], input_steps=STEPS)
    exact = to_exact(ann, rules, DeterministicRate())
    deployment = nm.deploy(exact.network, choice, encoder=exact.encoder, steps=exact.steps)
    return ann, deployment.network, exact.inputs(rng.random((SAMPLES, *network["in"].shape)))


def stream_samples(index):
    """The first and the last sample alike, a full and an empty one between them."""
    rng = np.random.Generator(np.random.PCG64((SEED, index, 1)))
    samples = rng.random((STREAMED, *case(index)[0].network["in"].shape))
    samples[1], samples[2], samples[-1] = 1, 0, samples[0]
    return samples


@cache
def stream_case(index):
    """Network number `index` as a stream: itself, as deployed, and the input spikes of all samples in one run."""
    rng = np.random.Generator(np.random.PCG64((SEED, index)))
    choice = nm.chip(("loihi1", "loihi2", "loihi1/subtract")[index % 3])
    rules = choice.target.exact_rules(choice.chip, choice.profile)
    network = (dense, convolution)[index % 4 == 3](rng)
    ann = quantize_activations(network, rules, levels=(4, 8)[index % 2], input_steps=STEPS)
    streamed = stream(to_exact(ann, rules, DeterministicRate()))
    return streamed, nm.deploy(streamed.network, choice).network, streamed.inputs(stream_samples(index))


def renamed(network, prefix):
    """The network with a prefix before every name, every neuron an output, so that Lava tells of it."""
    populations = tuple(replace(p, name=prefix + p.name) for p in network.populations)
    ends = [(prefix + p.source, prefix + p.target) for p in network.projections]
    projections = tuple(
        replace(p, source=source, target=target) for p, (source, target) in zip(network.projections, ends, strict=True)
    )
    outputs = tuple(p.name for p in populations if p.neuron is not None)
    return replace(network, populations=populations, projections=projections, outputs=outputs)


@cache
def lava_run(first):
    """Networks `first` to `first + TOGETHER - 1` in one Lava run."""
    indices = range(first, min(first + TOGETHER, NETWORKS))
    return together({f"n{index}.": case(index)[1:] for index in indices}, RUN)


@cache
def streamed_run():
    """All streams in one Lava run."""
    streams = {f"s{index}.": stream_case(index)[1:] for index in range(STREAMS)}
    return together(streams, max(steps_of(network, inputs) for network, inputs in streams.values()))


def steps_of(network, inputs):
    return len(inputs["in"]) + network.latency()


def together(parts, steps):
    """Networks with their input spikes, unconnected with each other, by a prefix of their names, in one Lava run."""
    networks = [renamed(network, prefix) for prefix, (network, _) in parts.items()]
    whole = Network(
        "together",
        tuple(p for part in networks for p in part.populations),
        tuple(p for part in networks for p in part.projections),
        tuple(name for part in networks for name in part.outputs),
    )
    inputs = {}
    for prefix, (_, given) in parts.items():
        for name, spikes in given.items():
            inputs[prefix + name] = np.zeros((steps, *spikes.shape[1:]), np.uint8)
            inputs[prefix + name][: len(spikes)] = spikes
    deployment = Deployment(whole, "loihi", "loihi1", Profile("loihi/chip", ()), Placement("loihi1", (), {}))
    variables = tuple(f"{name}.{variable}" for name in whole.outputs for variable in "uv")
    record = Recording(spikes=(ALL,), potentials=variables, counts=(ALL,))
    return LavaBackend(RunSettings(limit_s=300)).run(deployment, inputs, steps=steps, record=record)


def assert_like_the_emulator(ran, prefix, network, inputs):
    """Every spike, current and potential of every step; returns the emulated run."""
    names = [population.name for population in network.populations if population.neuron is not None]
    variables = tuple(f"{name}.{variable}" for name in names for variable in "uv")
    record = Recording(spikes=(ALL,), potentials=(*variables, *names))
    emulated = nm.emulate(network, inputs, steps=ran.steps, record=record)
    for name in names:
        np.testing.assert_array_equal(ran.spikes[prefix + name], emulated.spikes[name], err_msg=name)
    for name in variables:
        np.testing.assert_array_equal(ran.potentials[prefix + name], emulated.potentials[name], err_msg=name)
    return emulated


@pytest.mark.slow
@pytest.mark.parametrize("index", range(NETWORKS), ids=lambda index: f"NMDEPLOY_SEED={SEED}-{index}")
def test_lava_counts_what_the_quantized_network_counts(index):
    ann, network, inputs = case(index)
    ran = lava_run(index - index % TOGETHER)
    assert ran.origin == "run by Lava 0.10.0 on CPU"
    assert_like_the_emulator(ran, f"n{index}.", network, inputs)
    wanted = ann.counts(inputs["in"].sum(axis=0, dtype=np.int64))
    *hidden, output = [population.name for population in network.populations if population.neuron is not None]
    for name in hidden:
        np.testing.assert_array_equal(ran.counts[f"n{index}.{name}"], wanted[name], err_msg=name)
    logits = ran.final_potentials[f"n{index}.{output}"] // 64  # one weight unit is 64
    np.testing.assert_array_equal(logits, wanted[output])


@pytest.mark.slow
@pytest.mark.parametrize("index", range(STREAMS), ids=lambda index: f"NMDEPLOY_SEED={SEED}-{index}")
def test_lava_counts_every_sample_of_a_stream(index):
    """Clear and restore neurons included, samples in different layers at a time, no potential written anew."""
    streamed, network, inputs = stream_case(index)
    ran, prefix = streamed_run(), f"s{index}."
    emulated = assert_like_the_emulator(ran, prefix, network, inputs)
    samples = stream_samples(index)
    wanted = streamed.exact.ann.counts(streamed.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    spikes = {name: ran.spikes[prefix + name] for name in emulated.spikes if network[name].neuron is not None}
    potentials = {name: ran.potentials[f"{prefix}{name}.v"] for name in network.outputs}
    told = replace(emulated, spikes=spikes, potentials=potentials)
    counts, logits = (read(network, told, STREAMED) for read in (streamed.counts, streamed.logits))
    assert {*counts, *logits} == {*spikes}
    for name, found in {**counts, **logits}.items():
        np.testing.assert_array_equal(found, wanted[name], err_msg=name)


def test_the_networks_are_worth_running():
    """Silent and saturated neurons, and all counts in between."""
    counts = [case(index)[0].counts(case(index)[2]["in"].sum(axis=0, dtype=np.int64)) for index in range(NETWORKS)]
    seen = {int(count) for each in counts for name in "ab" for count in np.unique(each[name])}
    assert seen == set(range(9))
