"""Neuron models: parameters plus a normative `step`.

A model is a frozen record whose docstring is its equation and whose `step` is the
definition every emulator obeys. The ideal models live here; a chip states its own
arithmetic once, in `targets/<chip>/neuron.py`.
"""

from nmdeploy.linear_maps import Array
from nmdeploy.neurons.base import NeuronModel, State, broadcasts, fill, held
from nmdeploy.neurons.ideal import IF, Integrator
from nmdeploy.neurons.steps import EventRule, Number, Scan

__all__ = [
    "IF",
    "Array",
    "EventRule",
    "Integrator",
    "NeuronModel",
    "Number",
    "Scan",
    "State",
    "broadcasts",
    "fill",
    "held",
]
