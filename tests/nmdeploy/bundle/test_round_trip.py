"""What is saved comes back: whatever the records hold, to the last bit and type."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nmdeploy.bundle import SCHEMA, content_hash, load, read_header, save
from nmdeploy.bundle.encoding import json_bytes
from nmdeploy.bundle.hdf5_writer import file_image
from nmdeploy.bundle.header import Header
from nmdeploy.bundle.sections import Section, content_digest, sections_of
from nmdeploy.bundle.stored_array import DTYPES
from nmdeploy.coding import ENCODERS, READOUTS, Clocked, DeterministicRate, Streamed
from nmdeploy.deployment import CoreLoad, Deployment, Placement, TestVectors
from nmdeploy.errors import BundleError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from nmdeploy.target import Profile, Severity, Violation
from quantize import IntegerFormat, Overflow

CLOCKED = Clocked(DeterministicRate(), "in", 3, {"gate": np.eye(4, dtype=np.uint8)})
STREAMED = Streamed(DeterministicRate(), "in", 3, CLOCKED.clocks, 5, {"gate": np.ones((2, 4), np.uint8)})
words = st.text(max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
formats = st.builds(IntegerFormat, st.integers(2, 63), st.booleans(), st.sampled_from(Overflow))
dtypes = st.sampled_from([name for name in DTYPES if name != "bool"])


def weights(shape):
    return dtypes.flatmap(
        lambda name: hnp.arrays(
            name,
            shape,
            elements={"allow_nan": False, "allow_infinity": False} if name.startswith("float") else None,
        )
    )


def chains():
    """Chains of synapses from (2, 4, 4), every kind among them."""
    return st.one_of(
        st.just(()),
        st.tuples(
            st.builds(
                Conv2d,
                weights((4, 1, 2, 2)),
                stride=st.just((2, 1)),
                padding=st.just((0, 1, 1, 0)),
                groups=st.just(2),
            )
        ),
        st.tuples(st.builds(ConvTranspose2d, weights((2, 3, 2, 2)), stride=st.just(2)), st.just(SumPool2d((2, 4)))),
        st.tuples(st.just(Upsample2d((1, 2))), st.just(SumPool2d(2, stride=1, padding=(0, 1, 0, 1)))),
        st.tuples(st.builds(OneToOne, weights((2, 1, 1)))),
        st.tuples(st.just(Reshape((32,))), st.builds(Dense, weights((3, 32)))),
    )


neurons = st.one_of(
    st.builds(
        IF,
        st.one_of(st.integers(1, 2**62), st.floats(1e-6, 1e6), hnp.arrays("int32", (1,), elements=st.integers(1, 9))),
        bias=st.one_of(st.integers(-5, 5), finite, st.builds(np.int16, st.integers(-5, 5))),
        v_min=st.one_of(st.none(), st.integers(-(2**63), 0)),
        reset=st.sampled_from(["subtract", "zero"]),
        fire=st.sampled_from([">=", ">"]),
        refractory=st.integers(0, 3),
        potential=st.one_of(st.none(), formats),
    ),
    st.builds(Integrator, bias=finite, potential=st.one_of(st.none(), formats)),
)


schedules = st.one_of(
    st.none(),
    st.builds(
        Schedule,
        st.lists(st.tuples(st.integers(0, 99), st.integers(1, 9)), max_size=2).map(tuple),
        st.one_of(st.none(), st.integers(9, 2**40)),
    ),
)


@st.composite
def networks(draw):
    """An input, a population behind a random chain, recurrence, and a second input."""
    chain = draw(chains())
    shape = (2, 4, 4)
    for synapse in chain:
        shape = synapse.out_shape(shape)
    maximum = draw(st.integers(1, 255))
    populations = (
        Population("in", (2, 4, 4), maximum=maximum, rate_scale=draw(finite)),
        Population("p/ä.1", shape, draw(neurons), potential_scale=draw(st.one_of(finite, weights((1,))))),
        Population("in 2", shape, schedule=draw(schedules)),
    )
    integer = all(synapse.weight is None or synapse.weight.dtype.kind in "iu" for synapse in chain)
    exponent = draw(st.integers(-8, 8)) if integer else 0
    accumulator = draw(st.one_of(st.none(), formats))
    projections = (
        Projection("in", "p/ä.1", chain, draw(st.integers(0, 3)), exponent, accumulator),
        Projection("in 2", "p/ä.1", delay=np.int64(1)),
        Projection("p/ä.1", "p/ä.1", delay=draw(st.integers(1, 3))),
    )
    return Network(draw(words), populations, projections, notes=tuple(draw(st.lists(words, max_size=2))))


@st.composite
def placements(draw):
    counts = st.dictionaries(words, st.integers(0, 2**40), max_size=2)
    core = st.builds(
        CoreLoad, st.integers(0, 3), st.integers(0, 200), words, hnp.arrays("int64", st.integers(0, 4)), counts
    )
    cores = tuple(draw(st.lists(core, max_size=3)))
    return Placement(draw(words), cores, draw(counts), tuple(draw(st.lists(words, max_size=2))))


violations = st.builds(
    Violation,
    words,
    words,
    words,
    found=st.one_of(st.none(), words, st.integers(), finite, st.builds(np.float32, st.integers(-9, 9))),
    limit=st.one_of(st.none(), words, finite),
    hint=st.one_of(st.none(), words),
    severity=st.sampled_from(Severity),
)
spikes = hnp.arrays("uint8", hnp.array_shapes(min_dims=3, max_dims=5, max_side=4), elements=st.integers(0, 2))
binary = hnp.arrays("uint8", hnp.array_shapes(min_dims=3, max_dims=5, max_side=5), elements=st.integers(0, 1))
vectors = st.builds(
    TestVectors,
    st.dictionaries(words, st.one_of(spikes, binary), max_size=2),
    st.dictionaries(words, binary, max_size=2),
    st.dictionaries(words, hnp.arrays("int64", hnp.array_shapes(max_side=3)), max_size=2),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), finite, words),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(words, inner, max_size=2)),
    max_leaves=6,
)
deployments = st.builds(
    Deployment,
    networks(),
    words,
    words,
    st.builds(Profile, words, st.lists(st.tuples(words, words), max_size=2).map(tuple)),
    placements(),
    remarks=st.lists(violations, max_size=2).map(tuple),
    encoder=st.one_of(
        st.none(),
        st.sampled_from([*(cls() for cls in ENCODERS.values() if not issubclass(cls, Clocked)), CLOCKED, STREAMED]),
    ),
    readout=st.one_of(st.none(), st.sampled_from([cls() for cls in READOUTS.values()])),
    steps=st.integers(0, 10**6),
    figures=st.dictionaries(words, st.dictionaries(words, json_values, max_size=2), max_size=2),
    provenance=st.dictionaries(words, words, max_size=2),
    vectors=st.one_of(st.none(), vectors),
    source=st.one_of(st.none(), networks()),
)


@given(deployments)
@settings(max_examples=40)
def test_any_deployment_comes_back_equal_and_with_its_hash(made):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.nmd"
        digest = save(made, path, vectors=False)
        back = load(path)
        assert back == made
        assert digest == content_hash(made) == content_hash(back) == read_header(path).content_hash
        first = path.read_bytes()
        save(back, path, vectors=False)
        assert path.read_bytes() == first


def test_arrays_keep_type_shape_and_elements_and_are_read_only(deployment, tmp_path):
    save(deployment, tmp_path / "a.nmd")
    back = load(tmp_path / "a.nmd")
    threshold = back.network["conv"].neuron.threshold
    assert threshold.dtype == np.int64
    assert threshold.shape == (2, 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        threshold[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        back.vectors.inputs["in"][0] = 1
    assert back.network["conv"].neuron.potential == IntegerFormat(24, True, Overflow.SATURATE)
    assert back.network["conv"].neuron.potential.overflow is Overflow.SATURATE
    assert type(back.placement) is Placement
    assert back.remarks[0].severity is Severity.WARNING


def test_big_endian_arrays_are_the_same_content(deployment):
    def placed(dtype):
        return deployment.with_(placement=Placement("toy1", (CoreLoad(0, 0, "a", np.arange(5, dtype=dtype), {}),), {}))

    assert content_hash(placed(">i4")) == content_hash(placed("<i4")) != content_hash(placed("<i8"))


def test_spikes_are_stored_as_bits_and_larger_values_as_bytes(deployment, tmp_path):
    many = np.ones((100, 10, 64), dtype=np.uint8)
    shapes = []
    for largest in (1, 2):
        stored = TestVectors({"in": many * largest}, {}, {})
        save(deployment.with_(vectors=stored), tmp_path / "a.nmd")
        with h5py.File(tmp_path / "a.nmd") as file:
            shapes.append(file["vectors"]["inputs.0"].shape)
        np.testing.assert_array_equal(load(tmp_path / "a.nmd").vectors.inputs["in"], many * largest)
    assert shapes == [(8000,), (100, 10, 64)]


def test_the_order_of_dictionaries_does_not_show_in_the_bytes(deployment, tmp_path):
    def turned(mapping):
        return dict(reversed(mapping.items()))

    placement = deployment.placement
    cores = tuple(dataclasses.replace(load, used=turned(load.used)) for load in placement.cores)
    other = deployment.with_(
        figures=turned(deployment.figures),
        provenance=turned(deployment.provenance),
        placement=dataclasses.replace(placement, cores=cores, limits=turned(placement.limits)),
    )
    assert save(other, tmp_path / "b.nmd") == save(deployment, tmp_path / "a.nmd")
    assert (tmp_path / "a.nmd").read_bytes() == (tmp_path / "b.nmd").read_bytes()


def test_another_process_writes_the_same_bytes_without_torch(deployment, tmp_path):
    path, copy = tmp_path / "a.nmd", tmp_path / "copy.nmd"
    save(deployment, path)
    script = (
        "import sys; from nmdeploy.bundle import load, replay, save\n"
        "made = load(sys.argv[1]); save(made, sys.argv[2])\n"
        "assert replay(made).passed\n"
        "assert not {'torch', 'scipy.optimize', 'matplotlib'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, str(path), str(copy)], check=True, env=environment)
    assert path.read_bytes() == copy.read_bytes()


def test_the_hash_tells_any_change_of_content_and_only_that(deployment):
    digest = content_hash(deployment)
    bias = IF(np.array([[[20]], [[26]]]), potential=IntegerFormat(24, True, Overflow.SATURATE))
    network = deployment.network
    changed = tuple(dataclasses.replace(p, neuron=bias) if p.name == "conv" else p for p in network.populations)
    assert content_hash(deployment.with_(steps=9)) != digest
    assert content_hash(deployment.with_(network=dataclasses.replace(network, populations=changed))) != digest
    assert content_hash(deployment.with_(steps=deployment.steps)) == digest


def test_the_header_can_be_read_alone(deployment, tmp_path):
    import nmdeploy

    digest = save(deployment, tmp_path / "a.nmd")
    header = read_header(str(tmp_path / "a.nmd"))
    assert (header.schema, header.nmdeploy, header.content_hash) == (SCHEMA, nmdeploy.__version__, digest)
    assert set(header.sections) == {field.name for field in dataclasses.fields(Deployment)}


def test_the_file_is_plain_hdf5_that_other_tools_can_read(deployment, tmp_path):
    save(deployment, tmp_path / "a.nmd")
    with h5py.File(tmp_path / "a.nmd") as file:
        assert b'"format":"nmdeploy deployment"' in file["header.json"][()]
        assert file["steps"]["record.json"][()] == b"8"
        np.testing.assert_array_equal(
            file["network"]["projections.1.synapses.2.weight"], deployment.network.projections[1].synapses[2].weight
        )


LATER = {"readout_step", "potential_offset", "schedule"}
"""Fields of populations that schema 1 did not have, the last one nor schema 2; `limits` of cores is another."""


def without_later(plain):
    if isinstance(plain, list):
        return [without_later(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    drop = LATER | ({"limits"} if "neurons" in plain else set())
    return {key: without_later(value) for key, value in plain.items() if key not in drop}


def as_schema_1(deployment, schema=1, without=()):
    """The file that a release of schema 1 would have written."""
    sections = {
        name: Section(json_bytes(without_later(json.loads(section.text))), section.arrays)
        for name, section in sections_of(deployment).items()
        if name not in without
    }
    digests = {name: section.digest() for name, section in sections.items()}
    return file_image(Header(schema, "0.1.0", content_digest(digests), digests), sections)


def test_a_bundle_of_an_older_schema_gets_defaults(deployment, tmp_path):
    path = tmp_path / "old.nmd"
    path.write_bytes(as_schema_1(deployment, without=("source",)))
    assert read_header(path).schema == 1
    assert load(path) == deployment.with_(source=None)


@pytest.mark.parametrize("without", [(), ("source",)])
def test_a_bundle_of_this_schema_must_have_all_fields(deployment, tmp_path, without):
    path = tmp_path / "torn.nmd"
    path.write_bytes(as_schema_1(deployment, SCHEMA, without))
    with pytest.raises(BundleError, match="unknown or missing"):
        load(path)


def test_what_an_older_schema_had_too_is_still_needed(deployment, tmp_path):
    path = tmp_path / "torn.nmd"
    path.write_bytes(as_schema_1(deployment, without=("network",)))
    with pytest.raises(BundleError, match=r"unknown or missing.*network"):
        load(path)
