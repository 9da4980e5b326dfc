"""Random nets given to sinabs 3.1.3 and to nmdeploy: every integer of the configuration and of the simulation.

sinabs runs in one process of its own, on a stand-in for samna (`sinabs_driver.py`).
"""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from nmdeploy.conformance import ConformanceReport
from nmdeploy.errors import FitError, NmdeployError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Severity
from targets.dynapcnn import TARGET
from targets.dynapcnn.conformance.replay import compare, deployed
from targets.dynapcnn.conformance.vectors import read_recording

pytestmark = [pytest.mark.slow, pytest.mark.shared]
STEPS = 8
SEED = 20261122
CHIP = "speck2f"


class Draw:
    """Draws the layers of one net: specs as JSON holds them, and parameters by key."""

    def __init__(self, name, seed):
        self.name, self.rng, self.layers, self.parameters = name, np.random.default_rng(seed), [], {}
        self.shapes = {-1: (self.one_of(1, 2, 3), self.one_of(6, 9, 12, 16), self.one_of(6, 9, 12, 16))}

    def one_of(self, *values):
        return values[self.rng.integers(len(values))]

    def chance(self, share):
        return bool(self.rng.random() < share)

    def source(self, layer, pools=()):
        return {"layer": layer, "pools": [list(pool) for pool in pools]}

    def pools(self, layer):
        """Pools that the map of a layer still can take; sums and averages, one behind the other."""
        _, height, width = self.shapes[layer]
        chosen = self.one_of((), (), (2,), (2,), (4,), (2, 2))
        if layer < 0 or np.prod(chosen, initial=1) > min(height, width):
            return ()
        return tuple((self.one_of("avg", "sum"), size, size) for size in chosen)

    def received(self, source):
        channels, height, width = self.shapes[source["layer"]]
        for _, size, _ in source["pools"]:
            height, width = height // size, width // size
        return channels, height, width

    def add(self, *sources, same_size=False, features=None, dense=False, **changes):
        """One more layer; its index."""
        channels, height, width = self.received(sources[0])
        features = features or self.one_of(1, 2, 3, 5, 8)
        layer = {"kind": "dense" if dense else "conv", "sources": list(sources), "groups": 1, **self.neuron()}
        if dense:
            shape, made = (features, channels * height * width), (features, 1, 1)
        else:
            kernel = 3 if same_size else int(self.rng.integers(1, min(5, height, width) + 1))
            geometry = self.geometry(kernel, same_size) | changes
            layer |= geometry
            shape = (features, channels, kernel, kernel)
            sides = zip((height, width), geometry["padding"], geometry["stride"], strict=True)
            made = (features, *((size + 2 * padding - kernel) // stride + 1 for size, padding, stride in sides))
        index = len(self.layers)
        self.layers.append(layer)
        self.shapes[index] = made
        self.draw_parameters(index, shape, made, dense)
        return index

    def geometry(self, kernel, same_size):
        if same_size:
            return {"stride": [1, 1], "padding": [1, 1]}
        stride = [self.one_of(1, 1, 1, 2, 4), self.one_of(1, 1, 1, 2, 8)]
        return {"stride": stride, "padding": [int(self.rng.integers(kernel)), int(self.rng.integers(kernel))]}

    def neuron(self):
        threshold = self.one_of(1.0, 1.0, 0.7, 2.3)
        floor = self.one_of(-1.0, -threshold, -0.3, -7.5, None if threshold >= 1 else -2.0)
        reset = self.one_of("subtract", "subtract", "zero")
        return {"threshold": threshold, "min_v_mem": floor, "reset": reset, "multi": self.chance(0.7)}

    def draw_parameters(self, index, shape, made, dense):
        weight = self.rng.normal(size=shape) * self.one_of(0.2, 0.5, 1.5)
        if self.chance(0.3):
            weight = np.where(self.rng.random(shape) < 0.5, 0, weight)
        if self.chance(0.2):
            weight = np.abs(weight)
        # Without a floor sinabs scales by 1 at most, and a layer of zeros is against the rules.
        weight.flat[0] = 20 if self.layers[index]["min_v_mem"] is None else 0.6 + 0.2 * self.rng.random()
        arrays = {"weight": weight}
        if self.chance(0.4):
            arrays["bias"] = self.rng.normal(size=shape[0]) * self.one_of(0.02, 0.1, 3.0)
        if self.chance(0.25):
            arrays["v_mem"] = self.rng.normal(size=(1, *(made[:1] if dense else made))) * 0.5
        for key, value in arrays.items():
            self.parameters[f"{self.name}.{index}.{key}"] = value.astype(np.float32)

    def dense_end(self, layer):
        """A dense layer behind `layer`, where its map is square and no larger than a kernel may be."""
        pools = self.pools(layer)
        _, height, width = self.received(self.source(layer, pools))
        if height == width <= 16:
            self.add(self.source(layer, pools), dense=True, features=self.one_of(3, 10))

    def finish(self):
        raster = self.rng.integers(0, 3, size=(STEPS, *self.shapes[-1]))
        self.parameters[f"{self.name}.input"] = raster.astype(np.uint8)
        return {"name": self.name, "input": list(self.shapes[-1]), "layers": self.layers}


def chain(draw):
    last = draw.add(draw.source(-1))
    for _ in range(draw.rng.integers(0, 4)):
        last = draw.add(draw.source(last, draw.pools(last)))
    draw.dense_end(last)


def branch(draw):
    """Two destinations, both outputs; one of them may go on."""
    first = draw.add(draw.source(-1))
    pools = draw.pools(first), draw.pools(first)
    for chosen in pools:
        # A pool of 1 where only the other destination pools: sinabs fails otherwise, see `REFUSALS`.
        last = draw.add(draw.source(first, chosen or ((("sum", 1, 1),) if any(pools) else ())))
    draw.add(draw.source(last, draw.pools(last)))


def residual(draw):
    """A layer is added to what it makes of itself."""
    first = draw.add(draw.source(-1), features=4)
    pools = draw.pools(first)
    second = draw.add(draw.source(first, (("sum", 1, 1),) if pools else ()), features=4, same_size=True)
    merged = draw.add(draw.source(first, pools), draw.source(second, pools))
    draw.dense_end(merged)


def conflict(draw):
    """Averages of different sizes meet: sinabs gives both the rounded half of the mean factor."""
    draw.shapes[-1] = (2, 12, 12)
    first = draw.add(draw.source(-1), features=3, same_size=True)
    second = draw.add(draw.source(first, (("sum", 1, 1),)), features=3, same_size=True, stride=[2, 2])
    draw.add(draw.source(first, (("avg", 2, 2),)), draw.source(second))


def two_entries(draw):
    """The input feeds two layers, which meet."""
    one, two = (
        draw.add(draw.source(-1), features=3, same_size=True),
        draw.add(draw.source(-1), features=3, same_size=True),
    )
    draw.add(draw.source(one), draw.source(two))


KINDS = {chain: 24, branch: 8, residual: 8, conflict: 4, two_entries: 4}
"""Kinds of nets and how many of each."""


def drawn():
    found = {}
    for kind, count in KINDS.items():
        for number in range(count):
            draw = Draw(f"{kind.__name__}-{number}", [len(found), SEED])
            kind(draw)
            found[draw.name] = draw.finish(), draw.parameters
    return found


def refused():
    """Nets that one of the two refuses."""
    found = {}
    for number, (name, make) in enumerate(REFUSED.items()):
        draw = Draw(name, [number, 7])
        draw.shapes[-1] = (2, 12, 12)
        make(draw)
        found[name] = draw.finish(), draw.parameters
    return found


def _same(draw, *sources, features=2, **changes):
    return draw.add(*(draw.source(*each) for each in sources), features=features, same_size=True, **changes)


def three_destinations(draw):
    first = _same(draw, (-1,))
    for _ in range(3):
        _same(draw, (first,))


def pooled_and_direct(draw):
    first = _same(draw, (-1,))
    _same(draw, (first,))
    _same(draw, (first, (("sum", 2, 2),)))


def merge_of_three(draw):
    first = _same(draw, (-1,))
    second = _same(draw, (-1,))
    third = _same(draw, (-1,))
    _same(draw, (first,), (second,), (third,))


def pool_of_three(draw):
    _same(draw, (_same(draw, (-1,)), (("sum", 3, 3),)))


def overlapping_pool(draw):
    _same(draw, (_same(draw, (-1,)), (("avg", 3, 2),)))


def stride_of_three(draw):
    _same(draw, (-1,), stride=[3, 3])


def padding_of_eight(draw):
    _same(draw, (-1,), padding=[8, 8])


def grouped(draw):
    _same(draw, (-1,), groups=2)
    weight = draw.parameters[f"{draw.name}.0.weight"]
    draw.parameters[f"{draw.name}.0.weight"] = weight[:, :1]


def oblong_kernel(draw):
    _same(draw, (-1,))
    weight = draw.parameters[f"{draw.name}.0.weight"]
    draw.parameters[f"{draw.name}.0.weight"] = weight[:, :, :2]
    draw.parameters.pop(f"{draw.name}.0.v_mem", None)


def dense_on_an_oblong_map(draw):
    draw.shapes[-1] = (2, 4, 6)
    draw.add(draw.source(-1), dense=True, features=3)


def dense_behind_an_oblong_map(draw):
    draw.shapes[-1] = (2, 4, 6)
    draw.add(draw.source(_same(draw, (-1,))), dense=True, features=3)


def ten_layers(draw):
    last = -1
    for _ in range(10):
        last = _same(draw, (last,))


def three_layers_for_two_cores(draw):
    """Only cores 5 and 6 have the 64 * 2**(4 + 6) kernel words that three of the layers need."""
    last = _same(draw, (-1,), features=64)
    for _ in range(3):
        last = _same(draw, (last,), features=64)


def merge_of_different_maps(draw):
    first = _same(draw, (-1,))
    second = _same(draw, (first,), stride=[2, 2])
    _same(draw, (first,), (second,))


def vanishing_threshold(draw):
    index = _same(draw, (-1,))
    draw.layers[index] |= {"threshold": 0.3, "min_v_mem": None}


REFUSED = {
    make.__name__: make
    for make in (
        three_destinations,
        pooled_and_direct,
        merge_of_three,
        pool_of_three,
        overlapping_pool,
        stride_of_three,
        padding_of_eight,
        grouped,
        oblong_kernel,
        dense_on_an_oblong_map,
        dense_behind_an_oblong_map,
        ten_layers,
        three_layers_for_two_cores,
        merge_of_different_maps,
        vanishing_threshold,
    )
}


def network_of(spec, parameters, places, destinations=None):
    """The net in nmdeploy's terms, layers in sinabs' order.

    `places` are their places in the spec, `destinations` the order in which sinabs lists what a layer feeds.
    """
    order = {place: index for index, place in enumerate(places)}
    populations = [Population("input", tuple(spec["input"]), maximum=2)]
    projections = []
    shapes = {-1: tuple(spec["input"])}
    for place, layer in enumerate(spec["layers"]):
        chains = [_pools(source["pools"]) for source in layer["sources"]]
        arrays = {key: parameters.get(f"{spec['name']}.{place}.{key}") for key in ("weight", "bias", "v_mem")}
        weight = arrays["weight"] * np.float32(_rescaling(layer["sources"]))
        for source, pools in zip(layer["sources"], chains, strict=True):
            name = "input" if source["layer"] < 0 else f"layer{order[source['layer']]}"
            chain_ = (*pools, *_weighted(layer, weight))
            projections.append(Projection(name, f"layer{order[place]}", chain_))
            shape = shapes[source["layer"]]
            for synapse in chain_:
                shape = synapse.out_shape(shape)
        shapes[place] = shape
    populations += [_population(spec, place, parameters, shapes[place], f"layer{order[place]}") for place in places]
    if destinations:
        ranks = {
            (f"layer{source}", f"layer{target}"): rank
            for source, targets in destinations.items()
            for rank, target in enumerate(targets)
        }
        projections.sort(key=lambda projection: ranks.get((projection.source, projection.target), 0))
    return Network(spec["name"], tuple(populations), tuple(projections))


def _population(spec, place, parameters, shape, name):
    layer = spec["layers"][place]
    bias, state = (parameters.get(f"{spec['name']}.{place}.{key}") for key in ("bias", "v_mem"))
    neuron = IF(
        layer["threshold"],
        bias=0.0 if bias is None else bias.reshape(-1, *[1] * (len(shape) - 1)),
        v_init=0.0 if state is None else state[0],
        v_min=layer["min_v_mem"],
        reset=layer["reset"],
    )
    return Population(name, shape, neuron)


def _pools(pools):
    return tuple(SumPool2d((size, size), (stride, stride)) for _, size, stride in pools if size > 1)


def _weighted(layer, weight):
    if layer["kind"] == "dense":
        return Reshape((weight.shape[1],)), Dense(weight)
    (above, beside), stride = layer["padding"], tuple(layer["stride"])
    return (Conv2d(weight, stride, (above, above, beside, beside), groups=layer["groups"]),)


def _rescaling(sources):
    """What averages leave in the weights: 1 / area, or half of the mean in two decimals where areas differ."""
    factors = {
        float(np.prod([1 / size**2 for kind, size, _ in source["pools"] if kind == "avg"], initial=1.0))
        for source in sources
    }
    return factors.pop() if len(factors) == 1 else round(0.5 * sum(factors) / len(factors), 2)


NETS, PROBES = drawn(), refused()


@pytest.fixture(scope="module")
def sinabs_answers(shared_data, tmp_path_factory):
    """The folder with what sinabs made of all nets."""
    try:
        found = version("sinabs")
    except PackageNotFoundError:
        pytest.skip("sinabs is not installed (pip install 'nmdeploy[dynapcnn]')")
    assert found == "3.1.3"
    folder = tmp_path_factory.mktemp("sinabs")
    everything = {**NETS, **PROBES}
    (folder / "specs.json").write_text(json.dumps([spec for spec, _ in everything.values()]))
    np.savez(folder / "parameters.npz", **{k: v for _, arrays in everything.values() for k, v in arrays.items()})
    environment = {**os.environ, "PYTHONPATH": str(shared_data / "standins"), "PYTHONWARNINGS": "ignore"}
    driver = Path(__file__).with_name("sinabs_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(folder)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def outcomes(sinabs_answers):
    return json.loads((sinabs_answers / "outcomes.json").read_text())


def faults_of(network):
    """Codes of the rules that are broken."""
    chip = TARGET.chips()[CHIP]
    found = [violation for rule in TARGET.rules(chip) for violation in rule(network, chip)]
    return [violation.code for violation in found if violation.severity is Severity.ERROR]


def test_the_nets_have_what_a_net_can_have(sinabs_answers, outcomes):
    layers = [layer for spec, _ in NETS.values() for layer in spec["layers"]]
    pools = {pool[0] for layer in layers for source in layer["sources"] for pool in source["pools"]}
    assert len(NETS) >= 40
    assert pools == {"avg", "sum"}
    for key, wanted in (("kind", {"conv", "dense"}), ("reset", {"zero", "subtract"}), ("multi", {True, False})):
        assert {layer[key] for layer in layers} == wanted
    assert {None, -1.0} < {layer["min_v_mem"] for layer in layers}
    assert {(1, 8), (4, 1)} < {tuple(layer.get("stride", ())) for layer in layers}
    kinds = {key.rsplit(".", 1)[1] for _, arrays in NETS.values() for key in arrays}
    assert kinds == {"weight", "bias", "v_mem", "input"}
    recorded = [read_recording(sinabs_answers / f"{name}.config.json") for name in NETS if outcomes[name] is None]
    largest = [each[f"disc_spikes.L{layer}"].max() for each in recorded for layer in each.cores]
    assert np.mean(np.greater(largest, 0)) > 0.7
    assert np.mean(np.greater(largest, 1)) > 0.3


@pytest.mark.parametrize("name", NETS)
def test_every_integer_is_that_of_sinabs(sinabs_answers, outcomes, name):
    assert outcomes[name] is None
    path = sinabs_answers / f"{name}.config.json"
    recording = read_recording(path)
    places = list(json.loads(path.read_text())["spec_index"].values())
    network = network_of(*NETS[name], places, recording.destinations)
    report = ConformanceReport("dynapcnn", "step")
    compare(report, path.name, recording, network)
    assert [str(mismatch) for mismatch in report.first] == []
    assert report.passed
    assert report.neuron_steps == STEPS * sum(p.size for p in network.populations if not p.is_input)
    assert faults_of(deployed(recording, network).network) == []


def test_the_recordings_of_the_driver_pass_as_files(sinabs_answers, outcomes):
    paths = [sinabs_answers / f"{name}.config.json" for name in NETS]
    report = TARGET.conformance(paths)
    assert (report.nets, report.mismatches, report.skipped) == (len(NETS), 0, [])


def ours(spec, parameters):
    """What nmdeploy says to a net: None, or codes of rules, or the error's type."""
    try:
        network = network_of(spec, parameters, range(len(spec["layers"])))
        chip = TARGET.chips()[CHIP]
        integers = TARGET.quantizers(chip, "step")["sinabs-discretizer"](network, None)
        lowered = TARGET.lower(integers, chip, "step").network
        codes = faults_of(lowered)
        if codes:
            return sorted(set(codes))
        TARGET.map(lowered, chip)
    except FitError as error:
        return sorted({violation.code for violation in error.violations})
    except NmdeployError as error:
        return type(error).__name__
    return None


REFUSALS = {
    # net: (sinabs' exception or None, ours)
    "three_destinations": ("IndexError", ["DYN014"]),
    # sinabs indexes an empty list of pools where one destination of a layer pools and an earlier one does not.
    "pooled_and_direct": ("IndexError", None),
    # sinabs' Merge takes two; on the chip any number of cores may feed one.
    "merge_of_three": ("TypeError", None),
    "pool_of_three": (None, ["DYN010"]),
    "overlapping_pool": ("ValueError", ["DYN010"]),
    "stride_of_three": (None, ["DYN006"]),
    "padding_of_eight": (None, ["DYN007"]),
    "grouped": (None, ["DYN008"]),
    "oblong_kernel": ("ValueError", ["DYN004"]),
    # An input may be addressed as 48 features of one pixel, and nmdeploy does so; the map of a layer is where it is.
    "dense_on_an_oblong_map": ("ValueError", None),
    "dense_behind_an_oblong_map": ("ValueError", ["DYN004"]),
    "ten_layers": ("ValueError", ["DYN021"]),
    # nmdeploy cuts one of the layers in two.
    "three_layers_for_two_cores": ("ValueError", None),
    "merge_of_different_maps": ("ValueError", "NetworkError"),
    # The threshold is 0 in sinabs' integers: the chip's neurons would fire at every event.
    "vanishing_threshold": (None, "QuantizationError"),
}


@pytest.mark.parametrize("name", PROBES)
def test_who_refuses_what(outcomes, name):
    theirs = outcomes[name] and outcomes[name].split(":")[0]
    assert (theirs, ours(*PROBES[name])) == REFUSALS[name]
