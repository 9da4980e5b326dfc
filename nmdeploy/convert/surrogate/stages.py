"""Training on a chip within the pipeline: from stages that `build` made to stages that `measure` takes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from nmdeploy.convert.methods import EXACT
from nmdeploy.convert.resets import with_reset
from nmdeploy.convert.surrogate.train import train_on_chip
from nmdeploy.convert.surrogate.trained import TrainedOnChip
from nmdeploy.data import Samples
from nmdeploy.errors import UsageError
from nmdeploy.pipeline import Stage, Stages, place, silent
from nmdeploy.pipeline.place import integers_for
from nmdeploy.target import Choice

TRAINING = "training on the chip"
"""The entry of `Deployment.provenance` that tells how a network was trained on the chip."""


def train_stages(
    stages: Stages, samples: Samples, chip: Choice, stage: Stage = silent, **settings: Any
) -> tuple[Stages, TrainedOnChip]:
    """Train what `build` made with the chip in the loop, and place it again.

    Args:
        stages: from `build`, by a rate recipe.
        samples: labelled training samples; none that `measure` will see.
        chip: the one it was built for.
        stage: opens a progress display for each stage.
        settings: epochs, batch, lr, seed, held_out, as in `train_on_chip`.

    Returns:
        Stages for `measure`, and what each epoch reached. The settings are in the deployment's
        provenance.

    Raises:
        UsageError: for stages of the recipe `exact`.
        NmdeployError: as `train_on_chip` and `place` do.
    """
    recipe = stages.recipe
    if recipe.method == EXACT:
        hint = "train with quantized activations instead (nmdeploy.convert.finetune)"
        raise UsageError("exact mode has no rates to train", where="recipe", found=recipe.method, hint=hint)
    settings = {"seed": recipe.seed, **settings}
    with stage(f"training on {chip.chip.title}") as progress:
        trained = train_on_chip(
            stages.spiking,
            samples,
            chip,
            steps=recipe.steps,
            encoder=recipe.encoder,
            quantize=lambda network: integers_for(with_reset(network, recipe.reset, chip), chip, recipe, None),
            progress=progress,
            **settings,
        )
    integers, deployment = place(trained.network, chip, recipe, stage)
    told = {**deployment.provenance, TRAINING: json.dumps({**settings, "samples": len(samples), "kept": trained.kept})}
    placed = replace(stages, spiking=trained.network, integers=integers, deployment=deployment.with_(provenance=told))
    return placed, trained
