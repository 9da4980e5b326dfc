"""A stand-in for `pyNN.spiNNaker` with a machine behind it: as much as emitted scripts call, in integers.

The arithmetic is written from the description of the chip alone: potentials are recorded before a step's
update, packets of step t are added to the ring buffers of step t + delay, buffers hold 65535.
FAKE_FAULT makes it fail (`crash`), hang (`hang`), or record nothing, like a virtual board (`virtual`).
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ONE = 32768
_populations, _projections = [], []


def setup(timestep, min_delay, time_scale_factor):
    assert timestep == min_delay == 1.0
    configuration = Path(os.environ["HOME"]) / ".spynnaker.cfg"
    text = configuration.read_text() + Path("spynnaker.cfg").read_text()
    sys.stdout.write(f"a lot of noise {time_scale_factor} {len(text)}\n")
    _populations.clear()
    _projections.clear()
    if os.environ.get("FAKE_FAULT") == "crash":
        raise RuntimeError("the board is on fire")
    if os.environ.get("FAKE_FAULT") == "hang":
        time.sleep(60)


def end():
    pass


def SpikeSourceArray(spike_times):
    return SimpleNamespace(kind="source", spike_times=spike_times)


def _cell(kind):
    def make(**parameters):
        return SimpleNamespace(
            kind=kind, **{name: np.rint(np.array(v) * ONE).astype(np.int64) for name, v in parameters.items()}
        )

    return make


IF_curr_exp = _cell("exp")
extra_models = SimpleNamespace(IFTruncDelta=_cell("trunc"), IFCurDelta=_cell("delta"))


def Grid2D(aspect_ratio):
    return aspect_ratio


class Population:
    def __init__(self, size, model, label, structure=None, additional_parameters=None):
        self.size, self.model, self.label, self.ratio = size, model, label, structure
        self.sums = (additional_parameters or {}).get("max_expected_summed_weight", [0.5, 0.5])
        self.recorded, self.rings = {}, {}
        self.shifts = [next(s for s in range(32) if 2**s > each) for each in self.sums]
        _populations.append(self)

    @property
    def grid(self):
        height = round((self.size / self.ratio) ** 0.5)
        return height, self.size // height

    def set_max_atoms_per_core(self, atoms):
        count = atoms if isinstance(atoms, int) else atoms[0] * atoms[1]
        if self.model.kind == "trunc":
            assert count % 2 == 0
            assert self.size % 2 == 0
            assert np.all(self.model.v_thresh == ONE)
        if self.ratio is not None:
            assert self.grid[1] % atoms[0] == self.grid[0] % atoms[1] == 0

    def initialize(self, v):
        self.v = np.rint(np.array(v) * ONE).astype(np.int64)
        self.timer = np.zeros(self.size, np.int64)

    def record(self, variable):
        self.recorded[variable] = []

    def ring(self, step):
        return self.rings.setdefault(step, np.zeros((2, self.size), np.int64))

    def step(self, tick):
        if self.model.kind == "source":
            return np.array([tick in times for times in (self.model.spike_times or [[]] * self.size)])
        cell, full = self.model, np.minimum(self.ring(tick), 65535)
        if "v" in self.recorded:
            self.recorded["v"].append(self.v.copy())
        exc, inh = full[0] << self.shifts[0], full[1] << self.shifts[1]
        gain = (cell.tau_m << 15) // cell.cm
        if cell.kind == "trunc":
            new = np.maximum(self.v + ((exc - inh + cell.i_offset) * gain >> 15), cell.v_reset)
        else:
            assert np.all(cell.tau_m == ONE * ONE)
            assert np.all(cell.tau_syn_E == ONE // 16)
            assert np.all(cell.tau_syn_I == ONE // 16)
            exc, inh = exc * (2**28 - 1) >> 32, inh * (2**28 - 1) >> 32
            rest = ((exc - inh + cell.i_offset) * gain >> 15) + cell.v_rest
            new = rest - (32766 * (rest - self.v) >> 15)
        self.v = np.where(self.timer > 0, self.v, new)
        self.timer = np.maximum(self.timer - 1, 0)
        fired = self.v >= cell.v_thresh
        self.v = np.where(fired, cell.v_reset, self.v)
        self.timer = np.where(fired, -(-cell.tau_refrac // ONE), self.timer)
        if "spikes" in self.recorded:
            self.recorded["spikes"].append(fired)
        return fired

    def get_data(self, variable):
        assert variable in self.recorded
        values = np.array(self.recorded[variable])
        if os.environ.get("FAKE_FAULT") == "virtual":
            values = values[:0].reshape(0, self.size)
        if variable == "v":
            signal = SimpleNamespace(magnitude=values / ONE)
            return SimpleNamespace(segments=[SimpleNamespace(filter=lambda name: [signal] if name == "v" else [])])
        trains = [
            SimpleNamespace(magnitude=np.flatnonzero(column).astype(float), annotations={"source_index": index})
            for index, column in enumerate(values.T)
        ]
        return SimpleNamespace(segments=[SimpleNamespace(spiketrains=trains[::-1])])


def FromListConnector(listed):
    return lambda pre, post: _rows(pre, post, np.asarray(listed))


def _rows(pre, post, listed):
    matrix = np.zeros((pre.size, post.size))
    np.add.at(matrix, (listed[:, 0].astype(int), listed[:, 1].astype(int)), listed[:, 2])
    return matrix, int(listed[0, 3])


def ConvolutionConnector(kernel, padding, pool_shape=1, pool_stride=1):
    def matrix(pre, post):
        (height, width), (rows, columns), half = pre.grid, post.grid, len(kernel) // 2
        result = np.zeros((height, width, rows, columns))
        for y, x in np.ndindex(height, width):
            for r, c in np.ndindex(kernel.shape):
                at = y // pool_stride - 2 * half + padding + r, x // pool_stride - 2 * half + padding + c
                if 0 <= at[0] < rows and 0 <= at[1] < columns:
                    result[(y, x, *at)] += kernel[r, c] / pool_shape**2
        return result.reshape(pre.size, post.size), None

    return matrix


def PoolDenseConnector(weights, pool_shape=1, pool_stride=1):
    def matrix(pre, _post):
        height, width = pre.grid
        y, x = np.indices((height, width))
        row = (x // pool_stride) * (height // pool_stride) + y // pool_stride
        return weights[row.ravel()] / pool_shape**2, None

    return matrix


def Convolution(delay):
    return delay


PoolDense = Convolution


class Projection:
    def __init__(self, pre, post, connector, receptor_type=None, synapse_type=None):
        matrix, delay = connector(pre, post)
        self.pre, self.post, self.delay = pre, post, delay or int(synapse_type)
        if receptor_type is not None:
            assert np.all(matrix >= 0)
            matrix = -matrix if receptor_type == "inhibitory" else matrix
        positive, negative = (np.rint(np.maximum(s * matrix, 0) * 2.0 ** (15 - shift)) for s, shift in self._signs())
        self.weights = np.stack([positive, negative]).astype(np.int64)
        assert self.weights.max(initial=0) <= (65535 if receptor_type else 32767)
        _projections.append(self)

    def _signs(self):
        return zip((1, -1), self.post.shifts, strict=True)


def run(milliseconds):
    for tick in range(int(milliseconds)):
        fired = {id(population): population.step(tick) for population in _populations}
        for each in _projections:
            spikes = fired[id(each.pre)].astype(np.int64)
            each.post.ring(tick + each.delay)[:] += np.stack([spikes @ each.weights[0], spikes @ each.weights[1]])
