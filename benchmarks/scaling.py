"""CPU time of one image against steps, images in a call, width and activity: four panels, one picture.

    python -m benchmarks.scaling --out FOLDER

Writes `scaling.png` and `scaling.json` into the folder. The network is the sinabs MNIST
CNN where its data is there, else two small random convolutions; the panel over width is
always of the latter. Ours is drawn beside plain torch where torch is installed, and over
activity beside the lower bound of `benchmarks.bound` at this machine's measured rates.
Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.activity import bernoulli, made_images, mnist_images, of_mean, with_activity
from benchmarks.bound import STATED, Meter, Rates, bound_ms
from benchmarks.emulator import SHARED
from benchmarks.networks import load_sinabs_cnn, small_convolutions
from benchmarks.peers import in_batches, peers
from benchmarks.turns import take_turns
from nmdeploy.emulator.run import emulate
from nmdeploy.machine import Machine, this_machine
from nmdeploy.network import Network

STEPS = (10, 30, 100, 300, 1000)
CALLS = (1, 2, 4, 8, 16, 32)
WIDTHS = (2, 4, 8, 16, 32, 64)
ACTIVITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
WIDTH_ACTIVITY = 0.05
PEER_BATCH = 8
COLOURS = {"ours": "#1f4e79", "torch": "#c55a11", "bound": "#7f7f7f"}


@dataclass
class Curve:
    """CPU milliseconds of one image against something.

    Attributes:
        title: what varies, with what is held.
        label: of the horizontal axis.
        x: its values.
        milliseconds: by system, a median for each x.
    """

    title: str
    label: str
    x: list[float] = field(default_factory=list)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, x: float, milliseconds: dict[str, float]) -> None:
        """One point of each line."""
        self.x.append(x)
        for name, value in milliseconds.items():
            self.milliseconds.setdefault(name, []).append(value)


@dataclass(frozen=True)
class Bench:
    """How points are measured: images of a network's kind, repeats, and the rates of this core."""

    images: NDArray[np.float64]
    repeats: int
    rates: Rates

    def point(self, network: Network, spikes: NDArray[np.uint8], *, torch: bool = True) -> dict[str, float]:
        """CPU milliseconds of one image: ours, and plain torch's with the same output spikes."""
        rivals: dict[str, Callable[[], Any]] = {"ours": partial(emulate, network, spikes)}
        output = rivals["ours"]().spikes[network.outputs[0]]
        for name, run in peers(network)[0].items() if torch else ():
            if name == "torch":
                rivals[name] = partial(in_batches, run, spikes, PEER_BATCH)
                np.testing.assert_array_equal(rivals[name](), output)
        times = take_turns(rivals, self.repeats)
        return {name: 1e3 * each.cpu_median / spikes.shape[1] for name, each in times.items()}


def over_steps(bench: Bench, network: Network, steps: Sequence[int]) -> Curve:
    """Cost against the number of input steps."""
    curve = Curve(f"steps ({len(bench.images)} images in a call)", "input steps")
    for count in steps:
        curve.add(count, bench.point(network, bernoulli(bench.images, count)))
    return curve


def over_images(bench: Bench, network: Network, images: Sequence[int], steps: int) -> Curve:
    """Cost of one image against how many there are in a call."""
    curve = Curve(f"images in a call ({steps} steps)", "images in a call")
    for count in images:
        curve.add(
            count, bench.point(network, bernoulli(np.resize(bench.images, (count, *bench.images.shape[1:])), steps))
        )
    return curve


def over_width(bench: Bench, widths: Sequence[int], steps: int) -> Curve:
    """Cost against the channels of two small convolutions, at a held activity."""
    curve = Curve(f"width (two convolutions, {WIDTH_ACTIVITY:.0%} active)", "channels of the first layer")
    for width in widths:
        plain = small_convolutions(width=width)
        spikes = bernoulli(of_mean(made_images(plain.populations[0].shape, len(bench.images)), WIDTH_ACTIVITY), steps)
        curve.add(width, bench.point(with_activity(plain, spikes, WIDTH_ACTIVITY), spikes))
    return curve


def over_activity(bench: Bench, network: Network, activities: Sequence[float], steps: int) -> Curve:
    """Cost against the activity of every layer, with the lower bound."""
    curve = Curve(f"activity ({steps} steps)", "spikes of one neuron in one step, %")
    for activity in activities:
        spikes = bernoulli(of_mean(bench.images, activity), steps)
        active = with_activity(network, spikes, activity)
        bound = bound_ms(active, emulate(active, spikes), bench.rates)
        curve.add(100 * activity, {**bench.point(active, spikes), "bound": bound})
    return curve


def draw(curves: Sequence[Curve], title: str, path: Path) -> None:
    """All curves in one picture, both axes logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator

    figure = Figure(figsize=(9, 7), layout="constrained")
    FigureCanvasAgg(figure)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for axes, curve in zip(figure.subplots(2, 2).flat, curves, strict=False):
        for name, values in curve.milliseconds.items():
            style = {"linestyle": "--", "marker": ""} if name == "bound" else {"marker": "o", "markersize": 4}
            axes.plot(curve.x, values, color=COLOURS[name], label=name, **style)
        axes.set(xscale="log", yscale="log", title=curve.title, xlabel=curve.label, ylabel="CPU ms per image")
        axes.set_xticks(curve.x, minor=False)
        axes.xaxis.set_major_formatter(plain)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(plain)
        axes.minorticks_off()
        axes.grid(visible=True, linewidth=0.4, alpha=0.5)
        axes.legend(frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def measured_rates(repeats: int) -> Rates:
    """The rates of this core, or the stated ones where they cannot be measured."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            meter = Meter(Path(folder))
        except OSError:
            return STATED
        return meter.rates(take_turns(meter.rivals(), repeats))


def subject(data: Path, images: int) -> tuple[Network, NDArray[np.float64]]:
    """The trained CNN with test images where the data and torch are there, else small random convolutions."""
    if (data / "models" / "sinabs_mnist_cnn.pt").is_file():
        try:
            return load_sinabs_cnn(data), mnist_images(data, images)
        except ImportError:
            pass
    network = small_convolutions()
    return network, made_images(network.populations[0].shape, images)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture and the numbers")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with models/ and data/")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100, help="of all panels but the first")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--points", type=int, help="only the first so many points of each panel")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Measure, draw, write."""
    options = parse(arguments)
    network, images = subject(options.data, options.images)
    bench, machine = Bench(images, options.repeats, measured_rates(options.repeats)), this_machine(LIBRARIES)
    curves = [
        over_steps(bench, network, STEPS[: options.points]),
        over_images(bench, network, CALLS[: options.points], options.steps),
        over_width(bench, WIDTHS[: options.points], options.steps),
        over_activity(bench, network, ACTIVITIES[: options.points], options.steps),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    title = f"{network.name}, one thread, medians of {options.repeats} runs (measured)\n{machine}"
    draw(curves, title, options.out / "scaling.png")
    write_numbers(curves, machine, bench.rates, options.out / "scaling.json")
    print(f"written: {options.out / 'scaling.png'} and scaling.json")


LIBRARIES = ("nmdeploy", "numpy", "torch")


def write_numbers(curves: Sequence[Curve], machine: Machine, rates: Rates, path: Path) -> None:
    """All points as JSON."""
    plain = {"machine": asdict(machine), "rates": asdict(rates), "curves": [asdict(curve) for curve in curves]}
    path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
