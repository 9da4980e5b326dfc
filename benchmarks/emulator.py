"""The emulator beside other simulators: the same integers, one process, taking turns, CPU time.

    python -m benchmarks.emulator --network cnn --images 32 --repeats 5
    python -m benchmarks.emulator --network vgg --images 4 --steps 32 --activities 0.05

Networks: `cnn` is the sinabs tutorial's MNIST CNN with int8 weights and Bernoulli input
(needs torch, `models/sinabs_mnist_cnn.pt` and `data/mnist.npz`), at its trained activity
and at others; `dense` is 784-500-10 and `vgg` a CIFAR-size VGG, both with random int8
weights. A simulator that is not installed is left out and named.

Everyone's output spikes are compared before anything is timed. Trust ratios more than
absolute times: on a shared machine both vary, but the rivals run side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.activity import bernoulli, made_images, mnist_images, of_mean, with_activity
from benchmarks.bound import STATED, Meter, Rates, bound_ms
from benchmarks.networks import dense_network, load_sinabs_cnn, vgg
from benchmarks.peers import in_batches, peers, use_threads
from benchmarks.turns import Times, take_turns
from nmdeploy.emulator.result import Result
from nmdeploy.emulator.run import Engine, emulate
from nmdeploy.errors import UsageError
from nmdeploy.machine import this_machine, usable_cpus
from nmdeploy.network import Network
from nmdeploy.report.summary import Row, table

Spikes = NDArray[np.uint8]
ENGINES: tuple[Engine, ...] = ("compiled", "numpy")
BATCHES = (1, 4, 16, 64, 256)
ACTIVITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
SHARED = Path(os.environ.get("NMDEPLOY_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@dataclass(frozen=True)
class Case:
    """A network with input spikes `[T, N, *shape]` and what it is called in the table."""

    name: str
    network: Network
    spikes: Spikes


@dataclass(frozen=True)
class Outcome:
    """What was measured of one case.

    Attributes:
        name: of the case.
        rates: spikes of one neuron in one step, by population (emulated).
        operations: synaptic operations of one image (emulated).
        times: by rival, for all images.
        bound, stated_bound: lower bounds in ms for one image, at this machine's rates and at the stated ones.
        images: of each run.
    """

    name: str
    rates: Mapping[str, float]
    operations: float
    times: Mapping[str, Times]
    bound: float
    stated_bound: float
    images: int

    def milliseconds(self, rival: str) -> float:
        """Median CPU milliseconds of one image."""
        return 1e3 * self.times[rival].cpu_median / self.images


def installed_engines(asked: Sequence[Engine] = ENGINES) -> list[Engine]:
    """The engines among `asked` that this installation has."""
    tiny = dense_network(sizes=(2, 2))
    found: list[Engine] = []
    for engine in asked:
        try:
            emulate(tiny, np.zeros((1, 1, 2), np.uint8), engine=engine)
        except UsageError:
            continue
        found.append(engine)
    return found


def cases(options: argparse.Namespace) -> list[Case]:
    """The asked network, as trained (where it was) and at every asked activity."""
    if options.network == "cnn":
        network, images = load_sinabs_cnn(options.data), mnist_images(options.data, options.images)
        made = [Case("trained", network, bernoulli(images, options.steps))]
    else:
        network = dense_network() if options.network == "dense" else vgg()
        images, made = made_images(network.populations[0].shape, options.images), []
    for activity in options.activities:
        spikes = bernoulli(of_mean(images, activity), options.steps)
        made.append(Case(f"{activity:.1%}", with_activity(network, spikes, activity), spikes))
    return made


def rivals_of(
    case: Case, engines: list[Engine], batches: dict[str, int]
) -> tuple[dict[str, Callable[[], object]], Result]:
    """Everyone who can run the case, checked to give the same output spikes; and our run.

    Args:
        case: what to run.
        engines: ours.
        batches: best batch of each peer; found here for those that are not in it yet.
    """
    output = case.network.outputs[0]
    result = emulate(case.network, case.spikes)
    rivals: dict[str, Callable[[], object]] = {}
    for engine in engines:
        run: Any = partial(emulate, case.network, case.spikes, engine=engine)
        np.testing.assert_array_equal(run().spikes[output], result.spikes[output])
        rivals[f"nmdeploy {engine}"] = run
    for name, peer in peers(case.network)[0].items():
        if name not in batches:
            batches[name] = best_batch(peer, case.spikes)
        timed = partial(in_batches, peer, case.spikes, batches[name])
        np.testing.assert_array_equal(timed(), result.spikes[output])
        rivals[name] = timed
    return rivals, result


def best_batch(run: Callable[[Spikes], Spikes], spikes: Spikes) -> int:
    """The batch with the least CPU time, of one run each after one to warm up."""
    candidates = sorted({min(batch, spikes.shape[1]) for batch in BATCHES})
    run(spikes[:, :1])
    seconds: dict[int, float] = {}
    for batch in candidates:
        began = process_time()
        in_batches(run, spikes, batch)
        seconds[batch] = process_time() - began
    return min(seconds, key=lambda batch: seconds[batch])


def measure(case: Case, engines: list[Engine], batches: dict[str, int], meter: Meter | None, repeats: int) -> Outcome:
    """Time everyone on one case."""
    rivals, result = rivals_of(case, engines, batches)
    times = take_turns({**rivals, **(meter.rivals() if meter else {})}, repeats)
    rates: Rates = meter.rates(times) if meter else STATED
    active = {
        p.name: float(result.total_spikes[p.name].mean()) / (p.size * result.steps) for p in case.network.populations
    }
    return Outcome(
        case.name,
        active,
        sum(float(each.mean()) for each in result.synaptic_operations.values()),
        {name: times[name] for name in rivals},
        bound_ms(case.network, result, rates),
        bound_ms(case.network, result, STATED),
        result.samples,
    )


def time_table(outcomes: list[Outcome]) -> str:
    """CPU milliseconds of one image: a row for each case, a column for each rival, medians."""
    names = list(outcomes[0].times)
    rows: list[Row] = [
        (
            each.name,
            f"{each.operations / 1e6:.1f}",
            *(f"{each.milliseconds(name):.2f}" for name in names),
            f"{each.bound:.2f}",
            f"{each.stated_bound:.2f}",
        )
        for each in outcomes
    ]
    return table(("activity", "Msynops", *names, "bound", "bound (stated rates)"), rows)


def ratio_table(outcomes: list[Outcome]) -> str:
    """How many times longer each peer takes than our first engine, and ours than the bound; least and most of ours."""
    ours, *others = outcomes[0].times
    rows: list[Row] = []
    for each in outcomes:
        mine = each.milliseconds(ours)
        spread = [1e3 * seconds / each.images for seconds in each.times[ours].cpu]
        rows.append(
            (
                each.name,
                *(f"{each.milliseconds(name) / mine:.1f}" for name in others),
                f"{mine / each.bound:.2f}",
                f"{mine / each.stated_bound:.2f}",
                f"{min(spread):.2f}",
                f"{max(spread):.2f}",
            )
        )
    header = (
        "activity",
        *(f"{name} / ours" for name in others),
        "ours / bound",
        "ours / bound (stated rates)",
        "ours least ms",
        "most",
    )
    return table(header, rows)


def throughput(case: Case, engines: list[Engine], batches: dict[str, int], threads: list[int], repeats: int) -> str:
    """Images a second by the clock, for each number of threads, ours and the peers'."""
    rows: list[Row] = []
    for engine in engines[:1]:
        runs: dict[str, Any] = {
            str(count): partial(emulate, case.network, case.spikes, engine=engine, threads=count) for count in threads
        }
        times = take_turns(runs, repeats)
        rows.append(_throughput_row(f"nmdeploy {engine}", case, times))
    for name, peer in peers(case.network)[0].items():

        def threaded(count: int, peer: Any = peer, name: str = name) -> None:
            use_threads(count)
            in_batches(peer, case.spikes, batches[name])
            use_threads(1)

        times = take_turns({str(count): partial(threaded, count) for count in threads}, repeats)
        rows.append(_throughput_row(name, case, times))
    return table(("system", *(f"{count} threads" for count in threads), "most / one"), rows)


