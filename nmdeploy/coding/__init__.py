"""Encoders (samples to spikes) and read-outs (spikes to decisions)."""

from nmdeploy.coding.base import Decision, Encoder, ReadOut
from nmdeploy.coding.clocked import Clocked
from nmdeploy.coding.encoders import Bernoulli, ConstantCurrent, DeterministicRate, Passthrough
from nmdeploy.coding.readouts import FirstSpike, MembranePotential, SpikeCount, SpikesToDecision
from nmdeploy.coding.streamed import Streamed

__all__ = [
    "ENCODERS",
    "READOUTS",
    "Bernoulli",
    "Clocked",
    "ConstantCurrent",
    "Decision",
    "DeterministicRate",
    "Encoder",
    "FirstSpike",
    "MembranePotential",
    "Passthrough",
    "ReadOut",
    "SpikeCount",
    "SpikesToDecision",
    "Streamed",
]

ENCODERS: dict[str, type[Encoder]] = {
    cls.kind: cls for cls in (DeterministicRate, Bernoulli, ConstantCurrent, Passthrough, Clocked, Streamed)
}
"""Every encoder by kind; bundles know no others."""

READOUTS: dict[str, type[ReadOut]] = {
    cls.kind: cls for cls in (SpikeCount, MembranePotential, FirstSpike, SpikesToDecision)
}
"""Every read-out by kind; bundles know no others."""
