"""`nmdeploy test` and `nmdeploy compare`: is what ran what it must be, and if not, where and why?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nmdeploy.cli.backends import backend_options, chosen_runner
from nmdeploy.cli.console import progress, say, write_text
from nmdeploy.cli.options import existing_file, new_file

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment
    from nmdeploy.linear_maps import Array


@click.command("test")
@click.argument("bundles", type=existing_file, nargs=-1, required=True)
@backend_options("auto")
@click.option("--explain/--no-explain", default=True, show_default=True, help="Examine where and why a run differs.")
@click.option("--json", "json_file", type=new_file, help="Write the outcomes as JSON.")
@click.option("--junit", "junit_file", type=new_file, help="Write them as JUnit XML.")
@click.option("--markdown", "markdown_file", type=new_file, help="Write them as a Markdown table.")
def test_command(
    bundles: tuple[Path, ...],
    on: str,
    explain: bool,
    json_file: Path | None,
    junit_file: Path | None,
    markdown_file: Path | None,
    **where: Any,
) -> None:
    """Replay the test vectors that BUNDLES carry, on the best that is there, and compare every integer.

    Exits with 1 on any difference or failed run, with 4 where hardware is demanded and none is there.
    """
    from nmdeploy.bundle import load
    from nmdeploy.errors import CheckFailed
    from nmdeploy.harness.results import as_json, as_junit, as_markdown, as_text
    from nmdeploy.harness.self_test import self_test

    tests = []
    for bundle in bundles:
        deployment = load(bundle)
        runner = chosen_runner(deployment, on, **where)
        with progress(f"replaying {bundle.name}") as advance:
            tests.append(self_test(str(bundle), deployment, runner, explains=explain, progress=advance))
        say(as_text(tests[-1]))
    forms = ((json_file, as_json), (junit_file, as_junit), (markdown_file, as_markdown))
    for path, render in forms:
        if path is not None:
            write_text(path, render(tests))
    wrong = [test.name for test in tests if not test.passed]
    if wrong:
        places = ", ".join(dict.fromkeys(f"on {test.runner}" for test in tests if not test.passed))
        raise CheckFailed(f"test vectors are not met {places}", where=", ".join(wrong))


@click.command("compare")
@click.argument("bundle", type=existing_file)
@click.argument("recording", type=existing_file)
def compare_command(bundle: Path, recording: Path) -> None:
    """Hold a RECORDING of a run from elsewhere against the emulator: the first difference, and its likely cause.

    RECORDING is an .npz file of arrays `NAME.spikes` and `NAME.v`, [steps, samples, *shape], for populations
    of BUNDLE, potentials at the end of each step; those of the inputs are what went in (default: the inputs of
    the test vectors that BUNDLE carries). Exits with 1 on any difference.
    """
    from nmdeploy.bundle import load
    from nmdeploy.data import read_npz
    from nmdeploy.errors import CheckFailed
    from nmdeploy.harness.compare import compare
    from nmdeploy.harness.first_difference import Recorded

    deployment = load(bundle)
    arrays = read_npz(recording)
    recorded, potentials = _of_kind(arrays, ".spikes"), _of_kind(arrays, ".v")
    sources = {each.name for each in deployment.network.inputs}
    spikes = {name: values for name, values in recorded.items() if name not in sources}
    with progress("trying causes") as advance:
        told = compare(deployment, _given(deployment, recorded, sources), Recorded(spikes, potentials), advance)
    say(str(told))
    if not told.passed:
        raise CheckFailed("the recording differs from the emulator", where=str(recording))


def _of_kind(arrays: dict[str, Array], kind: str) -> dict[str, Array]:
    return {name[: -len(kind)]: array for name, array in arrays.items() if name.endswith(kind)}


def _given(deployment: Deployment, spikes: dict[str, Array], sources: set[str]) -> dict[str, Array]:
    """The inputs of a recorded run."""
    from nmdeploy.errors import DataError

    given = {name: values for name, values in spikes.items() if name in sources}
    if given:
        return given
    if deployment.vectors is None:
        hint = f"record them too: {', '.join(f'{name}.spikes' for name in sorted(sources))}"
        raise DataError("what went in is not known", where=deployment.network.name, hint=hint)
    return dict(deployment.vectors.inputs)
