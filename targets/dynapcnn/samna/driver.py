"""The command line of an emitted script: runs samples on a board, one after the other, and writes what came out."""

from __future__ import annotations

import _thread
import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .adapter import Refused, samna_configuration
from .address import is_known
from .device import KINDS, BoardError, NoBoard, find, identifiers, opened
from .stream import EVENT, Core, Entry, Patience, entering, fresh, leaving, play, potentials

Array = NDArray[Any]
NO_BOARD = 4
"""Exit code when no board is there."""


class Setup(NamedTuple):
    """What `network.json` says of a deployment.

    Attributes:
        chip: name of the chip.
        entries: by input, where its events enter.
        cores: the used cores.
        outputs: populations that are read out.
        duration_us: of a sample.
        slow_clock_hz: of the clock that drives leaks; 0 for none.
    """

    chip: str
    entries: Mapping[str, list[Entry]]
    cores: list[Core]
    outputs: list[str]
    duration_us: int
    slow_clock_hz: float

    @classmethod
    def read(cls, path: Path) -> Setup:
        """From `network.json`."""
        data = json.loads(path.read_text(encoding="utf-8"))
        data["entries"] = {name: [Entry(*each) for each in rows] for name, rows in data["entries"].items()}
        data["cores"] = [Core(*each) for each in data["cores"]]
        return cls(**data)


def main(folder: Path, arguments: list[str] | None = None) -> None:
    """Run the command line.

    Args:
        folder: where the script lies, with `configuration.json`, `network.json` and `inputs.npz`.
        arguments: instead of those of the command line.
    """
    options = parse(arguments, folder)
    if options.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    end_in_order()
    try:
        execute(folder, options)
    except NoBoard as error:
        sys.exit(_told(error, NO_BOARD))
    except (Refused, BoardError) as error:
        sys.exit(_told(error, 1))


def _told(error: Exception, code: int) -> int:
    prefix = "samna refuses the configuration: " if isinstance(error, Refused) else ""
    print(f"{prefix}{error}", flush=True)
    return code


