"""A SpiNNaker machine as a backend, through sPyNNaker: the emitted script, in a process of its own.

sPyNNaker finds machines by its configuration file `.spynnaker.cfg`: a board's address
(`machine_name`), a server that lends boards (`spalloc_server`), or a remote service
(`remote_spinnaker_url`). The file is read, and a copy is what the child sees; it is never changed.
"""

from __future__ import annotations

import configparser
import logging
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nmdeploy.backend import Availability, Backend, RunSettings
from nmdeploy.bundle.atomic import write_files
from nmdeploy.child_process import run_child
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Inputs, Selection, Stimulus, check_inputs, select
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.errors import DataError, HardwareUnavailable, RunError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.progress import Progress
from nmdeploy.recorded_run import make_result
from nmdeploy.script_text import Script
from targets.spinnaker.emit import REPORTS, script_files
from targets.spinnaker.installation import INSTALL_HINT, Installation, home_environment, probe
from targets.spinnaker.pace import sufficient_time_scale_factor
from targets.spinnaker.script import make_script
from targets.spinnaker.virtual_board import VERSIONS

CONFIGURATION_FILE = ".spynnaker.cfg"
MACHINE_KEYS = ("machine_name", "spalloc_server", "remote_spinnaker_url")
"""Options of the section Machine that name a machine (`spinn_machine/version/version_factory.py` of 7.4.1)."""
NO_MACHINE_HINT = (
    f"name a board or a spalloc server with --board, or in {CONFIGURATION_FILE}; without one: the emulator"
)

_SAMPLE_DONE = re.compile(r"sample (\d+) of (\d+)")
_WARNING = re.compile(r"warning: (.*)")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """A machine that a run would go to.

    Attributes:
        key: the option of the section Machine that names it.
        address: its value, without user and password.
        files: configuration by path in the child's folder, `home` and `script` in it.
    """

    key: str
    address: str
    files: dict[str, bytes]


class SpinnakerBackend(Backend):
    """sPyNNaker on a machine.

    Args:
        settings: `python` has sPyNNaker, None for this one; `board` is the address of a board or the
            URL of a spalloc server, None for what the user's configuration names.
    """

    name = "board"

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.python = Path(sys.executable) if settings.python is None else settings.python

    def availability(self) -> Availability:
        try:
            found = probe(self.settings)
        except RunError as error:
            return Availability(False, str(error), "name a Python that has sPyNNaker: --vendor-python PATH")
        if found.version is None:
            text = f"sPyNNaker is not installed for Python {found.python} ({self.python})"
            return Availability(False, text, INSTALL_HINT)
        try:
            machine = find_machine(self.settings, "")
        except (DataError, UsageError) as error:
            return Availability(False, str(error), NO_MACHINE_HINT)
        if machine is None:
            return Availability(False, f"no SpiNNaker machine is named (sPyNNaker {found.version})", NO_MACHINE_HINT)
        return Availability(True, _described(found, machine))

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
        for key, (_, variable) in selected.potentials.items():
            if variable != "v":
                raise UsageError("sPyNNaker records no such variable here", where=key, found=variable, limit="v")
        available = self.availability()
        if not available.ready:
            raise HardwareUnavailable(available.found, where=self.name, hint=available.hint)
        found, machine = probe(self.settings), find_machine(self.settings, deployment.chip)
        assert machine is not None  # noqa: S101  availability
        script = make_script(network, sufficient_time_scale_factor(deployment))
        run = _Run(self.settings, self.python, found, machine, script)
        recorded = run.recorded(stimulus, selected, progress)
        origin = f"run by {_described(found, machine)}"
        return make_result(network, stimulus, selected, recorded, origin, tuple(run.warnings))


def _described(found: Installation, machine: Machine) -> str:
    return f"sPyNNaker {found.version} on {machine.address} ({machine.key})"


