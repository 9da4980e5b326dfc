"""`nmdeploy convert`: from a trained model to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from numpy.typing import NDArray

from nmdeploy.cli.console import progress, say
from nmdeploy.cli.options import existing_file, new_file, recipe_options
from nmdeploy.convert.methods import METHODS

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment
    from nmdeploy.network import Network
    from nmdeploy.pipeline import Recipe
    from nmdeploy.target import Choice


def parse_shape(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """`1x28x28` as a tuple of sizes."""
    if text is None:
        return None
    sizes = text.split("x")
    if not all(size.isdigit() and int(size) for size in sizes):
        raise click.BadParameter(f"{text!r} is no shape such as 1x28x28")
    return tuple(int(size) for size in sizes)


def with_channel(images: NDArray[Any], shape: tuple[int, ...] | None) -> NDArray[Any]:
    """Samples `[N, H, W]` as `[N, 1, H, W]`, unless their shape was asked for; others as they are."""
    return images[:, None] if shape is None and images.ndim == 3 else images


def guarantees() -> str:
    """What each recipe guarantees, for the end of the help text."""
    told = "\n\n".join(f"{name}: {method.guarantee}." for name, method in METHODS.items())
    return f"What each recipe guarantees:\n\n{told}"


@click.command("convert", epilog=guarantees())
@click.argument("model")
@click.option("--state", type=existing_file, help="State-dict file for a package.module:factory model.")
@click.option(
    "--data",
    type=existing_file,
    help="Samples as .npz: x and y, or x_train, y_train, ...; needed unless MODEL is ready.",
)
@click.option("--target", default="loihi1", show_default=True, help="Chip, as in `nmdeploy targets`.")
@click.option("--out", "-o", type=new_file, help="Bundle to write; default: the model's name with .nmd.")
@click.option("--calibration", default=500, show_default=True, type=click.IntRange(1), help="Samples to calibrate on.")
@click.option(
    "--test", "test_count", default=1000, show_default=True, type=click.IntRange(0), help="Samples to test on."
)
@click.option(
    "--max-pool",
    default="refuse",
    show_default=True,
    type=click.Choice(["refuse", "average"]),
    help="What to do with max pooling.",
)
@click.option(
    "--shape",
    callback=parse_shape,
    help="Shape of one sample for the model, as 1x28x28; default: images get one channel.",
)
@recipe_options
def convert_command(
    model: str,
    state: Path | None,
    data: Path | None,
    target: str,
    out: Path | None,
    calibration: int,
    test_count: int,
    max_pool: str,
    shape: tuple[int, ...] | None,
    **options: Any,
) -> None:
    """Convert MODEL to spikes, quantize, map it to a chip and write a bundle.

    MODEL is a .pt2 file (torch.export.save) or package.module:factory, a callable
    without arguments that makes an nn.Module; its weights come from --state.
    The data file's train part calibrates, its test part measures; a file without
    parts is divided, so that no sample does both. The recipe auto divides the
    calibration samples once more: labels, where there are any, judge on held-out ones.

    A model file of the chip's own software (.net for Loihi) is ready: it is read,
    mapped and written as it is; data are used for measuring only.
    """
    from nmdeploy.ann.from_torch import from_torch
    from nmdeploy.ann.model_spec import load_model
    from nmdeploy.data import calibration_and_test, load_samples
    from nmdeploy.pipeline import Recipe, build, measure
    from nmdeploy.ready import reader_of
    from nmdeploy.registry import chip

    recipe, choice = Recipe(**options), chip(target)
    reader = reader_of(Path(model), choice)
    if reader is not None:
        network = reader(existing_file.convert(model, None, None))
        deployment = _ready(network, choice, recipe, data, test_count)
        _finish(deployment, out or Path(f"{Path(model).stem}.nmd"))
        return
    if data is None:
        raise click.UsageError("Missing option '--data': a model is calibrated on samples.")
    loaded = load_model(model, state)
    exported = model.endswith(".pt2")
    name = Path(model).stem if exported else model.partition(":")[2]
    example = None if exported else with_channel(load_samples(data, "train", shape).x[:1], shape)
    graph = from_torch(loaded, example, name=name, max_pool=max_pool)
    source = graph.shapes[graph.sources[0].name]
    samples, test = calibration_and_test(data, source, calibration, test_count, recipe.seed)
    stages = build(graph, samples.x, choice, recipe, progress, labels=samples.y)
    deployment = stages.deployment
    if test.y is not None and len(test):
        deployment = measure(stages, test, recipe, progress, data.name)
    _finish(deployment, out or Path(f"{name}.nmd"))


def _ready(network: Network, choice: Choice, recipe: Recipe, data: Path | None, test_count: int) -> Deployment:
    """A network that needs no conversion, mapped and, with data, measured."""
    from nmdeploy.data import load_samples
    from nmdeploy.ready import measure_ready, place_ready

    deployment = place_ready(network, choice, recipe, progress)
    if data is None or not test_count:
        return deployment
    samples = load_samples(data, "test", network.inputs[0].shape)
    return measure_ready(deployment, samples.drawn(min(test_count, len(samples)), recipe.seed), progress, data.name)


def _finish(deployment: Deployment, path: Path) -> None:
    """Write the bundle and say what is in it."""
    from nmdeploy.bundle import save
    from nmdeploy.report import build_report, render_text

    save(deployment, path)
    say(render_text(build_report(deployment)))
    say(f"\nwritten: {path}")
