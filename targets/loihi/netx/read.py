"""Reading a `.net` file into a network in Loihi's terms."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from nmdeploy.errors import UsageError
from nmdeploy.network import Network
from targets.loihi.netx.file_reader import read_file
from targets.loihi.netx.schema import Arguments
from targets.loihi.netx.to_network import network_of


def read_net(
    path: str | os.PathLike[str],
    *,
    num_layers: int | None = None,
    skip_layers: int = 0,
    arguments: Arguments | None = None,
) -> Network:
    """The network that lava-dl 0.6.0's `netx.hdf5.Network` would run in Lava, integer for integer.

    The file is data: nothing in it is run or followed, and sizes are checked before
    memory is taken.

    Args:
        path: of the file.
        num_layers: take only the first so many layers; None for all.
        skip_layers: leave out the first so many; what they send becomes the input.
        arguments: NetX's other arguments; None for those stored with the file by
            nmdeploy, which are NetX's defaults in other files.

    Returns:
        Populations `input`, `layer1`, ... with Loihi's LIF, projections with stored
        weights, exponents and one step of delay a layer; its notes tell what NetX
        changes or ignores.

    Raises:
        ModelError: naming file and layer, when the file is missing, torn or foreign, or
            has what NetX cannot build or Loihi's LIF cannot do.
        UsageError: for arguments out of range.
    """
    if (num_layers is not None and num_layers < 1) or skip_layers < 0:
        found = f"num_layers={num_layers}, skip_layers={skip_layers}"
        raise UsageError("layers are counted from 0", found=found)
    file = read_file(Path(path), num_layers=num_layers)
    if arguments is not None:
        file = replace(file, arguments=arguments)
    if (file.arguments.reset_interval or 0) < 0 or not 0 <= file.arguments.input_message_bits <= 32:
        limit = "reset_interval of at least 1, input_message_bits 0..32"
        raise UsageError("arguments out of range", where=str(path), found=file.arguments, limit=limit)
    return network_of(file, Path(path).stem, where=str(path), skip_layers=skip_layers)
