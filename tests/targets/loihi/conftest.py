"""An independent model of Loihi's LIF, the chips, and hand-made recordings."""

import json

import numpy as np
import pytest

from targets.loihi import TARGET


@pytest.fixture(scope="session")
def loihi1():
    return TARGET.chips()["loihi1"]


@pytest.fixture(scope="session")
def loihi2():
    return TARGET.chips()["loihi2"]


class ScalarLIF:
    """One neuron in Python integers, written from Lava's documentation without numpy."""

    def __init__(self, *, vth, du=4095, dv=0, bias_mant=0, bias_exp=0, u=0, v=0, interval=0, offset=0, subtrahend=None):
        self.vth, self.du, self.dv, self.subtrahend = vth, du, dv, subtrahend
        self.bias = bias_mant * 2**bias_exp if bias_exp >= 0 else bias_mant // 2**-bias_exp
        self.u, self.v, self.time = u, v, 0
        self.interval, self.offset = interval, offset

    @staticmethod
    def truncated(value, numerator):
        product = value * numerator
        return product // 4096 if product >= 0 else -(-product // 4096)

    @staticmethod
    def int32(value):
        value %= 2**32
        return value - 2**32 if value >= 2**31 else value

    def step(self, arrived):
        self.time += 1
        if self.interval and self.time % self.interval == self.offset % self.interval:
            self.u = self.v = 0
        self.u = self.int32(self.truncated(self.u, 4095 - self.du) + self.int32(arrived * 64))
        if self.u > 8388608:
            self.u -= 16777216
        elif self.u <= -8388608:
            self.u += 16777216
        self.v = self.truncated(self.v, 4096 - self.dv) + self.u + self.bias
        self.v = min(max(self.v, -8388607), 8388607)
        fired = self.v > self.vth * 64
        if fired:
            self.v = 0 if self.subtrahend is None else self.v - self.subtrahend * 64
        return int(fired)


@pytest.fixture(scope="session")
def scalar_lif():
    return ScalarLIF


@pytest.fixture
def recording(tmp_path):
    """Writes a recording of one dense net: 2 inputs, 2 neurons, 6 steps; `changes` replace keys, None drops them."""

    def write(name="made.npz", *, meta_changes=None, layer_changes=None, **changes):
        weights, x = np.array([[3, 8], [-5, 6]], dtype=np.int32), np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 1, 1]])
        stored = np.array([[2, 8], [-6, 6]])  # mixed signs lose the lowest bit, toward minus infinity
        neurons = [ScalarLIF(vth=9, bias_mant=1, bias_exp=6), ScalarLIF(vth=9)]
        rows = []
        for step in range(6):
            arrived = stored @ x[:, step - 1] if step else np.zeros(2, dtype=int)
            spikes = [neuron.step(int(a)) for neuron, a in zip(neurons, arrived, strict=True)]
            rows.append(([n.u for n in neurons], [n.v for n in neurons], spikes))
        u, v, s = (np.array([row[index] for row in rows], dtype=np.int32) for index in range(3))
        layer = {"kind": "dense", "sign_mode": "auto", "num_weight_bits": 8, "weight_exp": 0, "num_message_bits": 0}
        layer |= {"vth": 9, "du": 4095, "dv": 0, **(layer_changes or {})}
        meta = {"T": 6, "layers": [layer], **(meta_changes or {})}
        arrays = {"meta": np.array(json.dumps(meta)), "x": x.astype(np.int8), "l0.weights": weights}
        arrays |= {"l0.bias_mant": np.array([1, 0]), "l0.bias_exp": np.array([6, 0])}
        arrays |= {"l0.u": u, "l0.v": v, "l0.s": s.astype(np.int8)}
        arrays |= {key.replace("__", "."): value for key, value in changes.items()}
        path = tmp_path / name
        np.savez(path, **{f"c000.{key}": value for key, value in arrays.items() if value is not None})
        return path

    return write
