"""Files of events: there and back, damaged ones, and a camera's recording."""

import base64
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from nmdeploy.errors import DataError, MissingDependency, UsageError
from targets.dynapcnn.event_arrays import EVENT
from targets.dynapcnn.event_files import load_events, save_events

EVENTS = np.array([(1, 2, 100, 1), (7, 5, 105, 0), (0, 0, 105, 1), (3, 1, 2100, 1), (6, 4, 20000, 0)], EVENT)
RECORDING = zlib.decompress(
    base64.b85decode(
        b"c-"
        b"oCq%}xR_5FQ18LezNh;K4(!9+lk~V?4kn2pBmCi4w)cgB!MLqqLiDmqee(_((p558>?6l@+Qo$+VsJ`{vtecXqaG&5Qj;t$SE@S4"
        b"+DEfK32sb<UcQS_$JKtiUp^Mz)UrQGjpzoCl}`Lo#G4;!;%ULD{8ViJ(=43>XpqfK{oCbxYh!N<v>hR;goR$3Q3H?iA3?LsPh~wI"
        b"WaKrAqs95GocW`jqIG5EDdNaq&RCcBkE}I0^Juwp9Fq3;+3C2Jtg%qyA))b17sU_mzLGxMpg`gq>K2v9={-"
        b"Lnd_ePnv|%U{PQ3P+Kai$B~u;68PFrPl!zA$}?nb1t`z&Ia8BKn^)aSYl7U{aN9e&4xe~Vi+03cSud01LR0V9CT3yX{9ql;!jiG-"
        b"PhGrbk+#<7Bn9UF#ax`ND^4)<vNnJ_^jp&p$*ln_VwV(g1RO^m80;L(qXTdgFTp}O^Kl!c=ZDLqbpfL}v+tts{h^cKNPC1`Om_g@"
        b"&^OReyS0<-B+tQ?g`U9xtib_xcoCy5*u`k9`(7A-8{~Ad84Q2V!cXqUGyJ02%kCqq^9wdi@K^"
    )
)
"""`EVENTS` as dv-processing 2.0.4 writes them, without compression, in two packets."""


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_events_survive_the_way_there_and_back(suffix, tmp_path):
    path = tmp_path / f"recording{suffix}"
    save_events(path, EVENTS)
    found = load_events(path)
    assert found.dtype == EVENT
    np.testing.assert_array_equal(found, EVENTS)
    first = path.read_bytes()
    save_events(path, EVENTS)
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_other_field_names_are_read(tmp_path):
    kinds = [("t", np.uint64), ("x", np.uint16), ("y", np.uint16), ("on", bool)]
    array = np.array([(100, 1, 2, True)], kinds)
    np.save(tmp_path / "a.npy", array)
    assert load_events(tmp_path / "a.npy").tolist() == [(1, 2, 100, 1)]


def test_damaged_and_foreign_files(tmp_path):
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY nonsense")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    save_events(tmp_path / "whole.npy", EVENTS)
    (tmp_path / "short.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-3])
    np.save(tmp_path / "plain.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", spikes=EVENTS)
    np.savez(tmp_path / "bad.npz", events=np.zeros(3))
    (tmp_path / "torn.npz").write_bytes(b"nonsense")
    for name, message in (
        ("torn.npy", "not a readable .npy"),
        ("objects.npy", "not a readable .npy"),
        ("short.npy", "not a readable .npy"),
        ("none.npy", "not a readable .npy"),
        ("plain.npy", "structured array"),
        ("other.npz", "no array 'events'.*spikes"),
        ("bad.npz", "structured array"),
        ("torn.npz", "not a readable .npz"),
    ):
        with pytest.raises(DataError, match=f"(?s){name}.*{message}") as caught:
            load_events(tmp_path / name)
        assert str(caught.value).count(f"{name}: ") == 1


def test_other_suffixes(tmp_path):
    with pytest.raises(UsageError, match=r"not a file of events.*\.csv"):
        load_events(tmp_path / "events.csv")
    with pytest.raises(UsageError, match=r"\.npz or \.npy"):
        save_events(tmp_path / "events.aedat4", EVENTS)
    with pytest.raises(DataError, match="structured array"):
        save_events(tmp_path / "events.npz", np.zeros(3))


def test_a_cameras_recording(tmp_path):
    pytest.importorskip("aedat")
    (tmp_path / "camera.aedat4").write_bytes(RECORDING)
    np.testing.assert_array_equal(load_events(tmp_path / "camera.aedat4"), EVENTS)
    (tmp_path / "torn.aedat4").write_bytes(RECORDING[:40])
    with pytest.raises(DataError, match=r"torn.aedat4: not a readable"):
        load_events(tmp_path / "torn.aedat4")


def test_the_library_is_asked_for_events_alone(tmp_path, monkeypatch):
    packets = [{"events": EVENTS[:2]}, {"frame": None}, {"events": EVENTS[2:]}]
    monkeypatch.setitem(sys.modules, "aedat", SimpleNamespace(Decoder=lambda path: packets))
    np.testing.assert_array_equal(load_events(tmp_path / "camera.aedat4"), EVENTS)
    monkeypatch.setitem(sys.modules, "aedat", SimpleNamespace(Decoder=lambda path: []))
    assert len(load_events(tmp_path / "camera.aedat4")) == 0


def test_without_the_library_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(MissingDependency, match=r"nmdeploy\[aedat\]"):
        load_events(tmp_path / "camera.aedat4")
