"""The emitter `net`: a deployment as a `.net` file and a script that runs it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nmdeploy.bundle.atomic import write_files
from nmdeploy.deployment import Deployment
from targets.loihi.netx.from_network import layers_of
from targets.loihi.netx.run_script import run_script
from targets.loihi.netx.schema import INPUT
from targets.loihi.netx.write import image_of


def emit_net(deployment: Deployment, folder: Path) -> Sequence[Path]:
    """Write `deployment` as a `.net` file, with a `run.py` that gives NetX what the file does not say.

    Args:
        deployment: on a Loihi chip.
        folder: a new or empty folder.

    Returns:
        The files written.

    Raises:
        FitError: with everything that a `.net` file cannot say.
        BundleError: when the file system refuses.
    """
    network = deployment.network
    file = layers_of(network)
    name = (re.sub(r"[^A-Za-z0-9_-]", "_", network.name) or "network") + ".net"
    driven = file.layers[0].kind == INPUT and file.layers[0].neuron is not None
    script = run_script(network, name, file.arguments, biases_driven=driven)
    return write_files({name: image_of(file), "run.py": script.encode("utf-8")}, folder)
