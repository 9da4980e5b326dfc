"""The recipe `auto`: candidates measured for a chip, a budget of steps and an energy weight."""

from nmdeploy.pipeline.selection.chooser import Selected, select

__all__ = ["Selected", "select"]
