"""A file from outside is data: whatever is wrong with it is one clear line that names it."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmdeploy.bundle import SCHEMA, decoding, hdf5_reader, load, read_header, save
from nmdeploy.bundle.encoding import json_bytes
from nmdeploy.bundle.hdf5_writer import file_image
from nmdeploy.bundle.header import Header
from nmdeploy.bundle.sections import Section, content_digest, deployment_of, sections_of
from nmdeploy.errors import BundleError


@pytest.fixture(scope="module")
def good(deployment, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.nmd"
    save(deployment, path)
    return path


@pytest.fixture
def bad(good, tmp_path):
    """A copy of a good bundle, to be spoiled."""
    return shutil.copy(good, tmp_path / "bad.nmd")


def refusal(path):
    """The one line with which `load` refuses `path`."""
    with pytest.raises(BundleError) as refused:
        load(path)
    line = str(refused.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line


def replace_dataset(path, group, name, **settings):
    with h5py.File(path, "r+") as file:
        del file[group][name]
        file[group].create_dataset(name, **settings)


def test_a_missing_file(tmp_path):
    assert "cannot be read: No such file" in refusal(tmp_path / "none.nmd")


def test_a_folder(tmp_path):
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"PK\x03\x04 a zip archive"])
def test_a_file_that_is_not_hdf5(tmp_path, content):
    (tmp_path / "a.nmd").write_bytes(content)
    assert "is no nmdeploy bundle: not an HDF5 file" in refusal(tmp_path / "a.nmd")


def test_a_foreign_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "a.nmd", "w") as file:
        file["weights"] = np.ones(3)
    assert "is no nmdeploy bundle: an HDF5 file without its header" in refusal(tmp_path / "a.nmd")


def test_another_header(bad):
    replace_dataset(bad, "/", "header.json", data=np.bytes_(b'{"format":"other"}'))
    assert "is no nmdeploy bundle: the header names no such format" in refusal(bad)


@pytest.mark.parametrize("text", [b"not json", b"[1]", b"[" * 100_000])
def test_a_header_that_is_no_object(bad, text):
    replace_dataset(bad, "/", "header.json", data=np.bytes_(text))
    assert "the header names no such format" in refusal(bad)


@pytest.mark.parametrize("schema", [0, -1, True, "1", None, 1.5])
def test_a_schema_that_is_no_version(bad, schema):
    text = json_bytes({"format": "nmdeploy deployment", "schema": schema, "nmdeploy": "1"})
    replace_dataset(bad, "/", "header.json", data=np.bytes_(text))
    assert refusal(bad).endswith("the header is damaged")


@pytest.mark.parametrize(("release", "shown"), [("9.1.0rc1", "9.1.0rc1"), ("9\x1b[2J\n", "of an unknown version")])
def test_a_newer_schema_names_the_release_that_is_needed(bad, release, shown):
    text = json_bytes({"format": "nmdeploy deployment", "schema": SCHEMA + 1, "nmdeploy": release})
    replace_dataset(bad, "/", "header.json", data=np.bytes_(text))
    with h5py.File(bad, "r+") as file:
        file.create_dataset("future", data=np.ones(100), compression="gzip")
    line = refusal(bad)
    assert f"found schema {SCHEMA + 1}, limit schema {SCHEMA}" in line
    assert line.endswith(f"made by nmdeploy {shown}; upgrade to that release or a later one")
    with pytest.raises(BundleError, match="newer"):
        read_header(bad)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_torn_file(bad, share):
    content = bad.read_bytes()
    bad.write_bytes(content[: int(len(content) * share)])
    assert "is torn or damaged: " in refusal(bad)


def test_a_soft_link(bad):
    with h5py.File(bad, "r+") as file:
        del file["figures"]
        file["figures"] = h5py.SoftLink("/provenance")
    assert "figures: is a link that leads elsewhere" in refusal(bad)


@pytest.mark.parametrize("name", ["figures", "header.json"])
def test_an_external_link_is_not_followed(bad, good, name):
    with h5py.File(bad, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink(str(good), name)
    assert f"{name}: is a link that leads elsewhere" in refusal(bad)


def test_a_link_to_an_array(bad):
    with h5py.File(bad, "r+") as file:
        del file["network"]["projections.0.synapses.0.weight"]
        file["network"]["projections.0.synapses.0.weight"] = h5py.SoftLink("/elsewhere")
    assert "/network/projections.0.synapses.0.weight: is a link" in refusal(bad)


@pytest.mark.parametrize(
    "settings",
    [
        {"data": np.arange(2), "chunks": (1,)},
        {"data": np.arange(2), "compression": "gzip"},
        {"data": np.arange(2), "maxshape": (None,)},
        {"shape": (4,), "dtype": "u1", "external": [("/etc/hostname", 0, 4)]},
    ],
    ids=["chunked", "compressed", "growing", "external"],
)
def test_storage_that_is_not_plain(bad, settings):
    replace_dataset(bad, "placement", "cores.0.neurons", **settings)
    assert "cores.0.neurons: is chunked, compressed, virtual or external" in refusal(bad)


def test_a_virtual_dataset(bad, good):
    layout = h5py.VirtualLayout(shape=(20,), dtype="i8")
    layout[:] = h5py.VirtualSource(str(good), "placement/cores.0.neurons", shape=(20,))
    with h5py.File(bad, "r+") as file:
        del file["placement"]["cores.0.neurons"]
        file["placement"].create_virtual_dataset("cores.0.neurons", layout)
    assert "is chunked, compressed, virtual or external" in refusal(bad)


def test_a_huge_array_is_refused_before_memory_is_taken(bad, monkeypatch):
    with h5py.File(bad, "r+") as file:
        del file["placement"]["cores.0.neurons"]
        file["placement"].create_dataset("cores.0.neurons", shape=(1 << 44,), dtype="i8")  # declared, never written
    monkeypatch.setattr(h5py.Dataset, "__getitem__", guard(h5py.Dataset.__getitem__))
    assert f"the declared size is not what is stored (found {1 << 47} bytes, limit 0)" in refusal(bad)


def guard(real):
    def read(self, *arguments):
        assert self.nbytes < 1 << 20, "read before its size was checked"
        return real(self, *arguments)

    return read


def test_many_names_for_one_dataset_cannot_add_up_to_more_than_the_file(bad):
    with h5py.File(bad, "r+") as file:
        big = file["network"].create_dataset("big", data=np.zeros(1000))
        for index in range(100):
            file["network"][f"name{index}"] = big
    assert "the datasets declare more than the file holds" in refusal(bad)


@pytest.mark.parametrize(
    "settings",
    [
        {"data": ["text"], "dtype": h5py.string_dtype()},
        {"data": np.array([1 + 2j])},
        {"data": np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")])},
        {"data": np.arange(3), "dtype": h5py.enum_dtype({"A": 0, "B": 1, "C": 2}, basetype="i4")},
        {"data": np.arange(3, dtype=">i4")},
        {"data": np.array([b"abc"])},
        {"data": np.array([h5py.Reference()], dtype=h5py.ref_dtype)},
    ],
    ids=["vlen", "complex", "compound", "enum", "big-endian", "bytes", "reference"],
)
def test_elements_of_foreign_types(bad, settings):
    replace_dataset(bad, "placement", "cores.0.neurons", **settings)
    line = refusal(bad)
    assert "cores.0.neurons: " in line
    assert re.search("elements of a type that bundles do not hold|the declared size is not", line)


def test_a_dataset_without_a_shape(bad):
    replace_dataset(bad, "placement", "cores.0.neurons", data=h5py.Empty("i8"))
    assert "cores.0.neurons: " in refusal(bad)


def test_a_record_that_is_no_text(bad):
    replace_dataset(bad, "steps", "record.json", data=np.arange(3))
    assert "/steps/record.json: is no text" in refusal(bad)


def test_a_text_that_is_too_long(bad, monkeypatch):
    monkeypatch.setattr(hdf5_reader, "LARGEST_TEXT", 2000)
    replace_dataset(bad, "steps", "record.json", data=np.bytes_(b"1" * 2001))
    assert "/steps/record.json: the text is too long (found 2001, limit 2000)" in refusal(bad)


def test_a_section_without_its_record(bad):
    with h5py.File(bad, "r+") as file:
        del file["steps"]["record.json"]
    assert "steps: the section has no record" in refusal(bad)


def test_a_dataset_where_a_section_belongs_and_a_group_where_a_dataset_does(bad, good):
    with h5py.File(bad, "r+") as file:
        file["more"] = np.ones(1)
    assert "more: is no section" in refusal(bad)
    shutil.copy(good, bad)
    with h5py.File(bad, "r+") as file:
        file["network"].create_group("deeper")
    assert "/network/deeper: is no dataset" in refusal(bad)


def test_a_group_that_holds_itself_is_not_walked(bad):
    with h5py.File(bad, "r+") as file:
        file["network"]["loop"] = file["network"]
    assert "/network/loop: is no dataset" in refusal(bad)


def test_a_changed_array_is_damage_and_its_section_is_named(bad):
    with h5py.File(bad, "r+") as file:
        file["network"]["projections.0.synapses.0.weight"][0, 0, 0, 0] += 1
    assert "network: is damaged: the content is not what was written" in refusal(bad)


def test_a_section_too_many_or_too_few_is_damage(bad, good):
    with h5py.File(bad, "r+") as file:
        file.create_group("more")["record.json"] = np.bytes_(b"1")
    assert "more: is damaged" in refusal(bad)
    shutil.copy(good, bad)
    with h5py.File(bad, "r+") as file:
        del file["vectors"]
    assert "vectors: is damaged" in refusal(bad)


def test_hashes_that_do_not_agree(bad, deployment):
    header = json.loads(read_header(bad).text())
    header["sections"]["steps"] = "0" * 64
    replace_dataset(bad, "/", "header.json", data=np.bytes_(json_bytes(header)))
    assert "the header is damaged: its hashes do not agree" in refusal(bad)


def test_names_from_the_file_cannot_steer_the_terminal(bad):
    with h5py.File(bad, "r+") as file:
        file["\x1b[31m\n" + "x" * 1000] = np.ones(1)
    line = refusal(bad)
    assert line.isprintable()
    assert len(line) < 700


def forged(deployment, tmp_path, name, change, arrays=None):
    """A bundle with valid hashes whose section `name` has a changed record."""
    sections = sections_of(deployment)
    plain = json.loads(sections[name].text)
    if callable(change):
        change(plain)
    else:
        plain = change
    sections[name] = Section(json_bytes(plain), {**sections[name].arrays, **(arrays or {})})
    digests = {key: section.digest() for key, section in sections.items()}
    path = tmp_path / "forged.nmd"
    path.write_bytes(file_image(Header(SCHEMA, "0", content_digest(digests), digests), sections))
    return path


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        (
            "network",
            lambda n: n["populations"][1]["neuron"].update(kind="alien.LIF"),
            "network.populations.1.neuron: unknown kind of neuron model (found 'alien.LIF'); install the target",
        ),
        ("network", lambda n: n["populations"][1]["neuron"].pop("kind"), "unknown kind of neuron model (found None)"),
        (
            "network",
            lambda n: n["projections"][0]["synapses"][0].update(kind="Conv9d"),
            "network.projections.0.synapses.0: unknown kind of synapse (found 'Conv9d')",
        ),
        ("encoder", lambda e: e.update(kind="Magic"), "encoder: unknown kind of encoder (found 'Magic')"),
        ("readout", lambda r: r.update(kind=["x"]), "readout: unknown kind of read-out"),
        (
            "network",
            lambda n: n["populations"][0].update(colour="red"),
            "network.populations.0: fields of Population are unknown or missing (found colour)",
        ),
        ("profile", lambda p: p.pop("name"), "profile: fields of Profile are unknown or missing (found name)"),
        ("steps", "8", "steps: wrong type (found '8', limit int)"),
        ("steps", True, "steps: wrong type (found True, limit int)"),
        ("steps", 8.0, "steps: wrong type (found 8.0, limit int)"),
        ("chip", [1], "chip: wrong type (found [1], limit str)"),
        ("provenance", lambda p: p.update(seed=0), "provenance.1: wrong type (found 0, limit str)"),
        ("profile", lambda p: p["semantics"][0].append("more"), "profile.semantics.0: wrong type"),
        (
            "remarks",
            lambda r: r[0].update(severity="fatal"),
            "remarks.0.severity: wrong type (found 'fatal', limit Severity)",
        ),
        (
            "network",
            lambda n: n["populations"][3]["neuron"].update(reset="soft"),
            "network.populations.3.neuron.reset: wrong type (found 'soft'",
        ),
        (
            "network",
            lambda n: n["populations"][1]["neuron"]["potential"].update(bits=64),
            "network.populations.1.neuron.potential: no valid IntegerFormat: ",
        ),
        (
            "network",
            lambda n: n["projections"][0]["synapses"][0].update(groups=0),
            "network.projections.0.synapses.0: no valid Conv2d: Conv2d: groups is at least 1",
        ),
        ("network", lambda n: n["projections"][0].update(delay=-1), "network: no valid Network: small: 1 fault"),
        ("network", lambda n: n["populations"][0].update(shape=[1 << 20] * 3), "network: no valid Network"),
        (
            "placement",
            lambda p: p["cores"][0]["neurons"].update(shape=[4, 6]),
            "placement.cores.0.neurons: the stored array is not the one described (found int64[20]",
        ),
        ("placement", lambda p: p["cores"][0]["neurons"].update(shape=[-20]), "the shape of an array is absurd"),
        ("placement", lambda p: p["cores"][0]["neurons"].update(shape=[0, 1 << 60]), "the shape of an array is absurd"),
        ("placement", lambda p: p["cores"][0]["neurons"].update(shape="20"), "is a short list of whole numbers"),
        ("placement", lambda p: p["cores"][0]["neurons"].update(shape=[1] * 33), "is a short list of whole numbers"),
        ("placement", lambda p: p["cores"][0]["neurons"].update(dtype="object"), "is not the one described"),
        ("vectors", lambda v: v["inputs"]["in"].update(shape=[1 << 16] * 3 + [2]), "the shape of an array is absurd"),
        ("vectors", lambda v: v["inputs"]["in"].update(shape=[8, 5, 1, 6, 7]), "is not the one described"),
        ("vectors", lambda v: v["inputs"]["in"].update(packed=False), "is not the one described"),
        ("placement", lambda p: p["cores"].append(p["cores"][0]), "placement.cores.4.neurons: an array is missing"),
        ("placement", lambda p: p["cores"].pop(), "placement.cores.3.neurons: an array belongs to no record"),
    ],
)
def test_a_record_that_is_not_what_it_should_be(deployment, tmp_path, section, change, message):
    line = refusal(forged(deployment, tmp_path, section, change))
    assert message in line


def test_a_section_that_is_missing_from_header_and_file(deployment, tmp_path):
    sections = sections_of(deployment)
    del sections["source"]
    digests = {key: section.digest() for key, section in sections.items()}
    path = tmp_path / "less.nmd"
    path.write_bytes(file_image(Header(SCHEMA, "0", content_digest(digests), digests), sections))
    assert "sections are unknown or missing (found source)" in refusal(path)


def test_a_file_larger_than_the_memory(bad, monkeypatch):
    def no_room(self, *arguments):
        raise MemoryError

    monkeypatch.setattr(h5py.Dataset, "__getitem__", no_room)
    assert refusal(bad) == f"{bad}: is larger than this machine's memory"


def test_a_neuron_model_whose_field_types_cannot_be_read(deployment, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "get_type_hints", unreadable)
    decoding._hints.cache_clear()
    with pytest.raises(BundleError, match="cannot be read: name 'Elsewhere'"):
        save(deployment, tmp_path / "a.nmd")


def unreadable(_record):
    raise NameError("name 'Elsewhere' is not defined")


def test_an_absurd_population_is_refused(deployment, tmp_path):
    def enlarge(network):
        network["populations"].append({**network["populations"][0], "name": "huge", "shape": [1 << 20] * 2})
        network["populations"][-1]["shape"] = [1 << 32]

    line = refusal(forged(deployment, tmp_path, "network", enlarge))
    assert "network huge: the population's shape is absurd" in line


@pytest.mark.parametrize("text", [b"{", b"NaN", b"[" * 100_000, b"1e", b"\xff"])
def test_a_record_that_is_no_json(deployment, text):
    sections = sections_of(deployment)
    sections["steps"] = Section(text, {})
    with pytest.raises(BundleError, match="steps: the text is no JSON"):
        deployment_of(sections)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"figures": {"x": {"value": float("inf")}}}, "figures.0.0: numbers that are not finite"),
        ({"figures": {"x": {"value": (1, 2)}}}, "figures: a bundle cannot hold this"),
        ({"figures": {"x": {"value": np.arange(3)}}}, "figures.0.0: an array belongs to no record"),
        ({"figures": {"x": {"value": {1, 2}}}}, "values of this type cannot be stored"),
        ({"figures": {1: {}}}, "figures: only text can be a key"),
        ({"provenance": {"seed": 3}}, "provenance.0: wrong type"),
        ({"steps": "8"}, "steps: wrong type"),
        ({"encoder": "rate"}, "encoder: wrong type"),
    ],
)
def test_what_a_bundle_cannot_hold_is_refused_when_saving(deployment, tmp_path, changes, message):
    with pytest.raises(BundleError, match=re.escape(message)):
        save(deployment.with_(**changes), tmp_path / "a.nmd")
    assert list(tmp_path.iterdir()) == []


def test_complex_arrays_cannot_be_stored(deployment, tmp_path):
    vectors = type(deployment.vectors)({"in": np.array([1j])}, {}, {})
    with pytest.raises(BundleError, match=r"vectors\.inputs\.0: arrays of this type cannot be stored"):
        save(deployment.with_(vectors=vectors), tmp_path / "a.nmd")


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_and_cuts_never_get_through(good, bad, deployment, data):
    content = bytearray(good.read_bytes())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.just(len(content)), places))
    bad.write_bytes(content[:cut])
    try:
        back = load(bad)
    except BundleError as error:
        line = str(error)
    else:
        assert back == deployment
        line = str(bad)
    assert line.startswith(str(bad))
    assert line.isprintable()
