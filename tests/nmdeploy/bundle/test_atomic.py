"""A save that fails, for whatever reason, leaves the old file and nothing else."""

import errno
import os
from pathlib import Path

import pytest

from nmdeploy.bundle import load, save
from nmdeploy.bundle.atomic import write_files, write_replacing
from nmdeploy.errors import BundleError


def disk_full(*_arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(*_arguments):
    raise KeyboardInterrupt


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.nmd"
    path.write_bytes(b"the old one")
    return path


def test_it_writes_and_replaces(old, deployment):
    save(deployment, old)
    assert load(old) == deployment
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_is_told_and_the_old_file_stays(old, deployment, monkeypatch, owner, name):
    monkeypatch.setattr(owner, name, disk_full)
    with pytest.raises(BundleError, match=r"old\.nmd: cannot be written: No space left"):
        save(deployment, old)
    assert old.read_bytes() == b"the old one"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_an_interrupt_passes_on_and_the_old_file_stays(old, deployment, monkeypatch, owner, name):
    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(deployment, old)
    assert old.read_bytes() == b"the old one"
    assert list(old.parent.iterdir()) == [old]


def test_a_write_that_stops_half_way_leaves_no_temporary(old, monkeypatch):
    real = Path.open

    def open_then_fail(self, *arguments, **options):
        file = real(self, *arguments, **options)
        if arguments == ("xb",):
            file.write(b"half")
            file.close()
        return file

    monkeypatch.setattr(Path, "open", open_then_fail)
    with pytest.raises(ValueError, match="closed file"):
        write_replacing(old, b"all of it")
    assert old.read_bytes() == b"the old one"
    assert list(old.parent.iterdir()) == [old]


def test_the_temporary_lies_beside_the_file_and_is_synced_before_the_rename(old, monkeypatch):
    events = []
    real_sync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append("sync"), real_sync(handle))[1])

    def replace(self, target):
        events.append("replace")
        assert self.parent == old.parent
        assert self.read_bytes() == b"new"
        return real_replace(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    write_replacing(old, b"new")
    assert events == (["sync", "replace", "sync"] if os.name == "posix" else ["sync", "replace"])
    assert old.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="links need privileges on Windows")
def test_a_symbolic_link_stays_and_its_target_is_replaced(old, deployment):
    link = old.with_name("link.nmd")
    link.symlink_to(old)
    save(deployment, link)
    assert link.is_symlink()
    assert load(old) == deployment


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path, deployment):
    with pytest.raises(BundleError, match=r"a\.nmd: cannot be written: No such file or directory") as refused:
        save(deployment, tmp_path / "missing" / "a.nmd")
    assert "\n" not in str(refused.value)


def test_a_value_that_cannot_be_stored_touches_no_file(old, deployment):
    with pytest.raises(BundleError, match="figures"):
        save(deployment.with_(figures={"x": {"value": float("nan")}}), old)
    assert old.read_bytes() == b"the old one"


def test_files_go_into_folders_that_are_made(tmp_path):
    written = write_files({"a.txt": b"a", "deep/er/b.txt": b"b"}, tmp_path / "new")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["new/a.txt", "new/deep/er/b.txt"]
    assert [path.read_bytes() for path in written] == [b"a", b"b"]


def test_a_file_in_a_folders_place_is_told(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(BundleError, match="the folder cannot be made"):
        write_files({"taken/a.txt": b"a"}, tmp_path)
