"""What nmdeploy asks of a chip family: the `Target` protocol and its records.

A target package (in `targets/` or a third party's) subclasses `Target` and names an
instance in the entry-point group `nmdeploy.targets`. Floor 2 knows nothing else
about chips.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nmdeploy.backend import DEFAULT_SETTINGS, Backend, RunSettings
from nmdeploy.errors import UsageError, one_line
from nmdeploy.network import Network
from nmdeploy.neurons import NeuronModel
from quantize import Format, IntegerFormat, Rounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmdeploy.conformance import ConformanceReport
    from nmdeploy.convert.exact.capability import CountRules
    from nmdeploy.cost import Cost
    from nmdeploy.deployment import Deployment, Placement
    from nmdeploy.emulator.result import Result


class Status(str, Enum):
    """How a chip figure came to be known."""

    MEASURED = "measured"
    VENDOR_TOOL = "vendor tool"
    PRE_SILICON = "pre-silicon"
    PAPER = "paper"
    ESTIMATE = "estimate"
    USER = "user"


@dataclass(frozen=True)
class Figure:
    """One number about a chip: value, unit, where it was published, how it was obtained."""

    value: float
    unit: str
    source: str
    status: Status

    @property
    def count(self) -> int:
        """The value of a figure that counts something."""
        return int(self.value)


@dataclass(frozen=True)
class Chip:
    """One member of a family.

    Attributes:
        name: as on the command line (`loihi1`).
        title: as in reports (`Loihi 1`).
        figures: limits and coefficients by name, read from the family's `chips.toml`.
        soma: free words about the chip's neuron for people (reset, latency).
    """

    name: str
    title: str
    figures: Mapping[str, Figure]
    soma: str = ""

    def limit(self, name: str) -> int:
        """The value of figure `name` as an integer."""
        return self.figures[name].count


class Severity(str, Enum):
    """Whether a violation forbids a deployment or only has to be told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Violation:
    """A design rule that a network breaks.

    Attributes:
        code: stable, like `LOI012`.
        where: population, projection or core.
        message: the rule that is broken, as a short sentence.
        found: the offending value.
        limit: what the chip allows.
        hint: a change that would mend it.
        severity: errors forbid the deployment, warnings are carried into the report.
    """

    code: str
    where: str
    message: str
    found: float | str | None = None
    limit: float | str | None = None
    hint: str | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        text = one_line(self.message, where=self.where, found=self.found, limit=self.limit, hint=self.hint)
        return f"{self.code} {self.severity.value}: {text}"


def warning(
    code: str,
    where: str,
    message: str,
    found: float | str | None = None,
    limit: float | str | None = None,
    hint: str | None = None,
) -> Violation:
    """A violation that does not forbid a deployment."""
    return Violation(code, where, message, found, limit, hint, Severity.WARNING)


Rule = Callable[[Network, Chip], Sequence[Violation]]
"""A design rule over a lowered network; its name and docstring read as the rule."""


Emitter = Callable[["Deployment", Path], Sequence[Path]]
"""Writes a deployment into a new folder in a vendor's form; returns the files it wrote."""

Reader = Callable[[Path], Network]
"""Reads a vendor's model file into a network in the chip's terms."""

Quantizer = Callable[[Network, "NDArray[Any] | None"], Network]
"""Brings a float network to a chip's integers, as `to_integers` does, by a method of the
chip's own; the array are calibration samples `[N, *shape]` or None."""

Mapper = Callable[[Network, Chip, "int | None"], "Placement"]
"""Gives a lowered network cores: the network, the kind of chip, how many there are (None: as many as needed)."""


class Grade(str, Enum):
    """How much of what a chip will do is known beforehand."""

    EXACT = "A"
    """Every spike and every potential."""
    UP_TO_ORDER = "B"
    """Everything but what nobody has published: an order of events, of which candidates give a spread, or a policy."""
    NOT_REPRODUCIBLE = "C"
    """The chip itself need not do the same twice."""


