"""What breaks in a run is one clear line; nothing is lost, and no process is left.

The vendor's Python is replaced by a program that answers like one and then misbehaves.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.cli.main import run
from nmdeploy.emulator.result import Recording

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in for an interpreter is a script with a shebang")

IMPOSTOR = """\
#!{python}
import json, os, pathlib, shutil, subprocess, sys, time

if sys.argv[1] == "-c":
    print("a banner that nobody asked for")
    print(json.dumps({{"lava": "0.10.0", "python": "3.10.13", "board": False}}))
    sys.exit()
here = pathlib.Path({folder!r})
out = sys.argv[sys.argv.index("--out") + 1]
fault = (here / "fault").read_text()
if fault == "hangs":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (here / "pids").write_text(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(600)
if fault == "vanishes":
    print("link to the board lost", flush=True)
    os.kill(os.getpid(), 9)
if fault == "fails":
    sys.exit("board temperature above 90 C")
if fault == "writes nothing":
    sys.exit()
right = (here / "right.npz").read_bytes()
if fault == "tears its result":
    pathlib.Path(out).write_bytes(right[: len(right) // 2])
    sys.exit()
print("INFO: " + "noise " * 2000)
print('{{"lava": null}}')
pathlib.Path(out).write_bytes(right)
"""


@pytest.fixture
def vendor(toy, bundle, tmp_path, monkeypatch):
    """Makes the vendor's Python misbehave; returns the command line that runs it."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "python"
    program.write_text(IMPOSTOR.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    result = nm.emulate(toy, toy.vectors.inputs, steps=13, record=Recording(spikes=("*",)))
    right = {"out.spikes": result.spikes["out"], "out.final_v": result.final_potentials["out"]}
    np.savez(tmp_path / "right.npz", **right)

    def put(fault):
        (tmp_path / "fault").write_text(fault)
        return ["test", bundle.name, "--on", "vendor", "--vendor-python", str(program), "--no-explain"]

    return put


def test_noise_on_standard_output_does_no_harm(vendor, capsys):
    assert run(vendor("prints")) == 0
    assert "toy.nmd: PASSED on vendor: Lava 0.10.0 on CPU, Python 3.10.13 (run by Lava 0.10.0 on CPU)" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("vanishes", "Lava failed with exit code -9 (found link to the board lost)"),
        ("fails", "board temperature above 90 C"),
        ("writes nothing", "result.npz: not a readable .npz file"),
        ("tears its result", "result.npz: not a readable .npz file"),
    ],
)
def test_a_run_that_breaks_is_told_and_counts_as_failed(vendor, capsys, fault, told):
    assert run([*vendor(fault), "--junit", "out.xml"]) == 1
    captured = capsys.readouterr()
    assert "toy.nmd: ERROR on vendor: Lava 0.10.0 on CPU" in captured.out
    assert told in captured.out
    assert "test vectors are not met on vendor" in captured.err
    assert told in Path("out.xml").read_text()


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def all_gone(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


def test_a_hang_is_ended_with_everything_it_started(vendor, tmp_path, capsys):
    assert run([*vendor("hangs"), "--limit", "2"]) == 1
    assert "Lava did not finish and was ended" in capsys.readouterr().out
    assert all_gone([int(pid) for pid in (tmp_path / "pids").read_text().split()])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_nothing(vendor, tmp_path, number, code):
    # Whoever starts the tests in the background may have told them to ignore interrupts.
    heeding = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('nmdeploy', run_name='__main__')"
    )
    command = [sys.executable, "-c", heeding, *vendor("hangs"), "--junit", "out.xml"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pids").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code, said
    assert said.strip() == ("interrupted" if number == signal.SIGINT else "")
    assert "Traceback" not in said
    assert all_gone([int(pid) for pid in (tmp_path / "pids").read_text().split()])
    assert not (tmp_path / "out.xml").exists()
    assert not list(scratch.iterdir())


def test_a_torn_bundle_is_refused_and_stays_as_it_is(vendor, bundle, capsys):
    content = bundle.read_bytes()
    bundle.write_bytes(content[: len(content) * 2 // 3])
    assert run(vendor("prints")) == 2
    assert "toy.nmd" in capsys.readouterr().err
    assert bundle.read_bytes() == content[: len(content) * 2 // 3]


def test_a_full_disk_keeps_the_older_report(vendor, tmp_path, monkeypatch, capsys):
    (tmp_path / "out.json").write_text("the older one")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    command = [*vendor("prints"), "--on", "emulator", "--json", "out.json"]
    monkeypatch.setattr(os, "fsync", full)
    assert run(command) == 2
    assert "out.json: cannot be written: No space left on device" in capsys.readouterr().err
    assert (tmp_path / "out.json").read_text() == "the older one"
    assert not list(tmp_path.glob("*.tmp*"))
