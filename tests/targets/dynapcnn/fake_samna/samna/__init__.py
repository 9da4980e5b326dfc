"""A stand-in for samna with boards that compute: each runs the configuration that is applied to it, event by event.

Only the outermost calls exist, those that `targets.dynapcnn.samna` makes. The chip in it is
written from the configuration tree alone, without nmdeploy. Its memory holds garbage until
it is written. FAKE_SAMNA is a JSON object that says what there is and what goes wrong:

    boards       device type names; default one Speck2fDevKit
    refuse       message of the validator
    lost_after   samples after which the board is gone
    fail         name of a call that raises
    hang         name of a call that does not return
    mute         potentials are not told
    chatter      the board does not stop firing
    late_us      delay of the output's timestamps
    log          file that takes a line for each call
"""

import json
import os
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

__version__ = "0.0-fake"
SETTINGS = json.loads(os.environ.get("FAKE_SAMNA", "{}"))
GARBAGE = 77


def called(name):
    if "log" in SETTINGS:
        with Path(SETTINGS["log"]).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    if SETTINGS.get("fail") == name:
        raise RuntimeError(f"usb error in {name}")
    if SETTINGS.get("hang") == name:
        time.sleep(600)


class Spike(SimpleNamespace):
    pass


class ReadNeuronValue(SimpleNamespace):
    pass


class WriteNeuronValue(SimpleNamespace):
    pass


def bits(count):
    return (count - 1).bit_length()


class Core:
    """One core: its configuration is attributes, its potentials lie in `memory` by address."""

    def __init__(self):
        self.destinations = [SimpleNamespace(enable=False, pooling=1, feature_shift=0) for _ in range(2)]
        self.monitor_enable = False
        self.memory = {}

    def place(self, f, y, x):
        shape = self.dimensions["output_shape"]
        low = bits(shape["feature_count"])
        return y << (low + bits(shape["size"]["x"])) | x << low | f

    def add(self, address, amount):
        """A synaptic event or a tick; whether the neuron fires."""
        self.memory[address] = max(self.memory.get(address, GARBAGE) + amount, self.threshold_low)
        return self.memory[address] >= self.threshold_high

    def reset(self, address):
        self.memory[address] = 0 if self.return_to_zero else self.memory[address] - self.threshold_high

    def take(self, c, y, x):
        """One event; yields the neurons that fire, in the order of rows, columns, features."""
        d = self.dimensions
        if x >= d["input_shape"]["size"]["x"] or y >= d["input_shape"]["size"]["y"]:
            return
        for oy in range(d["output_shape"]["size"]["y"]):
            ky = y + d["padding"]["y"] - oy * d["stride"]["y"]
            if not 0 <= ky < d["kernel_size"]:
                continue
            for ox in range(d["output_shape"]["size"]["x"]):
                kx = x + d["padding"]["x"] - ox * d["stride"]["x"]
                if not 0 <= kx < d["kernel_size"]:
                    continue
                for f in range(d["output_shape"]["feature_count"]):
                    address = self.place(f, oy, ox)
                    if self.add(address, self.weights[f][c][kx][ky]):
                        self.reset(address)
                        yield f, oy, ox

    def tick(self):
        shape = self.dimensions["output_shape"]
        for f in range(shape["feature_count"]):
            for y in range(shape["size"]["y"]):
                for x in range(shape["size"]["x"]):
                    self.add(self.place(f, y, x), self.biases[f])


class SpeckConfiguration:
    def __init__(self):
        self.cnn_layers = [Core() for _ in range(9)]
        self.dvs_layer = SimpleNamespace(destinations=[SimpleNamespace(), SimpleNamespace()])
        self.dvs_filter, self.readout, self.factory_config = (SimpleNamespace() for _ in range(3))


DynapcnnConfiguration = SpeckConfiguration


