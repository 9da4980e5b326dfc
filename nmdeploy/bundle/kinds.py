"""The records that a bundle names by kind, and where the known kinds are listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nmdeploy.coding import ENCODERS, READOUTS, Encoder, ReadOut
from nmdeploy.errors import BundleError, UsageError
from nmdeploy.neurons import NeuronModel
from nmdeploy.registry import neuron_model
from nmdeploy.synapses import SYNAPSE_KINDS, Synapse

FAMILIES = (NeuronModel, Synapse, Encoder, ReadOut)
"""The families whose members a bundle tells apart by their `kind`."""

_TABLES: dict[type[Any], Callable[[str], type[Any]]] = {
    NeuronModel: neuron_model,
    Synapse: SYNAPSE_KINDS.__getitem__,
    Encoder: ENCODERS.__getitem__,
    ReadOut: READOUTS.__getitem__,
}


def class_of(family: type[Any], kind: object, place: str) -> type[Any]:
    """The class of `family` that `kind` names.

    Raises:
        BundleError: when no such kind is known, or its target is not installed.
    """
    words = {NeuronModel: "neuron model", Synapse: "synapse", Encoder: "encoder", ReadOut: "read-out"}[family]
    try:
        return _TABLES[family](str(kind))
    except (KeyError, UsageError) as error:
        raise BundleError(
            f"unknown kind of {words}",
            where=place,
            found=repr(kind),
            hint="install the target that defines it, see: nmdeploy targets" if family is NeuronModel else None,
        ) from error
