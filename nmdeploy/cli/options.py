"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from nmdeploy.cli.option_list import Command, with_options
from nmdeploy.convert.exact.recipe import BOUNDS
from nmdeploy.convert.normalize import METHODS as NORMALIZATIONS
from nmdeploy.convert.resets import AUTO
from nmdeploy.pipeline import METHODS, Recipe

existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
new_file = click.Path(dir_okay=False, path_type=Path)

_DEFAULTS = Recipe()


def recipe_options(command: Command) -> Command:
    """Add the options that make up a `Recipe`."""
    options = (
        click.option(
            "--recipe",
            "method",
            default=_DEFAULTS.method,
            show_default=True,
            type=click.Choice(tuple(METHODS)),
            help="; ".join(f"{name}: {method.title}" for name, method in METHODS.items()) + ".",
        ),
        click.option(
            "--steps",
            default=_DEFAULTS.steps,
            show_default=True,
            type=click.IntRange(1),
            help="Input steps; for auto the budget: all steps of an inference, without the chip's latency.",
        ),
        click.option(
            "--normalization",
            default=_DEFAULTS.normalization,
            show_default=True,
            type=click.Choice(NORMALIZATIONS),
            help="How activations become rates; bounds: by their own upper ends, as fine-tuning learns them.",
        ),
        click.option("--percentile", default=_DEFAULTS.percentile, show_default=True, help="For percentile."),
        click.option("--factor", default=None, type=float, help="For fixed."),
        click.option(
            "--input",
            default=_DEFAULTS.input,
            show_default=True,
            type=click.Choice(["spikes", "current"]),
            help="Binary input spikes, or graded values at every step.",
        ),
        click.option("--low", default=_DEFAULTS.low, show_default=True, help="Smallest input of the network."),
        click.option("--high", default=_DEFAULTS.high, show_default=True, help="Largest input of the network."),
        click.option(
            "--readout",
            default=_DEFAULTS.readout,
            show_default=True,
            type=click.Choice([AUTO, "count", "potential"]),
            help="Spike counts, or membrane potentials of a last layer that does not spike; auto: counts, "
            "or with rate-calibrated the better one.",
        ),
        click.option(
            "--reset",
            default=_DEFAULTS.reset,
            show_default=True,
            type=click.Choice([AUTO, "subtract", "zero"]),
            help="Reset of the neurons; auto: the best one that the chip can do.",
        ),
        click.option(
            "--v-init",
            "v_init_fraction",
            default=_DEFAULTS.v_init_fraction,
            show_default=True,
            help="Initial membrane potential as a share of the threshold.",
        ),
        click.option(
            "--scale",
            default=_DEFAULTS.scale,
            show_default=True,
            help="How integer scales are found: max, percentile, mse, power-of-two, or a scheme of the chip's own "
            "(see `nmdeploy targets`).",
        ),
        click.option(
            "--per-channel/--per-layer",
            "per_channel",
            default=None,
            help="Integer scales for each output channel, or for each layer; default: what the chip does best.",
        ),
        click.option(
            "--levels",
            default=_DEFAULTS.levels,
            show_default=True,
            type=click.IntRange(1),
            help="For exact: largest spike count of a hidden neuron; auto tries 4, 8, 16 and this.",
        ),
        click.option(
            "--bounds",
            default=_DEFAULTS.bounds,
            show_default=True,
            type=click.Choice(BOUNDS),
            help="For exact: bounds of sums, proven for every input or sampled on the calibration data.",
        ),
        click.option(
            "--energy-weight",
            default=_DEFAULTS.energy_weight,
            show_default=True,
            type=click.FloatRange(0),
            help="For auto: points of accuracy that halving the energy is worth.",
        ),
        click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Seed of everything random."),
    )
    return with_options(command, options)