@dataclass(frozen=True)
class Exactness:
    """How far the emulator's word on a network holds on the chip.

    Attributes:
        grade: the class.
        reasons: why it is not a better one, a sentence each, with what to do about it.
    """

    grade: Grade = Grade.EXACT
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class VendorMap:
    """What the vendor's own mapper makes of a deployment; nothing has run.

    Attributes:
        software: name and version (`sPyNNaker 7.4.1 on a virtual board`).
        facts: (what, how many, unit) as that mapper tells it.
        compared: words that would be loaded, held against ours.
        differences: where they, or core counts, differ.
    """

    software: str
    facts: tuple[tuple[str, float, str], ...]
    compared: int
    differences: tuple[Violation, ...] = ()


@dataclass(frozen=True)
class Precision:
    """The integers a chip works with, and how float networks are brought to them.

    Attributes:
        weights: format of one synaptic weight.
        threshold: format of the firing threshold, in weight units.
        bias: format of the bias, in weight units; None when the chip has no bias.
        per_channel: whether each output channel may have its own scale (that is,
            whether thresholds may differ between the neurons of a population).
        per_channel_costs: whether such scales take resources of their own, so that they
            are used only when asked for.
        rounding: how scaled weights become integers.
        resets: the resets the chip's neuron can do, best first.
        graded_input: largest value of one input spike; 1 for binary inputs.
        step_sum: largest magnitude of the sum a neuron receives in one step, in weight
            units; scales are widened until it is proven. None when there is no limit.
        subtraction_in_sum: whether a reset by subtraction arrives as one more input of a
            step, so that the threshold counts in `step_sum`.
        without_bias: what to do about a network with biases where there is no format for them.
    """

    weights: IntegerFormat
    threshold: Format
    bias: IntegerFormat | None
    per_channel: bool = False
    per_channel_costs: bool = False
    rounding: Rounding = Rounding.HALF_EVEN
    resets: tuple[str, ...] = ("subtract", "zero")
    graded_input: int = 1
    step_sum: int | None = None
    subtraction_in_sum: bool = False
    without_bias: str = "train without biases, or give them as weights from an input that spikes at every step"


@dataclass(frozen=True)
class Profile:
    """The named semantics of a deployment: what one time step means on this chip.

    Attributes:
        name: `<target>/<profile>`, for example `loihi/lava`.
        semantics: (aspect, rule) pairs for people: fire comparison, reset, floor,
            order of operations, widths, overflow, delays.
    """

    name: str
    semantics: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Lowered:
    """A network in the chip's own terms.

    Attributes:
        network: integer network with the chip's neuron models, synapses and delays.
        profile: the semantics it now has.
        remarks: what lowering changed or could not keep, as warnings.
    """

    network: Network
    profile: Profile
    remarks: tuple[Violation, ...] = ()


