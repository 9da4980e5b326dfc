"""Emission: a deployment as a folder with a script that runs it on a board without nmdeploy.

`configuration.json` is the chip's configuration, `run.py` applies it through samna and sends
the events of `inputs.npz`; the same deployment gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmdeploy.bundle.atomic import write_files
from nmdeploy.data import npz_bytes
from nmdeploy.deployment import Deployment
from nmdeploy.example import example_vectors
from nmdeploy.script_text import quoted, readme_text
from targets.dynapcnn.exactness import exactness
from targets.dynapcnn.pace import Pace
from targets.dynapcnn.script import input_events, packed, script_files


def emit_samna(deployment: Deployment, folder: Path) -> Sequence[Path]:
    """Write `deployment` as a script for samna.

    Args:
        deployment: on a chip of the family.
        folder: a new or empty folder.

    Returns:
        The files written.

    Raises:
        UsageError: for what no configuration can express.
        BundleError: when the file system refuses.
    """
    vectors = example_vectors(deployment)
    steps = max(len(spikes) for spikes in vectors.inputs.values())
    pace = Pace.of(deployment)
    given = packed(input_events(deployment.network, vectors.inputs, pace))
    expected = {f"{name}.expected": spikes.sum(axis=0, dtype=np.int64) for name, spikes in vectors.spikes.items()}
    files = {
        **script_files(deployment, steps, pace.step_us),
        "inputs.npz": npz_bytes({**given, **expected}),
        "README.md": _readme(deployment).encode(),
    }
    return write_files(files, folder)


README = """\
# {title}

A network on {chip}, as a configuration for [samna](https://synsense-sys-int.gitlab.io/samna), made by nmdeploy.

    python run.py

opens the first board with the chip, applies the configuration, sends the events of `inputs.npz` and writes
`events.npz`. It needs samna and numpy; `python run.py --list` tells which boards there are.

| file | content |
|---|---|
| `run.py` | the script; `python run.py --help` |
| `configuration.json` | the chip's configuration, fields as samna names them |
| `network.json` | which core has which layer, and where the inputs' events enter |
| `inputs.npz` | events of the inputs, and the outputs' spike counts that nmdeploy's emulator expects |
| `nmdeploy_samna/` | the code that talks to samna |

Both files have `NAME.events`, the events of all samples in a row (x, y, t in microseconds, p the channel), and
`NAME.ends`, the index behind each sample's last event. `events.npz` has those of every output, and of every population
named with `--monitor`; `NAME.final_v`, `[samples, channels, rows, columns]`, are the outputs' potentials at the end,
where their addresses are known. Every sample starts from the initial potentials, which are written before it.

Cores: {cores}.

How far the expected counts hold on the chip: class {grade}. {reasons}

Semantics ({profile}):

{semantics}
"""


def _readme(deployment: Deployment) -> str:
    known = exactness(deployment)
    cores = sorted(deployment.placement.cores, key=lambda load: load.core)
    return readme_text(
        README,
        deployment,
        cores=", ".join(f"{load.core} has {quoted(load.population)}" for load in cores),
        grade=known.grade.value,
        reasons=" ".join(known.reasons),
    )
