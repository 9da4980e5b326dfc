"""Calibration of a network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Encoder
from nmdeploy.convert.calibrate.checks import check_network
from nmdeploy.convert.calibrate.chip_loop import ChipLoop, Engine
from nmdeploy.convert.calibrate.corrections import ALL_CORRECTIONS, Corrections
from nmdeploy.convert.calibrate.layers import CalibratedLayer, LayerByLayer
from nmdeploy.convert.calibrate.rates import activations, mean_input
from nmdeploy.convert.calibrate.readout import with_best_readout
from nmdeploy.convert.calibrate.search import candidates, trials
from nmdeploy.convert.checks import check_variety, remarks_on, too_late
from nmdeploy.convert.integers import to_integers
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import ShapeError, UsageError
from nmdeploy.inference import default_encoder
from nmdeploy.network import Network, Population
from nmdeploy.neurons import IF
from nmdeploy.progress import Progress
from nmdeploy.target import Choice

SPIKE_BYTES = 1 << 28
"""Spikes of the largest layer are kept within this; fewer samples are used where layers or runs are large."""

_SHORTEST = 16
"""Runs count as at least this long, since activations and fits take memory too, a few doubles a neuron and sample."""


@dataclass(frozen=True)
class Calibration:
    """A calibrated network and how it came about.

    Attributes:
        network: float network for `to_integers`, with the chip's latencies as delays.
        layers: the spiking layers, in order.
        samples: number of samples used.
    """

    network: Network
    layers: tuple[CalibratedLayer, ...]
    samples: int


def calibrate(
    network: Network,
    samples: NDArray[Any],
    chip: Choice,
    *,
    steps: int,
    encoder: Encoder | None = None,
    ceilings: Mapping[str, float] | None = None,
    choose_readout: bool = False,
    corrections: Corrections = ALL_CORRECTIONS,
    quantize: Callable[[Network], Network] | None = None,
    engine: Engine = emulate,
    seed: int = 0,
    progress: Progress | None = None,
) -> Calibration:
    """Fit a float spiking network to what a chip makes of it in a run of `steps`.

    Layer by layer, in order: the layer is quantized and lowered with everything before it
    and runs on the spikes that the chip gives it. Of `CANDIDATES` (threshold and initial
    potential) the one is kept whose spike rates, mapped by a gain and an offset for each
    channel (least squares), come nearest to the activations of the trained network. Gains
    are folded into the weights of the next layers, offsets into their biases; then those
    are quantized. The weights of an output that only integrates are refitted at the end
    (`refit`). Labels are not needed. A run lasts longer than its input on chips with a
    step of latency a layer, so biases are scaled to add up to `steps` times their value.

    Compare SNN Calibration (Li et al., ICML 2021, arXiv:2106.06984), which corrects
    neurons with reset by subtraction, in float.

    Args:
        network: float network with `IF` and `Integrator` neurons, as from `to_spiking`; its
            neurons have the reset that the chip can do.
        samples: `[N, *shape]`, some hundreds, as the encoder takes them.
        chip: target, chip and profile whose arithmetic is used.
        steps: input steps T of an inference; the calibrated network is for this T.
        encoder: default: `default_encoder`.
        ceilings: largest activation of a population, in units of its rate, where its
            rectifier is bounded (ReLU6).
        choose_readout: whether an output that only integrates is made to fire where that
            decides more often like the trained network on the samples (see `with_best_readout`).
        corrections: what may be changed; to see what each correction is worth.
        quantize: brings a float network to the chip's integers; default: `to_integers`.
        engine: runs lowered networks.
        seed: of the order in which samples are used.
        progress: called with (trials done, trials in all); interrupting it harms nothing.

    Returns:
        The calibrated network; `Network.notes` tells of layers that could not be calibrated well.

    Raises:
        UsageError, NetworkError: for a network that is not a float one, has a cycle, or
            several inputs or outputs; for steps below 1.
        DataError, ShapeError: for fewer than two samples, samples that are all the same, or
            of another shape than the input.
        NmdeployError: whatever encoding, quantizing or lowering finds wrong.
    """
    check_network(network)
    if steps < 1:
        raise UsageError("an inference has at least one step", where="steps", found=steps)
    samples = np.asarray(samples)
    check_variety(samples)
    remarks = list(remarks_on(samples))
    loop, delayed = _on_chip(ChipLoop(chip, quantize or _quantizer(chip), engine, steps), network)
    remarks += too_late(network, loop.lowered(network), steps)
    used = _drawn(
        samples, max(loop.steps, _SHORTEST) * max(population.size for population in network.populations), seed
    )
    if len(used) < len(samples):
        remarks.append(f"calibrated on {len(used)} of {len(samples)} samples, to bound the memory for spikes")
    layers = [each for each in network.order() or () if isinstance(each.neuron, IF)]
    among = candidates(corrections.thresholds, corrections.starts)
    ticks = _Ticks(progress, (len(layers) + choose_readout) * trials(len(used), among))
    run = LayerByLayer(loop, delayed, steps, ticks.tick, corrections)
    found = _through(run, network, used, encoder or default_encoder(network), ceilings or {}, choose_readout)
    ticks.finish()
    words = f"calibrated for {chip.name} and {steps} steps on {len(used)} samples"
    notes = tuple(dict.fromkeys((*network.notes, words, *remarks, *run.remarks)))
    return Calibration(replace(run.in_time(), notes=notes), tuple(found), len(used))


def _quantizer(chip: Choice) -> Callable[[Network], Network]:
    return lambda network: to_integers(network, chip.precision)


def _on_chip(loop: ChipLoop, network: Network) -> tuple[ChipLoop, Network]:
    """The loop for runs as long as the network needs there, and the network with the chip's delays.

    With them biases add up to the same before and after lowering.
    """
    lowered = loop.lowered(network)
    loop = replace(loop, steps=loop.steps + lowered.latency())
    ends = [(each.source, each.target) for each in network.projections]
    if ends != [(each.source, each.target) for each in lowered.projections]:
        return loop, network
    pairs = zip(network.projections, lowered.projections, strict=True)
    delayed = replace(network, projections=tuple(replace(each, delay=low.delay) for each, low in pairs))
    again = [each.delay for each in loop.lowered(delayed).projections]
    return loop, delayed if again == [each.delay for each in lowered.projections] else network


def _drawn(samples: NDArray[Any], bytes_each: int, seed: int) -> NDArray[Any]:
    """The samples in random order, as many as memory allows, at least two."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(samples))
    return samples[order[: max(2, SPIKE_BYTES // bytes_each)]]


def _through(
    run: LayerByLayer,
    network: Network,
    samples: NDArray[Any],
    encoder: Encoder,
    ceilings: Mapping[str, float],
    choose_readout: bool,
) -> list[CalibratedLayer]:
    """Calibrate all layers of `network`, the one that was trained, in order."""
    source, shape = network.inputs[0].name, network.inputs[0].shape
    spikes = encoder.encode(samples, run.steps)
    if spikes.shape[2:] != shape:
        message = "samples have another shape than the network's input"
        raise ShapeError(message, where=source, found=samples.shape[1:], limit=shape)
    run.input(source, spikes)
    rates = {source: mean_input(encoder, samples, spikes)}
    found = []
    for population in network.order() or ():
        name = population.name
        if population.neuron is None:
            continue
        rates[name] = activations(network, name, rates, ceilings.get(name))
        if isinstance(population.neuron, IF):
            found.append(run.calibrate(name, rates[name]))
        else:
            run.refit(name, rates[name])
            found += with_best_readout(run, name, rates[name]) if choose_readout else []
        for done in _no_longer_needed(network, population):
            run.spikes.pop(done, None)
            rates.pop(done, None)
    return found


def _no_longer_needed(network: Network, reached: Population) -> list[str]:
    """The sources of a population that no later one has."""
    order = [each.name for each in network.order() or ()]
    later = set(order[order.index(reached.name) + 1 :])
    sources = {projection.source for projection in network.into(reached.name)}
    return sorted(name for name in sources if not {each.target for each in network.out_of(name)} & later)


class _Ticks:
    """Counts trials for a progress display."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def tick(self) -> None:
        """One trial is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        """All are done, also those that were not needed."""
        if self._progress is not None and self._done < self._total:
            self._progress(self._total, self._total)