class Target(ABC):
    """A chip family. Methods that take `chip` take the name of one of its `chips()`."""

    name: str
    """The family's name, as in `nmdeploy targets`."""
    without: ClassVar[Mapping[str, str]] = {}
    """Why the family has no backend of a name (`vendor`, `board`), where there is something to tell."""

    @abstractmethod
    def chips(self) -> Mapping[str, Chip]:
        """The chips of the family by name, the default first."""

    @abstractmethod
    def neuron_models(self) -> Sequence[type[NeuronModel]]:
        """The family's own neuron models, so that bundles can name them."""

    def profiles(self, chip: Chip) -> Sequence[str]:
        """Names of the semantics that a network can be lowered to on `chip`, the default first."""
        return ("chip",)

    def inner_profile(self, profile: str) -> str:
        """The profile for a part of a network, whose output is none of the whole network's."""
        return profile

    @abstractmethod
    def precision(self, chip: Chip, profile: str) -> Precision:
        """The integer formats of `chip` under one of its profiles."""

    @abstractmethod
    def lower(self, network: Network, chip: Chip, profile: str) -> Lowered:
        """An integer network in the chip's terms: neuron models, legal synapses, delays.

        A network that is in the chip's terms already (read from a vendor's file) stays as it is.

        Raises:
            FitError: with violations, when the network cannot be expressed.
        """

    @abstractmethod
    def rules(self, chip: Chip) -> Sequence[Rule]:
        """The design rules a lowered network must meet, in order."""

    @abstractmethod
    def map(self, network: Network, chip: Chip, chips: int | None = 1) -> Placement:
        """Cores and memories for a lowered network.

        Args:
            network: the lowered network.
            chip: the kind of chip.
            chips: how many of them there are; None takes as many as are needed, and no more.

        Raises:
            FitError: with every violation found.
        """

    def mappers(self) -> Mapping[str, Mapper]:
        """Ways to map other than `map`, by name (`sinabs`: the cores that this software would take)."""
        return {}

    @abstractmethod
    def check(self, network: Network, placement: Placement, chip: Chip) -> Sequence[Violation]:
        """Re-walk a finished placement independently of the mapper; no errors when it is sound, perhaps remarks."""

    def conformance(self, files: Sequence[Path], profile: str | None = None) -> ConformanceReport:
        """Replay vendor vectors through the chip's emulator; see `nmdeploy.conformance`.

        Raises:
            UsageError: when the family has no vectors or no such profile.
        """
        raise UsageError(f"target {self.name!r} has no conformance vectors")

    def emitters(self) -> Mapping[str, Emitter]:
        """Ways to write a deployment in the vendor's own form, by name, the default first."""
        return {}

    def readers(self) -> Mapping[str, Reader]:
        """Readers of the vendor's own model files, by suffix (`.net`)."""
        return {}

    def backends(self, settings: RunSettings = DEFAULT_SETTINGS) -> Mapping[str, Backend]:
        """Ways to run a deployment other than the emulator, by name: `vendor`, `board`."""
        return {}

    def quantizers(self, chip: Chip, profile: str) -> Mapping[str, Quantizer]:
        """Ways to bring a float network to the chip's integers other than `to_integers`, by the name of the scheme."""
        return {}

    def exact_rules(self, chip: Chip, profile: str) -> CountRules | None:
        """What exact mode can count on; None where the chip's neuron cannot do it."""
        return None

    def exactness(self, deployment: Deployment) -> Exactness:
        """How far the emulation of a deployment holds on the chip."""
        return Exactness()

    def orders(self, network: Network) -> Mapping[str, Network]:
        """The lowered network under each candidate for an order that is not published, by name, the default first."""
        return {}

    def vendor_map(self, deployment: Deployment, settings: RunSettings = DEFAULT_SETTINGS) -> VendorMap:
        """Map with the vendor's own software, and compare what it would load.

        Raises:
            UsageError: when the vendor has none.
            HardwareUnavailable: when it is not installed where `settings` says.
            RunError: when it fails.
        """
        raise UsageError(f"target {self.name!r} has no mapper of the vendor's")

    def step_time(self, network: Network, chip: Chip) -> float | None:
        """Seconds that a step of a lowered network lasts, modelled; None where steps last as long as they need."""
        return None

    def cost(self, deployment: Deployment, result: Result) -> Cost | None:
        """Time and energy of one inference, from the events counted in a run of `deployment`.

        Args:
            deployment: what ran.
            result: its run, recorded with `counts=("*",)`; with `spikes=("*",)` too, every
                step is known and ranges are narrower.

        Returns:
            The cost; None when nothing is known of the family's.
        """
        return None


@dataclass(frozen=True)
class Choice:
    """A target, one of its chips, and a profile, as named by a user (`loihi`, `loihi1`, `loihi1/subtract`)."""

    target: Target
    chip: Chip
    profile: str

    @property
    def name(self) -> str:
        """Chip and profile (`loihi1/subtract`)."""
        return f"{self.chip.name}/{self.profile}"

    @property
    def precision(self) -> Precision:
        """The integer formats of the chosen chip under the chosen profile."""
        return self.target.precision(self.chip, self.profile)
