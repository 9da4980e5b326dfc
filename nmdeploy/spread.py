"""How far a chip may differ from its emulation: a run under every candidate for an order that is not published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Decision
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import UsageError
from nmdeploy.inference import infer
from nmdeploy.progress import Progress
from nmdeploy.registry import targets
from nmdeploy.target import Exactness


@dataclass(frozen=True, eq=False)
class LayerSpread:
    """One population's spike counts under all orders.

    Attributes:
        population: its name.
        spikes: int64 `[orders, samples]`, all its spikes in a sample.
        differing: int64 `[samples]`, neurons whose count is not the same under all orders.
        neurons: its size.
    """

    population: str
    spikes: NDArray[np.int64]
    differing: NDArray[np.int64]
    neurons: int

    @property
    def range(self) -> tuple[float, float]:
        """Spikes of a sample on average, under the order that gives fewest and the one that gives most."""
        means = self.spikes.mean(axis=1)
        return float(means.min()), float(means.max())

    @property
    def share(self) -> float:
        """Neurons whose count hangs on the order, as a share of all, averaged over samples."""
        return float(self.differing.mean()) / self.neurons

    @property
    def largest(self) -> int:
        """Most spikes between two orders in one sample."""
        return int((self.spikes.max(axis=0) - self.spikes.min(axis=0)).max())


@dataclass(frozen=True, eq=False)
class Spread:
    """Runs of the same samples under several orders (emulated).

    Attributes:
        orders: their names, the one of the deployment first.
        origin: what ran.
        steps: steps of one inference.
        layers: populations with neurons, in the network's order.
        decisions: of all samples, under each order.
    """

    orders: tuple[str, ...]
    origin: str
    steps: int
    layers: tuple[LayerSpread, ...]
    decisions: tuple[Decision, ...]

    @property
    def samples(self) -> int:
        """How many samples ran."""
        return len(self.decisions[0].labels)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The decisions, int64 `[orders, samples]`; -1 for a tie, which is none."""
        return np.stack([np.where(each.tied, -1, each.labels) for each in self.decisions])

    @property
    def unsure(self) -> NDArray[np.int64]:
        """The samples whose decision is not the same under all orders, by number."""
        labels = self.labels
        return np.flatnonzero(np.any(labels != labels[0], axis=0))

    @property
    def changed(self) -> tuple[int, ...]:
        """Under each order, decisions that are others than under the first."""
        labels = self.labels
        return tuple(int(np.count_nonzero(each != labels[0])) for each in labels)

    def correct(self, truth: NDArray[Any]) -> tuple[int, ...]:
        """Right decisions under each order."""
        return tuple(int(np.count_nonzero(each.right(truth))) for each in self.decisions)


def exactness(deployment: Deployment) -> Exactness | None:
    """How far the emulation of a deployment holds on the chip; None where its target is not installed."""
    target = targets().get(deployment.target)
    return None if target is None else target.exactness(deployment)


def candidate_orders(deployment: Deployment) -> Mapping[str, Deployment]:
    """The deployment under each candidate order, its own first; empty where nothing is unpublished."""
    target = targets().get(deployment.target)
    if target is None:
        return {}
    found = target.orders(deployment.network)
    return {name: deployment.with_(network=network) for name, network in found.items()}


def spread(
    deployment: Deployment,
    samples: NDArray[Any],
    orders: int | None = None,
    *,
    steps: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Spread:
    """Run samples under several candidate orders.

    Args:
        deployment: with one input and one output.
        samples: `[N, *shape]`, values in the encoder's range.
        orders: how many candidates, the likeliest first; None for all.
        steps: input steps; default: the deployment's.
        threads: of the emulator; None means 1.
        progress: called with (runs done, runs in all), a run being a sample under one order.

    Raises:
        UsageError: where no order is in question, or fewer than two orders are asked for.
    """
    candidates = list(candidate_orders(deployment).items())
    if not candidates:
        where, hint = f"{deployment.chip}, profile {deployment.profile.name}", "leave --orders out"
        raise UsageError("no order of events is in question", where=where, hint=hint)
    if orders is not None and orders < 2:
        raise UsageError("a spread needs at least two orders", where="orders", found=orders, limit=len(candidates))
    chosen, runs = candidates[:orders], []
    total = len(samples) * len(chosen)
    for index, (_, candidate) in enumerate(chosen):

        def advance(done: int, _of: int, first: int = index * len(samples)) -> None:
            if progress is not None:
                progress(first + done, total)

        record = Recording(spikes=(), counts=(ALL,))
        runs.append(infer(candidate, samples, steps=steps, record=record, threads=threads, progress=advance))
    first = runs[0].result
    neurons = [population for population in deployment.network.populations if not population.is_input]
    counts = {p.name: np.stack([run.result.counts[p.name].reshape(len(samples), -1) for run in runs]) for p in neurons}
    return Spread(
        tuple(name for name, _ in chosen),
        first.origin,
        first.steps,
        tuple(_layer(p.name, counts[p.name]) for p in neurons),
        tuple(run.decision for run in runs),
    )


def _layer(name: str, counts: NDArray[np.int64]) -> LayerSpread:
    """From counts `[orders, samples, neurons]`."""
    differing = np.any(counts != counts[:1], axis=0).sum(axis=1)
    return LayerSpread(name, counts.sum(axis=2), differing, counts.shape[2])
