import os
import platform

from nmdeploy import machine


def test_this_machine_tells_processor_load_and_versions():
    found = machine.this_machine(("numpy", "no-such-distribution"))
    assert found.processor
    assert 1 <= found.cpus <= (os.cpu_count() or 1)
    assert set(found.versions) == {"Python", "numpy"}
    assert platform.python_version() in str(found)


def test_a_system_without_load_or_affinity(monkeypatch):
    monkeypatch.delattr(os, "getloadavg", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    found = machine.this_machine()
    assert found.load is None
    assert "load unknown" in str(found)
    assert found.cpus == (os.cpu_count() or 1)


def test_a_system_that_does_not_list_its_processors(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "PROCESSORS", tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert machine.this_machine().processor == "riscv64"
    (tmp_path / "none").write_text("processor\t: 0\nmodel name\t: Fancy CPU\n")
    assert machine.this_machine().processor == "Fancy CPU"
    (tmp_path / "none").write_text("processor\t: 0\n")
    assert machine.this_machine().processor == "riscv64"
