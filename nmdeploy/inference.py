"""From samples to decisions: encode, run, read out, in batches of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.backend import Backend
from nmdeploy.coding import (
    ConstantCurrent,
    Decision,
    DeterministicRate,
    Encoder,
    MembranePotential,
    ReadOut,
    SpikeCount,
)
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import select
from nmdeploy.emulator.result import DEFAULT_RECORDING, EVERY_SPIKE, Recording, Result
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.simulate import simulate
from nmdeploy.emulator.until import Until
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population
from nmdeploy.progress import Progress

BATCH = 250
INPUT_BYTES = 1 << 28
"""Aim for the input spikes of one batch of many steps."""


@dataclass(frozen=True)
class Inference:
    """Decisions and the run they came from.

    Attributes:
        decision: what the read-out says of every sample.
        result: the run, all batches joined along the sample axis.
        counted: the run of the first samples with every spike kept, where that was asked for.
    """

    decision: Decision
    result: Result
    counted: Result | None = None


def infer(
    network: Network | Deployment,
    samples: NDArray[Any],
    *,
    encoder: Encoder | None = None,
    readout: ReadOut | None = None,
    steps: int | None = None,
    record: Recording = DEFAULT_RECORDING,
    batch: int | None = None,
    threads: int | None = None,
    stop_early: bool = False,
    every_spike_of: int = 0,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> Inference:
    """Classify samples: emulated bit by bit when the network is integer, simulated when it is float.

    Args:
        network: a network with one input and one output, or a deployment of one.
        samples: `[N, *shape]`, values in the encoder's range.
        encoder: makes the input spikes; default: the deployment's, or `default_encoder`.
        readout: makes the decisions; default: the deployment's, or `default_readout`.
        steps: input steps of one inference; default: the deployment's.
        record: what else to keep of the run.
        batch: samples encoded and run at a time; None chooses 250, or fewer when their spikes are large.
        threads: of the emulator; None means 1.
        stop_early: ends each sample's run when its decision is known, as `emulate` does with
            `Until`: labels, ties and times stay the same, scores of later classes become 0.
        every_spike_of: samples at the front whose every spike is kept in `Inference.counted`, whatever `record` asks.
        backend: what runs a deployment instead of the emulator.
        progress: called after every batch; a backend calls it after every sample.

    Returns:
        Decisions and the joined result.

    Raises:
        UsageError: when the network has several inputs or outputs, `steps` is not known, or
            what runs cannot stop early or keep every spike.
        DataError: from the encoder or read-out.
    """
    deployment = network if isinstance(network, Deployment) else None
    if isinstance(network, Deployment):
        encoder, readout = encoder or network.encoder, readout or network.readout
        steps, network = steps or network.steps, network.network
    if backend is not None and deployment is None:
        raise UsageError("a backend runs a deployment, not a network", hint="deploy it first (nmdeploy.deploy)")
    if not steps:
        raise UsageError("the number of steps is not known", hint="pass steps=")
    encoder, readout = encoder or default_encoder(network), readout or default_readout(network)
    _check_options(network, backend, stop_early, every_spike_of)
    output = network[_only("output", network.outputs)]
    sources = [population.name for population in network.inputs]
    size = sum(population.size for population in network.inputs)
    batch = batch or max(1, min(BATCH, INPUT_BYTES // (steps * size)))
    options: dict[str, Any] = {}
    if network.is_integer:
        options = {"threads": threads, "until": _until(readout, output) if stop_early else None}
    results, counted = [], []
    for start, end in _batches(len(samples), batch, every_spike_of):
        spikes = encoder.inputs(sources, samples[start:end], steps)
        if backend is not None and deployment is not None:
            advance = None if progress is None else _shifted(progress, start, len(samples))
            results.append(backend.run(deployment, spikes, record=record, progress=advance))
            continue
        whole = end <= every_spike_of
        kept = replace(EVERY_SPIKE, potentials=record.potentials) if whole else record
        result = (emulate if network.is_integer else simulate)(network, spikes, record=kept, **options)
        counted += [result] if whole else []
        results.append(_reduced(result, network, record) if whole else result)
        if progress is not None:
            progress(end, len(samples))
    if not results:
        raise UsageError("there are no samples")
    joined = join(results)
    return Inference(readout.decide(joined, output), joined, join(counted) if counted else None)


def _check_options(network: Network, backend: Backend | None, stop_early: bool, every_spike_of: int) -> None:
    if stop_early and (backend is not None or not network.is_integer):
        raise UsageError("only the emulator stops early", hint="leave stop_early out")
    if every_spike_of and backend is not None:
        raise UsageError("a backend keeps what it can record", where="every_spike_of", hint="leave it out")


def _batches(samples: int, batch: int, first: int) -> Iterator[tuple[int, int]]:
    """Where batches begin and end; one ends behind the `first` samples."""
    start = 0
    while start < samples:
        border = first if start < first else samples
        end = min(start + batch, border, samples)
        yield start, end
        start = end


def _reduced(result: Result, network: Network, record: Recording) -> Result:
    """A run with every spike as one that kept what `record` asks."""
    selected = select(network, record, result.steps)
    steps = list(selected.steps)
    return replace(
        result,
        spikes={name: result.spikes[name][steps] for name in selected.spikes},
        potentials={name: values[steps] for name, values in result.potentials.items()},
        counts={name: result.counts[name] for name in selected.counts},
    )


def _until(readout: ReadOut, output: Population) -> Until:
    """When the decision of a read-out is known."""
    if readout.deciding_spikes is None:
        raise UsageError(
            "the decision is known at the end of the run only",
            where="stop_early",
            found=readout.kind,
            limit="FirstSpike, SpikesToDecision",
        )
    return Until(output.name, readout.deciding_spikes)


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    """Progress within a batch as progress of the whole."""

    def advance(done: int, _of: int) -> None:
        progress(start + done, total)

    return advance


def default_encoder(network: Network) -> Encoder:
    """Evenly spaced spikes for a binary input, the value itself at every step for a graded one."""
    largest = max(population.maximum for population in network.inputs)
    return DeterministicRate() if largest == 1 else ConstantCurrent(levels=largest)


def default_readout(network: Network) -> ReadOut:
    """Spike counts, or membrane potentials where the output never fires (before lowering)."""
    fires = all(network[name].spike_range[1] > 0 for name in network.outputs)
    return SpikeCount() if fires else MembranePotential()


def _only(role: str, names: Sequence[str]) -> str:
    if len(names) != 1:
        raise UsageError(f"one {role} population is needed here", found=", ".join(names) or "none", limit=1)
    return names[0]


def join(results: Sequence[Result]) -> Result:
    """Several runs of one network over different samples as one run over all of them."""
    first = results[0]

    def joined(name: str, axis: int) -> Mapping[str, NDArray[Any]]:
        parts = [getattr(result, name) for result in results]
        return {key: np.concatenate([part[key] for part in parts], axis=axis) for key in parts[0]}

    return replace(
        first,
        spikes=joined("spikes", 1),
        potentials=joined("potentials", 1),
        counts=joined("counts", 0),
        final_potentials=joined("final_potentials", 0),
        total_spikes=joined("total_spikes", 0),
        synaptic_operations=joined("synaptic_operations", 0),
        samples=sum(result.samples for result in results),
        ended=None if first.ended is None else np.concatenate([result.ended for result in results]),
        remarks=tuple(dict.fromkeys(remark for result in results for remark in result.remarks)),
    )
