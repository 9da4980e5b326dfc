"""A board of the DYNAP-CNN family as a backend, through SynSense's samna.

samna is imported by the emitted script alone, in a process of its own: it may hang or print,
and the package of that name on PyPI installs the real one from elsewhere when it is imported.
No board was at hand when this was written; it is tested against a stand-in for samna.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.backend import Availability, RunSettings
from nmdeploy.bundle.atomic import write_files
from nmdeploy.child_process import run_child
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.inputs import Selection, Stimulus, select, spike_type
from nmdeploy.emulator.result import Recording
from nmdeploy.errors import DataError, HardwareUnavailable, RunError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.progress import Progress
from nmdeploy.script_backend import Recorded, ScriptBackend, samples_done
from nmdeploy.vendor_python import clean_environment
from targets.dynapcnn.chips import chips
from targets.dynapcnn.event_arrays import Events, as_events, events_to_raster
from targets.dynapcnn.link import as_map
from targets.dynapcnn.neuron import SpeckStepIAF
from targets.dynapcnn.pace import Pace
from targets.dynapcnn.presence import board_there, samna_there
from targets.dynapcnn.script import input_events, packed, script_files, unpacked

_REFUSED = "samna refuses the configuration: "
_NO_BOARD = "no board "


class SamnaBackend(ScriptBackend):
    """A board that samna finds.

    It runs rasters (`run`) and event streams (`stream`). Of a raster each step's events are sent at its
    beginning, and spikes count in the step in which they come; those that come after the last step count in
    it. The final potentials of outputs are those that can be read; see `targets.dynapcnn.samna.address`.

    Args:
        settings: `python` is the interpreter that has samna, None for this one; `board` is samna's or
            sinabs' name of a board (`Speck2fDevKit:0`, `speck2fdevkit:0`) or its serial number, None for the
            first that carries the chip.
        step_us: length of a time step on the board, in microseconds; None for `Pace.of`, which gives exact mode the
            time that it takes.
        patience: seconds that the script waits, by the names of its options (`settle`, `reset`, `quiet`,
            `longest`, `answer`; targets/dynapcnn/samna/driver.py).
    """

    name = "board"

    def __init__(
        self, settings: RunSettings, step_us: int | None = None, patience: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(settings)
        self.step_us, self.patience = step_us, patience or {}

    def availability(self) -> Availability:
        """Whether samna and a board are there; samna is not imported."""
        return board_there(self.settings, self.python)

    def execute(
        self, deployment: Deployment, stimulus: Stimulus, selected: Selection, progress: Progress | None
    ) -> Recorded:
        network = deployment.network
        spikes = {name: values[: stimulus.steps] for name, values in stimulus.spikes.items()}
        pace = Pace.of(deployment, self.step_us)
        given = input_events(network, spikes, pace)
        asked = {*selected.spikes, *selected.counts}
        hidden = [p.name for p in network.populations if p.name in asked and not p.is_input]
        recorded, origin = self._run_script(deployment, given, stimulus.steps, pace, hidden, progress)
        arrays = {
            f"{name}.spikes": _raster(network[name], unpacked(recorded, name), stimulus.steps, pace.step_us)
            for name in {*hidden, *_spiking_outputs(network)}
        }
        finals = {key: _shaped(network, key, values) for key, values in recorded.items() if key.endswith(".final_v")}
        return Recorded(arrays | finals, origin)

    def stream(
        self,
        deployment: Deployment,
        events: Mapping[str, Sequence[Array]],
        *,
        record: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> dict[str, list[Events]]:
        """Run event streams, each a sample of its own from fresh potentials.

        Args:
            deployment: what runs.
            events: by input, the events of each sample, in the order in which they are sent: structured
                arrays with x, y, t in microseconds from the start of the sample, and p, the channel.
            record: hidden populations to record beside the outputs.
            progress: called with (samples done, samples in all).

        Returns:
            By population, the spikes of each sample as events, in the order in which they came.

        Raises:
            As `run`.
        """
        given = {name: [as_events(each) for each in samples] for name, samples in events.items()}
        counts = {len(samples) for samples in given.values()}
        if {p.name for p in deployment.network.inputs} != set(given) or len(counts) != 1 or counts == {0}:
            limit = ", ".join(p.name for p in deployment.network.inputs)
            message = "events are given for every input, as many samples for each"
            raise DataError(message, found=", ".join(given), limit=limit)
        self.check(deployment, select(deployment.network, Recording(spikes=tuple(record)), 1))
        last = max((int(each["t"].max(initial=0)) for samples in given.values() for each in samples), default=0)
        pace = Pace.of(deployment, self.step_us)
        steps = last // pace.step_us + 1
        recorded, _ = self._run_script(deployment, given, steps, pace, list(record), progress)
        names = dict.fromkeys([*record, *_spiking_outputs(deployment.network)])
        return {name: unpacked(recorded, name) for name in names}

    def check(self, deployment: Deployment, selected: Selection) -> None:
        """Refuse the profile of time steps, and potentials of single steps."""
        network = deployment.network
        stepping = [p.name for p in network.populations if isinstance(p.neuron, SpeckStepIAF)]
        if stepping:
            message = "the chip knows no time steps: the profile is for the emulator"
            raise UsageError(message, where=stepping[0], hint="use the profile 'chip'")
        if selected.potentials:
            found = ", ".join(selected.potentials)
            hint = "record it on the emulator; the potentials after the last step are read"
            raise UsageError("potentials of single steps cannot be recorded on a board", found=found, hint=hint)

    def _run_script(
        self,
        deployment: Deployment,
        given: Mapping[str, list[Events]],
        steps: int,
        pace: Pace,
        hidden: Sequence[str],
        progress: Progress | None,
    ) -> tuple[dict[str, Array], str]:
        """What the script wrote, and what it ran on."""
        samna_there(self.settings, self.python).require(self.name)
        seen = _Output(progress)
        with tempfile.TemporaryDirectory(prefix="nmdeploy-samna-") as scratch:
            folder = Path(scratch)
            files = script_files(deployment, steps, pace.step_us)
            write_files({**files, "inputs.npz": npz_bytes(packed(given))}, folder)
            try:
                run_child(
                    [str(self.python), "run.py", "--out", "result.npz", "--end-with-stdin", *self._options(hidden)],
                    what="samna",
                    folder=folder,
                    limit_s=self.settings.limit_s,
                    environment={**clean_environment(self.settings), "TMPDIR": scratch},
                    on_line=seen,
                )
            except RunError as error:
                raise seen.explained(error, len(next(iter(given.values())))) from error
            result = read_npz(folder / "result.npz")
        return result, f"run on {chips()[deployment.chip].title} ({result.pop('ran_on')!s})"

    def _options(self, hidden: Sequence[str]) -> list[str]:
        board = ["--board", self.settings.board] if self.settings.board else []
        patience = [part for name, value in self.patience.items() for part in (f"--{name}", str(value))]
        return [*board, *patience, *(part for name in hidden for part in ("--monitor", name))]


class _Output:
    """Reads what the script prints.

    Args:
        progress: is told of every sample that is done.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.progress, self.done, self.lines = progress, 0, list[str]()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        done = samples_done(line)
        if done is not None:
            self.done = done[0]
            if self.progress is not None:
                self.progress(*done)

    def explained(self, error: RunError, samples: int) -> Exception:
        """The failure in the user's terms."""
        for line in self.lines:
            if line.startswith(_NO_BOARD):
                return HardwareUnavailable(line, where="board", hint="nmdeploy doctor tells what is there")
            if line.startswith(_REFUSED):
                hint = "nmdeploy's rules let it pass; please report it with the bundle"
                return RunError("samna refuses the configuration", found=line.removeprefix(_REFUSED), hint=hint)
        if not self.lines:
            return error
        what = f"{error.what}; {self.done} of {samples} samples had been recorded"
        return RunError(what, where="board", found=error.found, limit=error.limit, hint=error.hint)


def _raster(population: Population, samples: list[Events], steps: int, step_us: int) -> Array:
    """A population's spikes `[T, N, *shape]`."""
    rasters = []
    for events in samples:
        kept = events.copy()
        kept["t"] = np.minimum(kept["t"], (steps - 1) * step_us)
        rasters.append(events_to_raster(kept, as_map(population.shape), steps, step_us))
    counts = np.stack(rasters, axis=1).reshape(steps, len(samples), *population.shape)
    kind = spike_type(population)
    largest = int(np.iinfo(kind).max)
    if counts.max() > largest:
        message = "a neuron fired more often in one step than a result can hold"
        raise RunError(message, where=population.name, found=int(counts.max()), limit=largest)
    return counts.astype(kind)


def _spiking_outputs(network: Network) -> list[str]:
    return [name for name in network.outputs if not network[name].is_input]


def _shaped(network: Network, key: str, values: Array) -> Any:
    """Final potentials `[N, C, H, W]` as `[N, *shape]`."""
    return values.reshape(len(values), *network[key.removesuffix(".final_v")].shape)
