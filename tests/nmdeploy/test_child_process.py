"""Children that fail, hang, fork and print: told plainly, ended with everything they started."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmdeploy import child_process
from nmdeploy.child_process import run_child
from nmdeploy.errors import RunError

posix = pytest.mark.skipif(os.name != "posix", reason="looks for processes by signal")

FORKS = """
import os, sys, time
from pathlib import Path
child = os.fork()
if child == 0:
    time.sleep(60)
Path("grandchild.txt").write_text(str(child))
print("forked", flush=True)
"""


def run(folder, code, **options):
    return run_child([sys.executable, "-c", code], what="Toy", folder=folder, **{"limit_s": 30, **options})


def is_gone(pid, patience_s=5):
    """Whether a process has ended; one that only waits to be reaped has."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_output_comes_line_by_line(tmp_path):
    lines = []
    code = "import sys; print('one', flush=True); print('zwei ä', file=sys.stderr)"
    text = run(tmp_path, code, on_line=lines.append, environment={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert lines == ["one", "zwei ä"]
    assert text.splitlines() == lines


def test_it_runs_in_its_folder_with_its_environment(tmp_path):
    code = "import os; print(os.getcwd()); print(os.environ['TOY'])"
    folder, value = run(tmp_path, code, environment={**os.environ, "TOY": "7"}).split()
    assert Path(folder).samefile(tmp_path)
    assert value == "7"


def test_a_failure_tells_the_last_lines(tmp_path):
    with pytest.raises(RunError, match=r"(?s)Toy failed with exit code 1 .*ValueError: planted"):
        run(tmp_path, "raise ValueError('planted')")


def test_a_failure_without_a_word(tmp_path):
    with pytest.raises(RunError, match=r"exit code 3 .*no output"):
        run(tmp_path, "import sys; sys.exit(3)")


def test_what_cannot_be_started(tmp_path):
    with pytest.raises(RunError, match="Toy cannot be started"):
        run_child([str(tmp_path / "nothing")], what="Toy", folder=tmp_path, limit_s=1)


@posix
def test_a_hang_is_ended_with_all_it_forked(tmp_path):
    with pytest.raises(RunError, match="did not finish and was ended") as caught:
        run(tmp_path, FORKS + "time.sleep(60)", limit_s=1.5)
    assert "forked" in str(caught.value)
    assert "1.5 s" in str(caught.value)
    assert is_gone(int((tmp_path / "grandchild.txt").read_text()))


@posix
def test_nothing_is_left_behind_by_one_that_ends_well(tmp_path):
    assert "forked" in run(tmp_path, FORKS)
    assert is_gone(int((tmp_path / "grandchild.txt").read_text()))


@posix
def test_one_that_does_not_heed_the_request_is_ended_by_force(tmp_path, monkeypatch):
    monkeypatch.setattr(child_process, "GRACE_S", 0.2)
    code = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "open('pid.txt', 'w').write(str(os.getpid()))\ntime.sleep(60)"
    with pytest.raises(RunError, match="did not finish"):
        run(tmp_path, code, limit_s=1)
    assert is_gone(int((tmp_path / "pid.txt").read_text()))


@posix
def test_an_interrupt_ends_it_too(tmp_path):
    def interrupt(_line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, FORKS + "time.sleep(60)", on_line=interrupt)
    assert is_gone(int((tmp_path / "grandchild.txt").read_text()))


@posix
def test_its_input_ends_when_we_do(tmp_path):
    child = "import os, sys; open('pid.txt', 'w').write(str(os.getpid())); sys.stdin.read()"
    ours = (
        "import pathlib, sys; from nmdeploy.child_process import run_child; "
        f"run_child([sys.executable, '-c', {child!r}], what='Toy', folder=pathlib.Path('.'), limit_s=60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", ours], cwd=tmp_path)
    end = time.monotonic() + 20
    while not ((tmp_path / "pid.txt").exists() and (tmp_path / "pid.txt").read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    assert is_gone(int((tmp_path / "pid.txt").read_text()))


def test_windows_ends_trees_by_taskkill(monkeypatch):
    class Child:
        pid, stdin, waited = 4711, None, False

        def wait(self):
            self.waited = True

    called, child = [], Child()
    monkeypatch.setattr(child_process.sys, "platform", "win32")
    monkeypatch.setattr(child_process.subprocess, "run", lambda command, **_: called.append(command))
    child_process.end_tree(child)
    assert called == [["taskkill", "/F", "/T", "/PID", "4711"]]
    assert child.waited
