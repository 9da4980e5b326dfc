"""An error says what, where, found, limit and what to do, on one line, and has its exit code."""

import pickle

import pytest

from nmdeploy import errors
from nmdeploy.errors import (
    BundleError,
    CheckFailed,
    EmulationOverflow,
    FitError,
    HardwareUnavailable,
    MissingDependency,
    NetworkError,
    NmdeployError,
    UsageError,
    one_line,
)
from nmdeploy.target import Severity, Violation


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "too big"),
        ({"where": "conv1"}, "conv1: too big"),
        ({"found": 9}, "too big (found 9)"),
        ({"found": 0, "limit": 0}, "too big (found 0, limit 0)"),
        ({"limit": "8 bits"}, "too big (limit 8 bits)"),
        ({"where": "conv1", "found": 9, "limit": 8, "hint": "less"}, "conv1: too big (found 9, limit 8); less"),
        ({"hint": "less"}, "too big; less"),
    ],
)
def test_the_parts_of_a_message(parts, text):
    assert one_line("too big", **parts) == text
    error = NmdeployError("too big", **parts)
    assert str(error) == text
    for name in ("where", "found", "limit", "hint"):
        assert getattr(error, name) == parts.get(name)


def test_exit_codes():
    assert NmdeployError("x").exit_code == UsageError("x").exit_code == BundleError("x").exit_code == 2
    assert FitError("chip", []).exit_code == 3
    assert HardwareUnavailable("x").exit_code == 4
    assert CheckFailed("x").exit_code == 1


def test_every_error_is_one_that_the_command_line_catches():
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) > 10
    assert all(issubclass(each, NmdeployError) for each in classes)


@pytest.mark.parametrize(
    ("faults", "text"), [(["a"], "net: 1 fault in the network: a"), (["a", "b"], "net: 2 faults in the network: a | b")]
)
def test_a_network_error_holds_every_fault(faults, text):
    error = NetworkError(iter(faults), where="net")
    assert error.faults == tuple(faults)
    assert str(error) == text


def test_a_fit_error_lists_every_violation_with_its_code():
    found = [
        Violation("TOY001", "conv", "too many neurons", 2048, 1024, "fewer channels"),
        Violation("TOY002", "out", "slow", severity=Severity.WARNING),
    ]
    error = FitError("Toy 1", iter(found))
    assert error.violations == tuple(found)
    assert str(error) == (
        "Toy 1: does not fit: 2 violations\n"
        "  TOY001 error: conv: too many neurons (found 2048, limit 1024); fewer channels\n"
        "  TOY002 warning: out: slow"
    )
    assert str(FitError("Toy 1", found[:1])).startswith("Toy 1: does not fit: 1 violation\n")


def test_a_missing_library_is_named_with_the_line_that_brings_it():
    error = MissingDependency("torch", "demo", "import")
    assert (error.library, error.extra) == ("torch", "demo")
    assert str(error) == "import needs the library 'torch', which is not installed; pip install 'nmdeploy[demo]'"


def test_an_overflow_is_located_by_those_who_know_where():
    inner = EmulationOverflow("v overflows", index=(2, 1, 0), found=200, limit="-128..127")
    assert str(inner) == "sample 2, neuron (1, 0): v overflows (found 200, limit -128..127)"
    outer = inner.at("conv", 7, first_sample=100)
    assert str(outer) == "conv, step 7, sample 102, neuron (1, 0): v overflows (found 200, limit -128..127)"
    assert (outer.index, outer.step) == ((102, 1, 0), 7)
    assert str(EmulationOverflow("v overflows").at("conv", 0)) == "conv, step 0: v overflows"


@pytest.mark.parametrize(
    "error",
    [
        BundleError("torn", where="a.nmd"),
        NetworkError(["a", "b"], where="net"),
        FitError("Toy 1", [Violation("TOY001", "conv", "too many")]),
        MissingDependency("torch", "demo", "import"),
        EmulationOverflow("v overflows", index=(1, 2), where="conv", step=3),
    ],
)
def test_errors_survive_being_sent_between_processes(error):
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
