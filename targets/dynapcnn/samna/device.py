"""Finding, opening and always closing a board.

The calls are those of sinabs 3.1.3 (`sinabs/backend/dynapcnn/io.py`, `dynapcnn_network.py`), those of
the development kit of sinabs 2.0.3, which needs samna before 0.46.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """How samna names what belongs to a chip.

    Attributes:
        module: samna's module.
        configuration: class of its configuration.
        source, sink: nodes through which events go to and from a board.
        boards: `device_type_name` of the boards that carry the chip.
        stop_watch: whether a stop watch makes the timestamps; otherwise a register of the board does.
    """

    module: str
    configuration: str
    source: str
    sink: str
    boards: tuple[str, ...]
    stop_watch: bool = True


KINDS = {
    "speck2f": Kind(
        "speck2f",
        "SpeckConfiguration",
        "BasicSourceNode_speck2f_event_input_event",
        "BasicSinkNode_speck2f_event_output_event",
        ("Speck2fDevKit", "Speck2fModuleDevKit"),
    ),
    "speck2e": Kind(
        "speck2e",
        "SpeckConfiguration",
        "BasicSourceNode_speck2e_event_speck2e_input_event",
        "BasicSinkNode_speck2e_event_output_event",
        ("Speck2eDevKit", "Speck2eTestBoard"),
    ),
    "dynapcnndevkit": Kind(
        "dynapcnn",
        "DynapcnnConfiguration",
        "BasicSourceNode_dynapcnn_event_input_event",
        "BasicSinkNode_dynapcnn_event_output_event",
        ("DynapcnnDevKit",),
        stop_watch=False,
    ),
}
TIMESTAMP_REGISTER = 0x0003
"""Of the development kit's board: 1 counts microseconds, 0 resets (sinabs-dynapcnn, `io.py`)."""
SINABS_NAMES = {"speck2fmodule": "Speck2fModuleDevKit", "speck2e": "Speck2eTestBoard"}
"""Boards that sinabs calls otherwise than samna, case apart."""


class NoBoard(Exception):
    """No such board is connected."""


class BoardError(Exception):
    """A board does not do what it should."""


class Board(NamedTuple):
    """An open board.

    Attributes:
        samna: the library.
        kind: how it names the chip.
        handle: the open device.
        info: samna's record of the device.
        source: takes lists of events for the board.
        sink: gives the events that came from it.
        events: samna's module of the chip's events.
    """

    samna: Any
    kind: Kind
    handle: Any
    info: Any
    source: Any
    sink: Any
    events: Any

    def event(self, name: str, **fields: int) -> Any:
        """A new event of samna's (`Spike`, `ReadNeuronValue`, `WriteNeuronValue`)."""
        made = getattr(self.events, name)()
        for field, value in fields.items():
            setattr(made, field, value)
        return made

    def is_spike(self, event: Any) -> bool:
        """Whether an event that came from the board is a spike."""
        return isinstance(event, self.events.Spike)

    def write(self, events: list[Any], settle_s: float) -> None:
        """Send events and wait for them to take effect."""
        self.source.write(events)
        time.sleep(settle_s)

    def restart_time(self) -> None:
        """Begin to count timestamps at 0."""
        if self.kind.stop_watch:
            watch = self.handle.get_stop_watch()
            watch.reset()
            watch.start()
        else:
            module = self.handle.get_io_module()
            module.write_config(TIMESTAMP_REGISTER, 0)
            module.write_config(TIMESTAMP_REGISTER, 1)

    def stop_time(self) -> None:
        """No more timestamps."""
        if self.kind.stop_watch:
            self.handle.get_stop_watch().stop()
        else:
            self.handle.get_io_module().write_config(TIMESTAMP_REGISTER, 0)

    def require_presence(self) -> None:
        """See that the board is still connected.

        Raises:
            BoardError: when it is not.
        """
        if not any(_place(each) == _place(self.info) for each in self.samna.device.get_all_devices()):
            raise BoardError(f"the board {self.info.device_type_name} is no longer connected")


def _place(info: Any) -> tuple[Any, ...]:
    return info.device_type_name, info.usb_bus_number, info.usb_device_address


def identifiers(devices: list[Any]) -> dict[str, Any]:
    """Devices by `TYPE:NUMBER`, numbered in the order of their USB addresses, as sinabs does."""
    found: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for info in sorted(devices, key=lambda each: each.usb_device_address):
        number = counts.get(info.device_type_name, 0)
        counts[info.device_type_name] = number + 1
        found[f"{info.device_type_name}:{number}"] = info
    return found


def find(samna: Any, kind: Kind, board: str | None) -> tuple[str, Any]:
    """A board with the chip: identifier and samna's record.

    Args:
        samna: the library.
        kind: of the chip.
        board: samna's or sinabs' name of it, with or without number (`Speck2fDevKit`, `speck2fdevkit:0`),
            or its serial number; None for the first.

    Raises:
        NoBoard: telling what is connected.
    """
    found = identifiers(samna.device.get_unopened_devices())
    for name, info in found.items():
        if info.device_type_name in kind.boards and (board is None or _is(board, name, info)):
            return name, info
    listing = ", ".join(found) or "nothing"
    wanted = board or " or ".join(kind.boards)
    raise NoBoard(f"no board {wanted} that is free (samna finds {listing})")


def _is(board: str, name: str, info: Any) -> bool:
    kind, _, number = board.partition(":")
    kind = SINABS_NAMES.get(kind.lower(), kind)
    asked = f"{kind}:{number or 0}".lower()
    return asked == name.lower() or (bool(info.serial_number) and board == info.serial_number)


@contextmanager
def opened(
    samna: Any, kind: Kind, info: Any, configuration: Any, slow_clock_hz: float, settle_s: float
) -> Iterator[Board]:
    """An open, configured board; it is stopped and closed at the end, however the end comes.

    Args:
        samna: the library.
        kind: of the chip.
        info: samna's record of the device.
        configuration: accepted by samna.
        slow_clock_hz: of the clock that drives leaks; 0 leaves it off.
        settle_s: how long to wait for the configuration to be written.

    Raises:
        BoardError: when it cannot be opened.
    """
    handle = samna.device.open_device(info)
    if handle is None:
        raise BoardError(f"the board {info.device_type_name} cannot be opened")
    with ExitStack() as stack:
        stack.callback(samna.device.close_device, handle)
        model = handle.get_model()
        model.apply_configuration(configuration)
        time.sleep(settle_s)
        if slow_clock_hz:
            clock = handle.get_io_module()
            clock.set_slow_clk(True)
            clock.set_slow_clk_rate(slow_clock_hz)
            stack.callback(clock.set_slow_clk, False)
        source, sink = getattr(samna, kind.source)(), getattr(samna, kind.sink)()
        for nodes in ([source, model.get_sink_node()], [model.get_source_node(), sink]):
            graph = samna.graph.EventFilterGraph()
            graph.sequential(nodes)
            graph.start()
            stack.callback(graph.stop)
        yield Board(samna, kind, handle, info, source, sink, getattr(samna, kind.module).event)