def _throughput_row(name: str, case: Case, times: Mapping[str, Times]) -> Row:
    images = case.spikes.shape[1]
    medians = [each.wall_median for each in times.values()]
    return (name, *(f"{images / median:.1f}" for median in medians), f"{medians[0] / medians[-1]:.2f}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("cnn", "dense", "vgg"), default="cnn")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with models/ and data/")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--activities", type=float, nargs="*", default=list(ACTIVITIES))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--threads", type=int, nargs="*", default=[1, usable_cpus()], help="for images a second")
    parser.add_argument("--json", type=Path, help="also write every single time to this file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print tables."""
    options = parse(arguments)
    engines = installed_engines(options.engines)
    all_cases = cases(options)
    for sentence in peers(all_cases[0].network)[1]:
        print(sentence)
    batches: dict[str, int] = {}
    with ExitStack() as stack:
        meter = _meter(stack)
        use_threads(1)
        outcomes = [measure(case, engines, batches, meter, options.repeats) for case in all_cases]
    size = f"{options.images} images x {options.steps} steps, n = {options.repeats} runs"
    print(f"measured: CPU ms per image, medians, one thread, {size}; output spikes equal in all columns")
    print(f"on: {this_machine(('nmdeploy', 'numpy', 'torch', 'sinabs', 'spikingjelly'))}")
    print(f"best batches: {', '.join(f'{name}: {batch}' for name, batch in batches.items())}\n")
    print(time_table(outcomes), "\n")
    print(ratio_table(outcomes))
    if options.threads:
        print(f"\nmeasured: images/s by the clock, medians of n = {options.repeats}, {all_cases[0].name} activity")
        print(throughput(all_cases[0], engines, batches, options.threads, options.repeats))
    if options.json:
        plain = {"machine": asdict(this_machine()), "size": size, "outcomes": [asdict(each) for each in outcomes]}
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def _meter(stack: ExitStack) -> Meter | None:
    folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    try:
        return Meter(Path(folder))
    except OSError as error:
        print(f"the bound is at the stated rates only: {error}")
        return None


if __name__ == "__main__":
    main()