def end_in_order() -> None:
    """Let the first signal that ends this process leave every `with`, so that the board is closed whoever ends the run.

    Signals come in twos: who ends a run closes standard input too. A second one must not break off the closing.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _first)


def _first(number: int, frame: object) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    sys.exit(128 + number)


def _end_with_stdin() -> None:
    """Wait for the end of standard input, then end this process."""
    while os.read(0, 1024):
        pass
    _thread.interrupt_main()


def parse(arguments: list[str] | None, folder: Path) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Run the network on a board, through samna.")
    parser.add_argument("--list", action="store_true", help="List the boards that samna finds, and end.")
    parser.add_argument("--board", help="As listed, or its serial number; default: the first with the chip.")
    parser.add_argument("--inputs", type=Path, default=folder / "inputs.npz", help="Input events, see README.md.")
    parser.add_argument(
        "--out", type=Path, default=Path("events.npz"), help="Where to write events; default: %(default)s."
    )
    parser.add_argument("--monitor", action="append", default=[], metavar="NAME", help="Record a hidden population.")
    parser.add_argument(
        "--settle", type=float, default=1.0, metavar="S", help="Wait for the configuration; default: %(default)s s."
    )
    parser.add_argument(
        "--reset", type=float, default=0.5, metavar="S", help="Wait for fresh potentials; default: %(default)s s."
    )
    parser.add_argument(
        "--quiet", type=float, default=0.3, metavar="S", help="Silence that ends a sample; default: %(default)s s."
    )
    parser.add_argument(
        "--longest", type=float, default=10.0, metavar="S", help="Give up after its last input; default: %(default)s s."
    )
    parser.add_argument(
        "--answer", type=float, default=5.0, metavar="S", help="Wait for potentials; default: %(default)s s."
    )
    parser.add_argument("--end-with-stdin", action="store_true", help="End when standard input is closed.")
    return parser.parse_args(arguments)


def execute(folder: Path, options: argparse.Namespace) -> None:
    """Run every sample from fresh potentials, tell the counts, write the events."""
    import samna  # on PyPI there is a package of this name that installs the real one when it is imported

    if options.list:
        print(*identifiers(samna.device.get_all_devices()), sep="\n")
        return
    setup = Setup.read(folder / "network.json")
    tree = json.loads((folder / "configuration.json").read_text(encoding="utf-8"))
    kind = KINDS[setup.chip]
    recorded = [core for core in setup.cores if core.population in (*setup.outputs, *options.monitor)]
    for core in recorded:
        tree["cnn_layers"][str(core.core)]["monitor_enable"] = True
    name, info = find(samna, kind, options.board)
    configuration = samna_configuration(getattr(samna, kind.module), kind.configuration, tree)
    inputs, ends = read_events(options.inputs, list(setup.entries))
    patience = Patience(options.settle, options.reset, options.quiet, options.longest, options.answer)
    result = Recording(recorded, setup.outputs)
    print(f"runs on {name}, samna {samna.__version__}", flush=True)
    read = [core for core in recorded if core.population in setup.outputs and is_known(core.shape, core.words)]
    with opened(samna, kind, info, configuration, setup.slow_clock_hz, patience.settle) as board:
        writes = fresh(board, setup.cores, {core.core: initial(tree, core) for core in setup.cores})
        for sample, given in enumerate(samples(inputs, ends)):
            board.write(writes, patience.reset)
            spikes = play(board, entering(board, given, setup.entries), setup.duration_us * 1e-6, patience)
            result.add(
                leaving(spikes, recorded), {core.core: potentials(board, core, patience.answer) for core in read}
            )
            board.require_presence()
            print(f"sample {sample + 1} of {len(next(iter(ends.values())))}", flush=True)
    arrays = result.arrays()
    np.savez(options.out, **arrays, ran_on=np.array(f"{name}, samna {samna.__version__}"))  # type: ignore[arg-type]
    print(f"written: {options.out}")
    compare(options.inputs, setup, arrays)


def initial(tree: Mapping[str, Any], core: Core) -> Array:
    """The potentials that a core starts with, `[channel, row, column]`."""
    return np.array(tree["cnn_layers"][str(core.core)]["neurons_initial_value"]).transpose(0, 2, 1)


def read_events(path: Path, names: list[str]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Events by input, and by input the index behind each sample's last event."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[f"{name}.events"] for name in names}, {name: file[f"{name}.ends"] for name in names}


def compare(path: Path, setup: Setup, arrays: Mapping[str, Array]) -> None:
    """Tell how the spike counts differ from those that nmdeploy's emulator expects, where the inputs came with them."""
    channels: dict[str, int] = {}
    for core in setup.cores:
        channels[core.population] = channels.get(core.population, 0) + core.shape[0]
    sizes = {core.population: (channels[core.population], *core.shape[1:]) for core in setup.cores}
    with np.load(path, allow_pickle=False) as file:
        expected = {name: file[f"{name}.expected"] for name in setup.outputs if f"{name}.expected" in file}
    for name, counts in expected.items():
        found = np.zeros((len(counts), *sizes[name]), np.int64)
        sample = np.searchsorted(arrays[f"{name}.ends"], np.arange(len(arrays[f"{name}.events"])), side="right")
        events = arrays[f"{name}.events"]
        np.add.at(found, (sample, events["p"], events["y"], events["x"]), 1)
        differing = np.count_nonzero(found != counts.reshape(found.shape))
        print(f"{name}: {counts.size} spike counts compared with nmdeploy's emulator: {differing} differ")


def samples(inputs: Mapping[str, Array], ends: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """The events of each sample, by input."""
    for number in range(len(next(iter(ends.values())))):
        first = {name: int(values[number - 1]) if number else 0 for name, values in ends.items()}
        yield {name: events[first[name] : int(ends[name][number])] for name, events in inputs.items()}


class Recording:
    """What came out, sample by sample.

    Args:
        cores: the recorded cores.
        outputs: populations that are read out.
    """

    def __init__(self, cores: list[Core], outputs: list[str]) -> None:
        self.cores, self.outputs = cores, outputs
        self.events: dict[str, list[Array]] = {core.population: [] for core in cores}
        self.states: list[dict[int, Array]] = []

    def add(self, events: Mapping[str, Array], states: dict[int, Array]) -> None:
        """Keep a sample and tell the counts of its outputs."""
        for name, values in events.items():
            self.events[name].append(values)
        self.states.append(states)
        for name in self.outputs:
            print(f"{name}: {len(events[name])} spikes", flush=True)

    def arrays(self) -> dict[str, Array]:
        """`NAME.events`, `NAME.ends` by population; `NAME.final_v` `[N, C, H, W]` by output, where it is readable."""
        result: dict[str, Array] = {}
        for name, samples in self.events.items():
            result[f"{name}.events"] = np.concatenate([np.empty(0, EVENT), *samples])
            result[f"{name}.ends"] = np.cumsum([len(each) for each in samples], dtype=np.int64)
        for name in self.outputs:
            parts = sorted((core for core in self.cores if core.population == name), key=lambda core: core.first)
            if all(is_known(core.shape, core.words) for core in parts):
                values = [np.concatenate([states[core.core] for core in parts]) for states in self.states]
                result[f"{name}.final_v"] = np.stack(values)
        return result