def find_machine(settings: RunSettings, chip: str) -> Machine | None:
    """The machine that `settings` or the user's configuration names; None where neither does.

    Args:
        settings: `board` goes before the configuration.
        chip: kind of board that a bare address is of.

    Raises:
        DataError: for a configuration file that cannot be read.
        UsageError: for a board that is no address.
    """
    script = {"script/spynnaker.cfg": REPORTS.encode()}
    if settings.board is not None:
        if not settings.board.isprintable() or not settings.board.strip():
            raise UsageError("no address of a board", where="--board", found=repr(settings.board))
        key = "spalloc_server" if "://" in settings.board else "machine_name"
        lines = [f"{key} = {settings.board}"]
        lines += [f"version = {VERSIONS.get(chip, VERSIONS['spin5'])}"] if key == "machine_name" else []
        text = "[Machine]\n" + "\n".join(lines) + "\n"
        return Machine(key, _without_user(settings.board), {f"home/{CONFIGURATION_FILE}": text.encode(), **script})
    path = Path.home() / CONFIGURATION_FILE
    if not path.is_file():
        return None
    try:
        content = path.read_bytes()
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise DataError("sPyNNaker's configuration cannot be read", where=str(path), found=error) from error
    # sPyNNaker, too, takes machineName for machine_name.
    named = {key.replace("_", ""): value.strip() for key, value in _machine_section(parser).items()}
    if named.get("virtualboard", "").lower() in ("true", "1", "on", "yes"):
        return None  # it executes nothing
    for key in MACHINE_KEYS:
        value = named.get(key.replace("_", ""))
        if value and value != "None":
            return Machine(key, _without_user(value), {f"home/{CONFIGURATION_FILE}": content, **script})
    return None


def _machine_section(parser: configparser.ConfigParser) -> dict[str, str]:
    return {key: value or "" for key, value in parser["Machine"].items()} if parser.has_section("Machine") else {}


def _without_user(address: str) -> str:
    """An address without the user and password that can stand in a URL."""
    return re.sub(r"(?<=://)[^/@]*@", "", address)


class _Run:
    """One run of a script on a machine.

    Attributes:
        warnings: what sPyNNaker reported: late or dropped packets, saturated buffers.
    """

    def __init__(
        self, settings: RunSettings, python: Path, found: Installation, machine: Machine, script: Script
    ) -> None:
        self.settings, self.python, self.found, self.machine, self.script = settings, python, found, machine, script
        self.warnings: list[str] = []

    def recorded(self, stimulus: Stimulus, selected: Selection, progress: Progress | None) -> dict[str, Array]:
        """The recordings by population and variable, as `nmdeploy_pynn.driver.run` returns them."""

        def advance(line: str) -> None:
            if (done := _SAMPLE_DONE.fullmatch(line)) and progress is not None:
                progress(int(done[1]), int(done[2]))
            if (told := _WARNING.fullmatch(line)) and told[1] not in self.warnings:
                self.warnings.append(told[1])
                _LOG.warning("sPyNNaker: %s", told[1])

        script = self.script
        with tempfile.TemporaryDirectory(prefix="nmdeploy-spinnaker-", ignore_cleanup_errors=True) as scratch:
            folder, home = Path(scratch) / "script", Path(scratch) / "home"
            given = {script.keys[name]: spikes for name, spikes in stimulus.spikes.items()}
            files = {f"script/{name}": content for name, content in script_files(script, "spynnaker").items()}
            write_files({**files, "script/inputs.npz": npz_bytes(given), **self.machine.files}, Path(scratch))
            command = [str(self.python), "run.py", "--out", "result.npz", "--steps", str(stimulus.steps)]
            command += ["--end-with-stdin", "--all-spikes"]
            names = dict.fromkeys(name for name, _ in selected.potentials.values())
            command += [part for name in names for part in ("--record", script.keys[name])]
            run_child(
                command,
                what="sPyNNaker",
                folder=folder,
                limit_s=self.settings.limit_s,
                environment=home_environment(self.settings, self.found, home),
                on_line=advance,
            )
            result = read_npz(folder / "result.npz")
        back = {key: name for name, key in script.keys.items()}
        return {f"{back[key.partition('.')[0]]}.{key.partition('.')[2]}": values for key, values in result.items()}
