"""The recipe of a deployment, and what it guarantees."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from nmdeploy.convert.methods import METHODS
from nmdeploy.deployment import Deployment
from nmdeploy.report.section import Section


@dataclass(frozen=True)
class Conversion:
    """How a deployment was converted.

    Attributes:
        recipe: name of the recipe.
        title: what it does.
        guarantee: what is known before a run.
    """

    recipe: str
    title: str
    guarantee: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def conversion_of(deployment: Deployment) -> Conversion | None:
    """How a deployment was converted; None when it was not, or by a recipe that this release does not know."""
    stored = deployment.provenance.get("recipe.method")
    # A model in the chip's own terms has a recipe for its encoder alone; what was converted keeps its float network.
    if stored is None or deployment.source is None:
        return None
    method = METHODS.get(_text(stored))
    return None if method is None else Conversion(_text(stored), method.title, method.guarantee)


def _text(stored: str) -> str:
    try:
        return str(json.loads(stored))
    except ValueError:
        return stored


def conversion_section(conversion: Conversion | None) -> Section:
    """What the recipe does, and its guarantee."""
    if conversion is None:
        return Section("Recipe")
    lines = (f"{conversion.title[0].upper()}{conversion.title[1:]}.", f"Guarantee: {conversion.guarantee}.")
    return Section(f"Recipe {conversion.recipe}", lines)
