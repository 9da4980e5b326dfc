"""A SpiNNaker machine as a backend, through sPyNNaker: the emitted script, in a process of its own.

sPyNNaker finds machines by its configuration file `.spynnaker.cfg`: a board's address
(`machine_name`), a server that lends boards (`spalloc_server`), or a remote service
(`remote_spinnaker_url`). The file is read, and a copy is what the child sees; it is never changed.
"""

from __future__ import annotations

import configparser
import logging
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nmdeploy.backend import Availability, RunSettings
from nmdeploy.bundle.atomic import write_files
from nmdeploy.child_process import run_child
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Selection, Stimulus
from nmdeploy.errors import DataError, HardwareUnavailable, RunError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.progress import Progress
from nmdeploy.script_backend import Recorded, ScriptBackend, by_population, samples_done
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


class SpinnakerBackend(ScriptBackend):
    """sPyNNaker on a machine.

    Args:
        settings: `python` has sPyNNaker, None for this one; `board` is the address of a board or the
            URL of a spalloc server, None for what the user's configuration names.
    """

    name = "board"

    def availability(self) -> Availability:
        try:
            return Availability(True, _described(*self._found("")))
        except HardwareUnavailable as error:
            return Availability(False, error.what, error.hint)

    def _found(self, chip: str) -> tuple[Installation, Machine]:
        """sPyNNaker, and the machine for a kind of board.

        Raises:
            HardwareUnavailable: telling what is missing.
        """
        try:
            found = probe(self.settings)
        except RunError as error:
            hint = "name a Python that has sPyNNaker: --vendor-python PATH"
            raise HardwareUnavailable(str(error), where=self.name, hint=hint) from error
        if found.version is None:
            raise HardwareUnavailable(found.missing, where=self.name, hint=INSTALL_HINT)
        try:
            machine = find_machine(self.settings, chip)
        except (DataError, UsageError) as error:
            raise HardwareUnavailable(str(error), where=self.name, hint=NO_MACHINE_HINT) from error
        if machine is None:
            text = f"no SpiNNaker machine is named (sPyNNaker {found.version})"
            raise HardwareUnavailable(text, where=self.name, hint=NO_MACHINE_HINT)
        return found, machine

    def check(self, deployment: Deployment, selected: Selection) -> None:
        """Refuse state variables other than the potential."""
        for key, (_, variable) in selected.potentials.items():
            if variable != "v":
                raise UsageError("sPyNNaker records no such variable here", where=key, found=variable, limit="v")

    def execute(
        self, deployment: Deployment, stimulus: Stimulus, selected: Selection, progress: Progress | None
    ) -> Recorded:
        found, machine = self._found(deployment.chip)
        script = make_script(deployment.network, sufficient_time_scale_factor(deployment))
        run = _Run(self.settings, found, machine, script)
        arrays = run.recorded(stimulus, selected, progress)
        return Recorded(arrays, f"run by {_described(found, machine)}", tuple(run.warnings))


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

    def __init__(self, settings: RunSettings, found: Installation, machine: Machine, script: Script) -> None:
        self.settings, self.found, self.machine, self.script = settings, found, machine, script
        self.warnings: list[str] = []

    def recorded(self, stimulus: Stimulus, selected: Selection, progress: Progress | None) -> dict[str, Array]:
        """The recordings by population and variable, as `nmdeploy_pynn.driver.run` returns them."""

        def advance(line: str) -> None:
            if progress is not None and (done := samples_done(line)):
                progress(*done)
            if (told := _WARNING.fullmatch(line)) and told[1] not in self.warnings:
                self.warnings.append(told[1])
                _LOG.warning("sPyNNaker: %s", told[1])

        script = self.script
        with tempfile.TemporaryDirectory(prefix="nmdeploy-spinnaker-", ignore_cleanup_errors=True) as scratch:
            folder, home = Path(scratch) / "script", Path(scratch) / "home"
            given = {script.keys[name]: spikes for name, spikes in stimulus.spikes.items()}
            files = {f"script/{name}": content for name, content in script_files(script, "spynnaker").items()}
            write_files({**files, "script/inputs.npz": npz_bytes(given), **self.machine.files}, Path(scratch))
            command = [str(self.settings.interpreter), "run.py", "--out", "result.npz", "--steps", str(stimulus.steps)]
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
            return by_population(read_npz(folder / "result.npz"), script.keys)
