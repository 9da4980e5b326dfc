"""A configuration as named integers, to compare two of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nmdeploy.linear_maps import Array
from targets.dynapcnn.configuration.json_form import plain
from targets.dynapcnn.configuration.tree import Configuration


def leaves(configuration: Configuration) -> dict[str, Array]:
    """Every value that is written, by its path (`cnn_layers.3.weights`), as int64 arrays; booleans are 0 and 1."""
    sections = plain(configuration)
    del sections["chip"]  # which configuration it is, nothing that is written into one
    return dict(_leaves("", sections))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Array]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, entry)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, entry in enumerate(value):
            yield from _leaves(f"{path}.{index}", entry)
    elif value != []:
        yield path, np.asarray(value, dtype=np.int64)
