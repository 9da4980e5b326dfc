"""What the backends that run an emitted script share: the way from a request to a result, and the script's words.

A vendor's software runs in a process of its own. Its driver prints `sample 3 of 10` after each
sample and names recordings `KEY.variable`, with the populations' names in the script.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmdeploy.backend import Backend, RunSettings
from nmdeploy.emulator.inputs import Inputs, Selection, Stimulus, check_inputs, select
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.linear_maps import Array
from nmdeploy.recorded_run import make_result

if TYPE_CHECKING:
    from nmdeploy.deployment import Deployment
    from nmdeploy.progress import Progress

_SAMPLE_DONE = re.compile(r"sample (\d+) of (\d+)")


@dataclass(frozen=True)
class Recorded:
    """What a script brought back.

    Attributes:
        arrays: as `nmdeploy.recorded_run.make_result` takes them.
        origin: what ran.
        remarks: what the vendor's software had to report.
    """

    arrays: Mapping[str, Array]
    origin: str
    remarks: tuple[str, ...] = ()


class ScriptBackend(Backend):
    """A backend that runs an emitted script with a Python that has the vendor's software.

    Args:
        settings: `python` is that interpreter, None for this one.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.python = settings.interpreter

    def run(
        self,
        deployment: Deployment,
        inputs: Inputs,
        *,
        steps: int | None = None,
        record: Recording = DEFAULT_RECORDING,
        progress: Progress | None = None,
    ) -> Result:
        network = deployment.network
        stimulus = check_inputs(network, inputs, steps)
        selected = select(network, record, stimulus.steps)
        self.check(deployment, selected)
        recorded = self.execute(deployment, stimulus, selected, progress)
        return make_result(network, stimulus, selected, recorded.arrays, recorded.origin, recorded.remarks)

    @abstractmethod
    def check(self, deployment: Deployment, selected: Selection) -> None:
        """Refuse what this backend cannot run or record.

        Raises:
            UsageError: naming it.
        """

    @abstractmethod
    def execute(
        self, deployment: Deployment, stimulus: Stimulus, selected: Selection, progress: Progress | None
    ) -> Recorded:
        """Run a request that has been checked.

        Raises:
            HardwareUnavailable: when what runs it is not there.
            RunError: when it fails, or does not finish in time.
        """


def samples_done(line: str) -> tuple[int, int] | None:
    """Samples done and samples in all, where a line that a script printed tells them."""
    match = _SAMPLE_DONE.fullmatch(line)
    return None if match is None else (int(match[1]), int(match[2]))


def by_population(recordings: Mapping[str, Array], keys: Mapping[str, str]) -> dict[str, Array]:
    """A script's recordings, `KEY.variable`, under the populations' own names.

    Args:
        recordings: arrays by key and variable.
        keys: by population, its name in the script.
    """
    names = {key: name for name, key in keys.items()}
    parts = {each: each.partition(".") for each in recordings}
    return {f"{names[key]}.{variable}": recordings[each] for each, (key, _, variable) in parts.items()}
