"""Emission: a deployment as a folder with a Lava script that runs without nmdeploy.

`run.py` makes the Lava Processes, one statement each, and connects them; `arrays.npz`
holds their parameters, `inputs.npz` input spikes and the output that the emulator expects;
`nmdeploy_lava/` is the code of `targets/loihi/lava`, which runs samples and records.
The same deployment gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nmdeploy.bundle.atomic import write_files
from nmdeploy.data import npz_bytes
from nmdeploy.deployment import Deployment
from nmdeploy.example import example_arrays
from nmdeploy.script_text import Script, keys_text, readme_text
from targets.loihi.script import make_script


def emit_lava(deployment: Deployment, folder: Path) -> Sequence[Path]:
    """Write `deployment` as a runnable Lava script.

    Args:
        deployment: on a Loihi chip.
        folder: a new or empty folder.

    Returns:
        The files written.

    Raises:
        FitError: with everything that Lava would compute differently.
        BundleError: when the file system refuses.
    """
    script = make_script(deployment.network)
    readme = readme_text(README, deployment, names=keys_text(script.keys))
    example = npz_bytes(example_arrays(deployment, script.keys))
    return write_files({**script_files(script), "inputs.npz": example, "README.md": readme.encode()}, folder)


def script_files(script: Script) -> dict[str, bytes]:
    """What is needed to run a script, by path in its folder; inputs apart."""
    code = Path(__file__).parent / "lava"
    support = {f"nmdeploy_lava/{path.name}": path.read_bytes() for path in sorted(code.glob("*.py"))}
    return {"run.py": script.text.encode(), "arrays.npz": npz_bytes(script.arrays), **support}


README = """\
# {title}

A network in {chip}'s terms as Processes of [Lava](https://github.com/lava-nc/lava) 0.10.0, made by nmdeploy.

    python3.10 -m venv lava && lava/bin/pip install lava-nc==0.10.0
    lava/bin/python run.py

runs the spikes in `inputs.npz` on the CPU with Lava's fixed-point models and compares the output with what
nmdeploy's emulator expects. `run.py` builds the network, a statement for each Process; change it as you like.

| file | content |
|---|---|
| `run.py` | the network |
| `arrays.npz` | weights and parameters, in Lava's order (width, height, channels) |
| `inputs.npz` | input spikes `[steps, samples, *shape]` by input, and `NAME.expected`, the output spikes |
| `nmdeploy_lava/` | runs samples one after the other from a fresh state and records them |

Populations, and their names in the script: {names}.

Semantics ({profile}):

{semantics}

`--inputs FILE` runs other spikes, `--potentials` records u and v of every neuron at the end of every step,
`--out FILE` names the result: `NAME.spikes`, `NAME.u`, `NAME.v` as `[steps, samples, *shape]` and `NAME.final_v`.
An input spike of step t acts on the next layer at step t + 1, so a run lasts {latency} steps longer than its input.
"""
