"""Lava on the CPU as a backend: the emitted script, run by a Python that has Lava."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nmdeploy.backend import Availability, Backend, RunSettings
from nmdeploy.bundle.atomic import write_files
from nmdeploy.child_process import run_child
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Inputs, Selection, Stimulus, check_inputs, select
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.errors import HardwareUnavailable, RunError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.progress import Progress
from nmdeploy.recorded_run import make_result
from nmdeploy.script_text import Script
from nmdeploy.vendor_python import ask, clean_environment
from targets.loihi.emit import script_files
from targets.loihi.script import make_script

PROBE = """\
import importlib.metadata, importlib.util, json, platform
try:
    lava = importlib.metadata.version("lava-nc")
except importlib.metadata.PackageNotFoundError:
    lava = None
board = lava is not None and importlib.util.find_spec("lava.utils.loihi2_profiler") is not None
print(json.dumps({"lava": lava, "python": platform.python_version(), "board": board}))
"""
"""Asks an interpreter for Lava and for its extension to boards (`lava.utils.loihi.is_installed` looks for the same)."""
RECORDABLE = ("u", "v")
"""State variables that Lava's LIF has."""

_SAMPLE_DONE = re.compile(r"sample (\d+) of (\d+)")


class LavaBackend(Backend):
    """Lava 0.10.0 on the CPU, with its own fixed-point arithmetic.

    Args:
        settings: `python` is the interpreter that has Lava, None for this one.
    """

    name = "vendor"
    device = "cpu"

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.python = Path(sys.executable) if settings.python is None else settings.python

    def availability(self) -> Availability:
        try:
            found = probe(self.python, clean_environment(self.settings))
        except RunError as error:
            return Availability(False, str(error), "name a Python that has Lava: --vendor-python PATH")
        if found["lava"] is None:
            hint = "pip install lava-nc==0.10.0 on Python 3.10, and name that Python with --vendor-python PATH"
            return Availability(False, f"Lava is not installed for Python {found['python']} ({self.python})", hint)
        return Availability(True, f"Lava {found['lava']} on CPU, Python {found['python']}")

    def run(
        self,
        deployment: Deployment,
        inputs: Inputs,
        *,
        steps: int | None = None,
        record: Recording = DEFAULT_RECORDING,
        progress: Progress | None = None,
    ) -> Result:
        network = deployment.network
        stimulus = check_inputs(network, inputs, steps)
        selected = select(network, record, stimulus.steps)
        available = self.availability()
        if not available.ready:
            raise HardwareUnavailable(available.found, where=self.name, hint=available.hint)
        self.check(deployment, selected)
        recorded = self._run_script(make_script(network), stimulus, selected, progress)
        origin = f"run by {available.found.partition(',')[0]}"
        return make_result(network, stimulus, selected, recorded, origin)

    def check(self, deployment: Deployment, selected: Selection) -> None:
        """Refuse what this backend cannot record.

        Raises:
            UsageError: naming it.
        """
        for key, (_, variable) in selected.potentials.items():
            if variable not in RECORDABLE:
                limit = ", ".join(RECORDABLE)
                raise UsageError("Lava has no such state variable", where=key, found=variable, limit=limit)

    def _run_script(
        self, script: Script, stimulus: Stimulus, selected: Selection, progress: Progress | None
    ) -> dict[str, Array]:
        """The script's recordings by population and variable, as `nmdeploy_lava.driver.run` returns them."""

        def advance(line: str) -> None:
            match = _SAMPLE_DONE.fullmatch(line)
            if match and progress is not None:
                progress(int(match[1]), int(match[2]))

        with tempfile.TemporaryDirectory(prefix="nmdeploy-lava-") as scratch:
            folder = Path(scratch)
            given = {script.keys[name]: spikes for name, spikes in stimulus.spikes.items()}
            write_files({**script_files(script), "inputs.npz": npz_bytes(given)}, folder)
            variables = [f"{script.keys[name]}.{variable}" for name, variable in selected.potentials.values()]
            command = [str(self.python), "run.py", "--out", "result.npz", "--steps", str(stimulus.steps)]
            command += ["--device", self.device, "--end-with-stdin"]
            command += ["--board", self.settings.board] if self.settings.board else []
            command += [part for variable in variables for part in ("--record", variable)]
            run_child(
                command,
                what="Lava",
                folder=folder,
                limit_s=self.settings.limit_s,
                environment={**clean_environment(self.settings), "TMPDIR": scratch},
                on_line=advance,
            )
            names = {key: name for name, key in script.keys.items()}
            result = read_npz(folder / "result.npz")
        return {f"{names[key.partition('.')[0]]}.{key.partition('.')[2]}": values for key, values in result.items()}


def probe(python: Path, environment: Mapping[str, str] | None = None) -> dict[str, str | bool | None]:
    """Versions of Python and Lava that `python` runs, and whether it has the extension to boards.

    Raises:
        RunError: when it cannot be run.
    """
    answer = ask(python, PROBE, environment)
    if not {"lava", "python", "board"} <= set(answer):
        raise RunError("is no Python", where=str(python), found=str(answer)[:200])
    return {key: answer[key] for key in ("lava", "python", "board")}
