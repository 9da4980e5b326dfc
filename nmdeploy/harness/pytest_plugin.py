"""A pytest plugin: one suite for a laptop, for CI, and for the machine with the board.

Options: `--nm-on auto|board|vendor|emulator`, `--nm-require-hardware`, `--nm-board ID`,
`--nm-vendor-python PATH`, `--nm-target CHIP`, `--nm-limit SECONDS`. Fixtures: `nm_run`,
`nm_replay`, `nm_chip`. The header, a line for every test, and JUnit properties say what ran.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment
    from nmdeploy.emulator.inputs import Inputs
    from nmdeploy.emulator.result import Result
    from nmdeploy.harness.runner import Runner
    from nmdeploy.target import Choice

DEFAULT_LIMIT_S = 600.0
DEFAULT_CHIP = "loihi1"

RAN_ON = "nm_ran_on"
"""The property of a test's report that tells what ran; reports travel, so that it is told with pytest-xdist too."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--nm-...` options."""
    group = parser.getgroup("nmdeploy", "neuromorphic deployments (nmdeploy)")
    places = ("auto", "board", "vendor", "emulator")
    group.addoption("--nm-on", choices=places, default="auto", help="What runs deployments; auto: the best there is.")
    group.addoption("--nm-require-hardware", action="store_true", help="Fail, do not fall back, without a board.")
    group.addoption("--nm-board", metavar="ID", help="Which board, as the vendor names it.")
    group.addoption("--nm-vendor-python", metavar="PATH", help="Python that has the vendor's software.")
    group.addoption("--nm-target", metavar="CHIP", default=DEFAULT_CHIP, help="The chip of the fixture nm_chip.")
    group.addoption(
        "--nm-limit", metavar="SECONDS", type=float, default=DEFAULT_LIMIT_S, help="After which a run is ended."
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """What was asked for; nothing where nothing was."""
    on, required = config.getoption("--nm-on"), config.getoption("--nm-require-hardware")
    board = config.getoption("--nm-board")
    asked = [f"deployments run on: {on}"] + (["hardware required"] if required else [])
    asked += [f"board {board}"] if board else []
    return f"nmdeploy: {', '.join(asked)}" if len(asked) > 1 or on != "auto" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for every test that ran a deployment: what it ran on."""
    lines = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                ran = dict.fromkeys(str(value) for name, value in report.user_properties if name == RAN_ON)
                lines += [f"{report.nodeid}: {'; '.join(ran)}"] if ran else []
    if lines:
        terminalreporter.section("nmdeploy: what ran", "-")
        for line in lines:
            terminalreporter.write_line(line)


class Bench:
    """Runs deployments as the command line asks, and remembers what ran.

    Args:
        config: of the session.
        record: pytest's `record_property`.
    """

    def __init__(self, config: pytest.Config, record: Any) -> None:
        self._config, self._record = config, record

    def runner(self, deployment: Deployment) -> Runner:
        """What shall run `deployment`.

        Raises:
            HardwareUnavailable: which fails the test, where hardware is required and none is there.
        """
        from nmdeploy.backend import RunSettings
        from nmdeploy.harness.runner import choose_runner

        option = self._config.getoption
        python = option("--nm-vendor-python")
        settings = RunSettings(Path(python) if python else None, option("--nm-board"), option("--nm-limit"))
        required = option("--nm-require-hardware")
        return choose_runner(deployment.target, option("--nm-on"), settings, require_hardware=required)

    def tell(self, what: str) -> None:
        """Remember what ran."""
        self._record(RAN_ON, what)


def _loaded(bundle: Deployment | Path | str) -> Deployment:
    from nmdeploy.bundle import load

    return load(Path(bundle)) if isinstance(bundle, (str, Path)) else bundle


class Run(Bench):
    """The fixture `nm_run`: `nm_run(bundle, inputs, steps=..., record=...)` gives a `Result`."""

    def __call__(self, bundle: Deployment | Path | str, inputs: Inputs, **options: Any) -> Result:
        """Run a deployment, or the bundle of a path; arguments and result are those of `nmdeploy.emulate`."""
        from nmdeploy.emulator.run import emulate

        deployment = _loaded(bundle)
        runner = self.runner(deployment)
        if runner.backend is None:
            result = emulate(deployment, inputs, **options)
        else:
            result = runner.backend.run(deployment, inputs, **options)
        self.tell(f"{runner} ({result.origin})")
        return result


class Replay(Bench):
    """The fixture `nm_replay`: `nm_replay(bundle)` fails the test where the bundle's vectors are not met."""

    def __call__(self, bundle: Deployment | Path | str) -> None:
        """Replay the test vectors of a deployment, or of the bundle of a path, and compare every integer."""
        from nmdeploy.harness.results import as_text
        from nmdeploy.harness.self_test import self_test

        deployment = _loaded(bundle)
        name = deployment.network.name if bundle is deployment else str(bundle)
        outcome = self_test(name, deployment, self.runner(deployment))
        origin = "" if outcome.replay is None else f" ({outcome.replay.origin})"
        self.tell(f"{outcome.runner}{origin}")
        if not outcome.passed:
            pytest.fail(as_text(outcome), pytrace=False)


@pytest.fixture
def nm_run(request: pytest.FixtureRequest, record_property: Any) -> Run:
    """Runs deployments on what `--nm-on` says."""
    return Run(request.config, record_property)


@pytest.fixture
def nm_replay(request: pytest.FixtureRequest, record_property: Any) -> Replay:
    """Replays bundles' test vectors on what `--nm-on` says."""
    return Replay(request.config, record_property)


@pytest.fixture
def nm_chip(request: pytest.FixtureRequest) -> Choice:
    """The chip that `--nm-target` names."""
    from nmdeploy.registry import chip

    return chip(request.config.getoption("--nm-target"))