class Model:
    def __init__(self, board):
        self.board = board
        self.out = None

    def apply_configuration(self, configuration):
        called("apply_configuration")
        self.cores = configuration.cnn_layers

    def get_sink_node(self):
        return self

    def get_source_node(self):
        return self

    def write(self, events):
        called("write")
        if "chatter" in SETTINGS:
            self.out.chatter = Spike(layer=0, feature=0, x=0, y=0, timestamp=0)
        now = 0
        for event in events:
            if isinstance(event, WriteNeuronValue):
                self.cores[event.layer].memory[event.address] = event.neuron_state
            elif isinstance(event, ReadNeuronValue):
                if "mute" not in SETTINGS:
                    value = self.cores[event.layer].memory.get(event.address, GARBAGE)
                    answer = {"layer": event.layer, "address": event.address, "neuron_state": value}
                    self.out.received.append(ReadNeuronValue(**answer))
            else:
                now = self.ticks_until(now, event.timestamp)
                self.run(event)
        if events and isinstance(events[-1], Spike):
            self.ticks_until(now, self.board.duration_us)
            self.board.samples += 1

    def ticks_until(self, now, moment):
        """Tick at the end of every period of the slow clock before `moment`."""
        if self.board.clock_hz:
            period = round(1e6 / self.board.clock_hz)
            for _ in range(moment // period - now // period):
                for core in self.cores:
                    if getattr(core, "leak_enable", False):
                        core.tick()
        return moment

    def run(self, event):
        queue = deque([(event.layer, event.feature, event.y, event.x)])
        while queue:
            number, c, y, x = queue.popleft()
            core = self.cores[number]
            for f, oy, ox in core.take(c, y, x):
                if core.monitor_enable:
                    moment = event.timestamp + SETTINGS.get("late_us", 3)
                    self.out.received.append(Spike(layer=number, feature=f, x=ox, y=oy, timestamp=moment))
                for to in core.destinations:
                    if to.enable and to.layer < len(self.cores):  # 12 is the read-out block
                        queue.append((to.layer, f + to.feature_shift, oy // to.pooling, ox // to.pooling))


class SourceNode:
    def __init__(self):
        self.model = None

    def write(self, events):
        self.model.write(events)


class SinkNode:
    def __init__(self):
        self.received = [Spike(layer=0, feature=0, x=0, y=0, timestamp=5)]  # left from before
        self.chatter = None

    def get_events(self):
        events, self.received = self.received, []
        return events + ([self.chatter] if self.chatter else [])


class EventFilterGraph:
    def sequential(self, nodes):
        first, second = nodes
        if isinstance(first, SourceNode):
            first.model = second
        else:
            first.out = second

    def start(self):
        called("graph.start")

    def stop(self):
        called("graph.stop")


class Board:
    """A device: handle, stop watch and io module in one."""

    def __init__(self, info):
        self.info, self.clock_hz, self.samples = info, 0, 0
        self.duration_us = SETTINGS.get("duration_us", 0)
        self.model = Model(self)

    def get_model(self):
        return self.model

    def get_stop_watch(self):
        return self

    def get_io_module(self):
        return self

    def start(self):
        called("stop_watch.start")

    def reset(self):
        called("stop_watch.reset")

    def stop(self):
        called("stop_watch.stop")

    def write_config(self, register, value):
        called(f"write_config {register} {value}")

    def set_slow_clk(self, on):
        called(f"set_slow_clk {on}")

    def set_slow_clk_rate(self, rate):
        called(f"set_slow_clk_rate {rate}")
        self.clock_hz = rate


INFOS = [
    SimpleNamespace(device_type_name=name, usb_bus_number=1, usb_device_address=9 - number, serial_number=f"S{number}")
    for number, name in enumerate(SETTINGS.get("boards", ["Speck2fDevKit"]))
]
OPEN = []


def get_unopened_devices():
    return [each for each in INFOS if all(each is not board.info for board in OPEN)]


def get_all_devices():
    lost = "lost_after" in SETTINGS and any(board.samples >= SETTINGS["lost_after"] for board in OPEN)
    return [] if lost else list(INFOS)


def open_device(info):
    called(f"open_device {info.device_type_name} {info.serial_number}")
    if "unopenable" in SETTINGS:
        return None
    OPEN.append(Board(info))
    return OPEN[-1]


def close_device(board):
    called("close_device")
    OPEN.remove(board)


def chip_module(configuration):
    kinds = SimpleNamespace(
        Spike=Spike,
        ReadNeuronValue=lambda **fields: ReadNeuronValue(**fields),
        WriteNeuronValue=lambda **fields: WriteNeuronValue(**fields),
    )
    return SimpleNamespace(
        configuration=configuration,
        event=kinds,
        validate_configuration=lambda tree: ("refuse" not in SETTINGS, SETTINGS.get("refuse", "")),
    )


device = SimpleNamespace(
    get_unopened_devices=get_unopened_devices,
    get_all_devices=get_all_devices,
    open_device=open_device,
    close_device=close_device,
)
graph = SimpleNamespace(EventFilterGraph=EventFilterGraph)
speck2f = chip_module(SimpleNamespace(SpeckConfiguration=SpeckConfiguration))
speck2e = chip_module(SimpleNamespace(SpeckConfiguration=SpeckConfiguration))
dynapcnn = chip_module(SimpleNamespace(DynapcnnConfiguration=DynapcnnConfiguration))
BasicSourceNode_speck2f_event_input_event = SourceNode
BasicSinkNode_speck2f_event_output_event = SinkNode
BasicSourceNode_speck2e_event_speck2e_input_event = SourceNode
BasicSinkNode_speck2e_event_output_event = SinkNode
BasicSourceNode_dynapcnn_event_input_event = SourceNode
BasicSinkNode_dynapcnn_event_output_event = SinkNode
