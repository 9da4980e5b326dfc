"""Lava on the CPU as a backend: the emitted script, run by a Python that has Lava."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from nmdeploy.backend import Availability
from nmdeploy.bundle.atomic import write_files
from nmdeploy.child_process import run_child
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Selection, Stimulus
from nmdeploy.errors import RunError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.progress import Progress
from nmdeploy.script_backend import Recorded, ScriptBackend, by_population, samples_done
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


class LavaBackend(ScriptBackend):
    """Lava 0.10.0 on the CPU, with its own fixed-point arithmetic."""

    name = "vendor"
    device = "cpu"

    def availability(self) -> Availability:
        try:
            found = probe(self.python, clean_environment(self.settings))
        except RunError as error:
            return Availability(False, str(error), "name a Python that has Lava: --vendor-python PATH")
        return self.judged(found)

    def judged(self, found: Mapping[str, str | bool | None]) -> Availability:
        """Whether what `probe` found can run deployments."""
        if found["lava"] is None:
            hint = "pip install lava-nc==0.10.0 on Python 3.10, and name that Python with --vendor-python PATH"
            return Availability(False, f"Lava is not installed for Python {found['python']} ({self.python})", hint)
        return Availability(True, f"Lava {found['lava']} on CPU, Python {found['python']}")

    def execute(
        self, deployment: Deployment, stimulus: Stimulus, selected: Selection, progress: Progress | None
    ) -> Recorded:
        available = self.availability()
        available.require(self.name)
        arrays = self._run_script(make_script(deployment.network), stimulus, selected, progress)
        return Recorded(arrays, f"run by {available.found.partition(',')[0]}")

    def check(self, deployment: Deployment, selected: Selection) -> None:
        """Refuse state variables that Lava's LIF does not have."""
        for key, (_, variable) in selected.potentials.items():
            if variable not in RECORDABLE:
                limit = ", ".join(RECORDABLE)
                raise UsageError("Lava has no such state variable", where=key, found=variable, limit=limit)

    def _run_script(
        self, script: Script, stimulus: Stimulus, selected: Selection, progress: Progress | None
    ) -> dict[str, Array]:
        """The script's recordings by population and variable, as `nmdeploy_lava.driver.run` returns them."""

        def advance(line: str) -> None:
            if progress is not None and (done := samples_done(line)):
                progress(*done)

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
            return by_population(read_npz(folder / "result.npz"), script.keys)


def probe(python: Path, environment: Mapping[str, str] | None = None) -> dict[str, str | bool | None]:
    """Versions of Python and Lava that `python` runs, and whether it has the extension to boards.

    Raises:
        RunError: when it cannot be run.
    """
    answer = ask(python, PROBE, environment)
    if not {"lava", "python", "board"} <= set(answer):
        raise RunError("is no Python", where=str(python), found=str(answer)[:200])
    return {key: answer[key] for key in ("lava", "python", "board")}
