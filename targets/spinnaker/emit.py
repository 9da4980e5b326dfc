"""Emission: a deployment as a folder with a PyNN script that runs without nmdeploy.

`run.py` makes the populations and projections; `arrays.npz` holds their integers,
`inputs.npz` input spikes and the output that the emulator expects; `nmdeploy_pynn/` is the
code of `targets/spinnaker/pynn`. The same deployment gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nmdeploy.bundle.atomic import write_files
from nmdeploy.data import npz_bytes
from nmdeploy.deployment import Deployment
from nmdeploy.example import example_arrays
from nmdeploy.script_text import Script, keys_text, readme_text
from targets.spinnaker.generic_script import make_generic_script
from targets.spinnaker.pace import sufficient_time_scale_factor
from targets.spinnaker.script import make_script

SUPPORT = Path(__file__).parent / "pynn"


def emit_spynnaker(deployment: Deployment, folder: Path) -> Sequence[Path]:
    """Write `deployment` as a PyNN script for a SpiNNaker machine.

    Args:
        deployment: on SpiNNaker.
        folder: a new or empty folder.

    Returns:
        The files written.

    Raises:
        FitError: with everything that sPyNNaker would compute differently.
        BundleError: when the file system refuses.
    """
    script = make_script(deployment.network, sufficient_time_scale_factor(deployment))
    files = {
        **script_files(script, "spynnaker"),
        "inputs.npz": npz_bytes(example_arrays(deployment, script.keys)),
        "spynnaker.cfg": (CONFIGURATION + REPORTS).encode(),
        "README.md": _readme(README, deployment, script),
    }
    return write_files(files, folder)


def emit_pynn(deployment: Deployment, folder: Path) -> Sequence[Path]:
    """Write `deployment` as a PyNN script for NEST, Brian2 and other back ends; not bit-exact.

    Args:
        deployment: on SpiNNaker.
        folder: a new or empty folder.

    Returns:
        The files written.

    Raises:
        FitError: with everything that such a script cannot say.
        BundleError: when the file system refuses.
    """
    script = make_generic_script(deployment.network)
    files = {
        **script_files(script, "generic"),
        "inputs.npz": npz_bytes(example_arrays(deployment, script.keys)),
        "README.md": _readme(GENERIC_README, deployment, script),
    }
    return write_files(files, folder)


def script_files(script: Script, chip: str) -> dict[str, bytes]:
    """What is needed to run a script, by path in its folder; inputs apart.

    Args:
        script: the script.
        chip: the module of `targets/spinnaker/pynn` that it builds with.
    """
    support = {
        f"nmdeploy_pynn/{name}.py": (SUPPORT / f"{name}.py").read_bytes() for name in ("__init__", "driver", chip)
    }
    return {"run.py": script.text.encode(), "arrays.npz": npz_bytes(script.arrays), **support}


CONFIGURATION = """\
# Settings of sPyNNaker for this folder; what stands here goes before .spynnaker.cfg in your home folder.
# Name one machine, there or here:

[Machine]
# A board on your network: its address, and 3 for 4 chips, 5 for 48 and more.
# machine_name = 192.168.240.253
# version = 5
# A server that lends boards; user and password in SPALLOC_USER and SPALLOC_PASSWORD.
# spalloc_server = https://spinnaker.cs.man.ac.uk/spalloc/

"""
"""Hints for a user."""
REPORTS = """\
[Reports]
# Late and lost packets and saturated buffers are told after every run.
write_provenance = True
read_router_provenance_data = True
read_placements_provenance_data = True
read_graph_provenance_data = True
"""
"""What makes sPyNNaker tell what went wrong on the chip."""

README = """\
# {title}

A network in SpiNNaker's terms as a PyNN script for sPyNNaker 7.4.1, made by nmdeploy for {chip}.

    python3.11 -m venv spynnaker && spynnaker/bin/pip install "sPyNNaker==1!7.4.1"
    spynnaker/bin/python run.py

loads the network on the machine that `spynnaker.cfg` names, here or in your home folder, runs the spikes in
`inputs.npz` sample by sample, and compares the output with what nmdeploy's emulator expects: every spike.
A virtual board (`virtual_board = True`) maps the network and runs nothing; its spikes are empty.

| file | content |
|---|---|
| `run.py` | the network |
| `arrays.npz` | weights and parameters, integers as the chip has them |
| `inputs.npz` | input spikes `[steps, samples, *shape]` by input, and `NAME.expected`, the output spikes |
| `spynnaker.cfg` | which machine; what sPyNNaker reports |
| `nmdeploy_pynn/` | builds the network, runs samples one after the other from a fresh state, records them |

Populations, and their names in the script: {names}.

Semantics ({profile}):

{semantics}

`--inputs FILE` runs other spikes, `--out FILE` names the result: `NAME.spikes`, `NAME.v` as
`[steps, samples, *shape]` and `NAME.final_v`, the potential after the last step, in 1/32768. `--potentials` and
`--all-spikes` record every neuron. `--together N` puts N samples side by side on the machine. `--time-scale-factor N`
runs N times slower than real time; the default, {factor}, should be enough whatever spikes, by published rates. More is
due where sPyNNaker reports late packets.
An input spike of step t is sent at t ms and acts on the next layer at step t + 1, so a run lasts {latency} steps longer
than its input. sPyNNaker records potentials before a step's update; here they are those after it.
"""

GENERIC_README = """\
# {title}

A network made for {chip} as a PyNN script for plain simulation: Brian2, NEST, or another back end of PyNN 0.12.

**Not bit-exact.** Simulators compute in floating point. Their neurons have no floor at the reset potential, no ring
buffers that saturate, and no rounding; some lose what arrives in the step of a spike. Use the script to look at the
network, and nmdeploy's emulator, or the form `spynnaker`, for what the chip does.

    python3.11 -m venv pynn && pynn/bin/pip install "PyNN==0.12.4" "neo<0.14" brian2
    pynn/bin/python run.py --simulator brian2

NEST has no package of its own on PyPI; see its documentation, and run with `--simulator nest`.

| file | content |
|---|---|
| `run.py` | the network |
| `arrays.npz` | weights and parameters, in PyNN's units |
| `inputs.npz` | input spikes `[steps, samples, *shape]` by input, and `NAME.expected`, the chip's output spikes |
| `nmdeploy_pynn/` | builds the network, runs samples one after the other from a fresh state, records them |

Populations, and their names in the script: {names}.

Semantics on the chip ({profile}), which this script comes near:

{semantics}

A run lasts {latency} steps of 1 ms longer than its input.
"""


def _readme(text: str, deployment: Deployment, script: Script) -> bytes:
    factor = sufficient_time_scale_factor(deployment)
    return readme_text(text, deployment, names=keys_text(script.keys), factor=factor).encode()
