"""The decoders of sPyNNaker's regions, on words written down by hand."""

import sqlite3

import numpy as np
import pytest

from nmdeploy.errors import RunError
from targets.spinnaker.dataspec import BLOCKS, CORE, SYNAPSES, TABLE, core_shifts, entries, read_regions, synapses_of

U32 = np.uint32


def test_a_population_table():
    table = [2, 3]
    table += [0x400, 0xFFFFFC00, 0 | 4 << 13 | 2 << 16, 3 | 9 << 16, 10 | 1 << 16]
    table += [0x800, 0xFFFFFC00, 2 | 4 << 13 | 1 << 16, 0, 32 | 1 << 16]
    table += [0 << 8 | 4, 25 << 8 | 0, 30 << 8 | 255]
    first, second = entries(np.array(table, U32))
    assert (first.key, first.core_mask, first.core_shift, first.neurons) == (0x400, 3, 9, 10)
    assert first.blocks == ((0, 5), (100, 1))
    assert (second.key, second.core_mask, second.neurons, second.blocks) == (0x800, 0, 32, ((120, 256),))


def test_rows_of_synapses():
    # 3 bits for the neuron, 1 for the sign, then the delay, then the weight.
    def word(neuron, sign, delay, weight):
        return weight << 16 | delay << 4 | sign << 3 | neuron

    rows = [0, 2, 0, word(5, 0, 1, 65535), word(0, 1, 4, 1), 0, 0, 0, 77, 77, 0, 1, 0, word(7, 1, 2, 9), 77]
    table = [1, 1, 0x400, 0xFFFFFC00, 1 << 16, 0, 3 | 1 << 16, 0 << 8 | 1]
    regions = {
        TABLE: np.array(table, U32),
        BLOCKS: np.array(rows, U32),
        SYNAPSES: np.array([8, 2, 3, 1, 2], U32),
    }
    (found,) = synapses_of(regions, {}, (1, 8))
    assert (found.key, found.words, found.rows_per_core) == (0x400, 3, 3)
    assert found.source.tolist() == [0, 0, 2]
    assert found.target.tolist() == [5, 0, 7]
    assert found.sign.tolist() == [0, 1, 1]
    assert found.delay.tolist() == [1, 4, 2]
    assert found.weight.tolist() == [65535, 1, 9]


def test_a_core_without_synapses():
    assert synapses_of({CORE: np.zeros(8, U32)}, {}, (1, 1)) == []


def test_shifts():
    assert core_shifts({CORE: np.array([0, 5, 8, 4, 2, 3, 1, 99], U32)}) == (3, 1)


def test_a_file_of_another_form(tmp_path):
    path = tmp_path / "ds.sqlite3"
    path.write_text("what?")
    with pytest.raises(RunError, match=r"ds\.sqlite3.*another form"):
        read_regions(path, [(0, 0, 3)])
    with pytest.raises(RunError, match="another form"):
        read_regions(tmp_path / "nothing", [(0, 0, 3)])
    path.unlink()
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE region (x, y, p, region_label, content)")
        base.execute("INSERT INTO region VALUES (0, 0, 3, 'odd', x'010203')")
    base.close()
    with pytest.raises(RunError, match="another form"):
        read_regions(path, [(0, 0, 3)])


def test_only_the_cores_asked_for_are_read(tmp_path):
    with sqlite3.connect(tmp_path / "ds.sqlite3") as base:
        base.execute("CREATE TABLE region (x, y, p, region_label, content)")
        for p, content in ((3, "01000000"), (4, "02000000")):
            base.execute(f"INSERT INTO region VALUES (0, 0, {p}, 'words', x'{content}')")
        base.execute("INSERT INTO region VALUES (0, 0, 3, 'reserved', NULL)")
    base.close()
    found = read_regions(tmp_path / "ds.sqlite3", [(0, 0, 4), (1, 0, 1)])
    assert found[0, 0, 4]["words"].tolist() == [2]
    assert found[1, 0, 1] == {}
