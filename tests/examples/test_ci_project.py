"""The example project for CI runs as its README and its workflow say."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "ci_project"
WORKFLOW = PROJECT / ".github" / "workflows" / "neuromorphic.yml"
CONVERT = "nmdeploy convert model:net "


def commands():
    """The one-line commands of the workflow's first job."""
    job = WORKFLOW.read_text(encoding="utf-8").partition("  vendor:")[0]
    return re.findall(r"^      - run: (.+)$", job, re.MULTILINE)


def run(command, folder):
    """Run a command of this environment in `folder`; its exit code and what it said."""
    words = shlex.split(command)
    module = {"python": [], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "nmdeploy": ["-m", "nmdeploy"]}[
        words[0]
    ]
    done = subprocess.run(
        [sys.executable, *module, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("example") / "ci_project"
    shutil.copytree(PROJECT, folder)
    for command in ("python model.py", next(each for each in commands() if each.startswith(CONVERT))):
        code, said = run(command, folder)
        assert code == 0, said
    return folder


def test_the_readme_names_the_commands_of_the_workflow():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    wanted = [each for each in commands() if each.startswith(("pip", "python", CONVERT))]
    assert len(wanted) == 3
    assert all(command in readme for command in wanted)


def test_the_suite_passes_and_says_what_ran(project):
    command = next(each for each in commands() if each.startswith("pytest"))
    code, said = run(command, project)
    assert code == 0, said
    assert "3 passed" in said
    assert "test_every_spike_of_the_stored_vectors: emulator: nmdeploy's emulator" in said
    assert (project / "emulator.xml").is_file()


def test_the_bundle_tests_itself(project):
    command = next(each for each in commands() if each.startswith("nmdeploy test"))
    code, said = run(command, project)
    assert code == 0, said
    assert "| net.nmd | passed | emulator" in (project / "test.md").read_text()


def test_hardware_that_is_demanded_is_missed(project):
    code, said = run("nmdeploy test net.nmd --require-hardware", project)
    assert code == 4, said
    code, said = run("pytest --nm-require-hardware", project)
    assert code == 1
    assert "1 passed" in said
    assert "2 failed" in said


def test_a_pull_request_sees_what_changed(project):
    convert = next(each for each in commands() if each.startswith(CONVERT))
    other = convert.replace("--recipe rate-calibrated --steps 16", "--recipe rate --steps 12")
    code, said = run(other.replace("-o net.nmd", "-o other.nmd"), project)
    assert code == 0, said
    workflow = WORKFLOW.read_text(encoding="utf-8")
    told = re.search(r"^ +(nmdeploy diff .+) >> ", workflow, re.MULTILINE)
    judged = re.search(r"^ +(nmdeploy diff .+--tolerance.+)$", workflow, re.MULTILINE)
    code, said = run(told[1].replace("before/net.nmd", "other.nmd"), project)
    assert code == 0, said
    assert "recipe.steps: 12 became 16" in said
    assert "| steps | inference |" in said
    code, said = run(judged[1].replace("before/net.nmd", "net.nmd"), project)
    assert (code, said.strip()) == (0, "no difference")
