"""A chip whose arithmetic is that of the ideal neuron, without any latency."""

from nmdeploy.target import Chip, Choice, Lowered, Precision, Profile, Target
from quantize import IntegerFormat


class PlainTarget(Target):
    """Integers as they are: no latency, no rules, no cores.

    The profile names what the chip has: `bias`, `no bias`: 8-bit weights and reset to zero, with or
    without biases; `wide`: weights and biases so wide that rounding hardly matters, reset by subtraction.
    """

    name = "plain"

    def chips(self):
        return {"plain1": Chip("plain1", "Plain", {})}

    def neuron_models(self):
        return ()

    def precision(self, chip, profile):
        if profile == "wide":
            wide = IntegerFormat(24)
            return Precision(wide, IntegerFormat(31, signed=False), IntegerFormat(31), resets=("subtract",))
        bias = IntegerFormat(16) if profile == "bias" else None
        return Precision(IntegerFormat(8), IntegerFormat(16, signed=False), bias, resets=("zero",))

    def lower(self, network, chip, profile):
        return Lowered(network, Profile(f"plain/{profile}", ()))

    def rules(self, chip):
        return ()

    def map(self, network, chip, chips=1):
        raise NotImplementedError

    def check(self, network, placement, chip):
        return ()


def plain_chip(profile: str) -> Choice:
    """The plain chip under one of its profiles."""
    target = PlainTarget()
    return Choice(target, target.chips()["plain1"], profile)
