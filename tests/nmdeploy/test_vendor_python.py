"""Asking another interpreter: here this one, and what is none."""

import sys
from pathlib import Path

import pytest

from nmdeploy.backend import RunSettings
from nmdeploy.errors import RunError
from nmdeploy.vendor_python import ask, clean_environment

HERE = Path(sys.executable)


def test_only_the_last_line_counts():
    assert ask(HERE, "print('noise'); print('{\"answer\": 42}')") == {"answer": 42}


@pytest.mark.parametrize("said", ["", "words", "[1]"])
def test_anything_but_an_object_is_refused(said):
    with pytest.raises(RunError, match="is no Python"):
        ask(HERE, f"print({said!r})")


def test_a_missing_interpreter_is_told(tmp_path):
    with pytest.raises(RunError, match="there is no such Python"):
        ask(tmp_path / "python", "")


def test_statements_that_fail_are_told():
    with pytest.raises(RunError, match="no_such_module"):
        ask(HERE, "import no_such_module")


def test_another_python_does_not_get_our_module_paths(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    assert clean_environment(RunSettings())["PYTHONPATH"] == "/ours"
    assert "PYTHONPATH" not in clean_environment(RunSettings(python=HERE))
