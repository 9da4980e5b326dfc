"""The whole path in one call, and what each of its stages gets right.

`build` strings the passes together in the order of the design: import has
happened, then convert, quantize, lower and map. `measure` runs every stage on the
same samples, so that a report can say where accuracy was lost.
"""

from nmdeploy.convert.methods import AUTO, EXACT, METHODS, RATE, RATE_CALIBRATED
from nmdeploy.pipeline.build import build
from nmdeploy.pipeline.measure import VECTORS, measure, with_vectors
from nmdeploy.pipeline.place import place
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.pipeline.stages import Stage, Stages, silent

__all__ = [
    "AUTO",
    "EXACT",
    "METHODS",
    "RATE",
    "RATE_CALIBRATED",
    "VECTORS",
    "Recipe",
    "Stage",
    "Stages",
    "build",
    "measure",
    "place",
    "silent",
    "with_vectors",
]
