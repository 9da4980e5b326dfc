"""The chip's configuration as data: `tree` holds it, `build` makes it of a deployment, `json_form` stores it."""

from targets.dynapcnn.configuration.build import SPIKES_DECIDE, configuration
from targets.dynapcnn.configuration.dvs import DvsInput
from targets.dynapcnn.configuration.json_form import from_json, read_json, to_json, write_json
from targets.dynapcnn.configuration.tree import CnnLayer, Configuration, DvsLayer, Readout

__all__ = [
    "SPIKES_DECIDE",
    "CnnLayer",
    "Configuration",
    "DvsInput",
    "DvsLayer",
    "Readout",
    "configuration",
    "from_json",
    "read_json",
    "to_json",
    "write_json",
]
