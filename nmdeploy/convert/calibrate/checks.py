"""What a network must be like before a calibration begins."""

from __future__ import annotations

from nmdeploy.errors import NetworkError, UsageError
from nmdeploy.network import Network


def check_network(network: Network, work: str = "calibrated") -> None:
    """Raise unless the network is a float one that can be `work` layer by layer, with one input and one output."""
    if network.is_integer:
        hint = "give the float network of to_spiking; it is quantized on the way"
        raise UsageError(f"an integer network cannot be {work}", where=network.name, hint=hint)
    if network.has_cycle:
        raise NetworkError([f"it has a cycle; layers are {work} one after the other"], where=network.name)
    for what, names in (("input", [each.name for each in network.inputs]), ("output", list(network.outputs))):
        if len(names) != 1:
            message = f"a network that is {work} needs one {what}"
            raise UsageError(message, where=network.name, found=", ".join(names), limit=1)
