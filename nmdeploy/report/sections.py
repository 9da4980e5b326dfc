"""A report as titled sections of lines and tables, the form that text and Markdown share."""

from __future__ import annotations

from collections.abc import Iterator

from nmdeploy.report.activity import Activity, PopulationActivity
from nmdeploy.report.build import Report
from nmdeploy.report.cost import cost_section
from nmdeploy.report.exactness import exactness_section
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.memory import Occupancy, share
from nmdeploy.report.recipe import conversion_section
from nmdeploy.report.section import Section
from nmdeploy.report.selection import selection_section
from nmdeploy.report.summary import Row


def title_of(report: Report) -> str:
    """The report's heading."""
    return f"{report.title} on {report.target}:{report.chip}"


def sections_of(report: Report) -> tuple[Section, ...]:
    """The sections that have something to say, in reading order."""
    candidates = (
        _semantics(report),
        exactness_section(report.exactness),
        conversion_section(report.conversion),
        selection_section(report.selection),
        _accuracy(report),
        placement_section(report.occupancy),
        _activity(report),
        cost_section(report.cost),
        _bounds(report),
        _figures(report),
        Section("Warnings", tuple(str(warning) for warning in report.warnings)),
        Section("Notes", report.notes),
        Section("Provenance", (), ("what", "value"), tuple((name, text) for name, text in report.provenance.items())),
    )
    return tuple(section for section in candidates if section.lines or section.rows)


def _semantics(report: Report) -> Section:
    lines = [f"An inference: {report.steps} input steps, {report.latency} more until the last output spike."]
    lines += [f"Encoder: {report.encoder}."] if report.encoder else ["Encoder: none, spikes are fed as they are."]
    lines += [f"Read-out: {report.readout}."] if report.readout else ["Read-out: none, output spikes are returned."]
    if report.vectors:
        lines.append("Test vectors: {} samples of {} steps.".format(*report.vectors))
    return Section(f"Profile {report.profile.name}", tuple(lines), ("aspect", "rule"), report.profile.semantics)


def _accuracy(report: Report) -> Section:
    header = ("stage", "right", "of", "accuracy %", "95 % interval", "tied", "steps", "kind", "on")
    return Section("Accuracy", (), header, tuple(_accuracy_row(stage) for stage in report.accuracies))


def _accuracy_row(stage: Accuracy) -> Row:
    low, high = stage.interval
    return (
        stage.stage,
        f"{stage.correct:,}",
        f"{stage.samples:,}",
        f"{100 * stage.value:.2f}",
        f"{100 * low:.2f} to {100 * high:.2f}",
        f"{stage.ties:,}",
        str(stage.steps or "-"),
        stage.kind.value,
        stage.on or "-",
    )


def placement_section(held: Occupancy) -> Section:
    """Cores and memory, a row for each population and resource."""
    chips = f"{held.chips} chip{'s' if held.chips != 1 else ''}"
    lines = [f"{held.cores} core{'s' if held.cores != 1 else ''} on {chips}."]
    if held.gap is not None:
        bound = f"No placement takes fewer than {held.least_cores:,} (proven in the model of the chip)"
        lines.append(f"{bound}: optimality gap at most {100 * held.gap:.1f} %.")
    if held.off_chip:
        lines.append(f"Off the chip: {', '.join(held.off_chip)}.")
    header = ("population", "resource", "cores", "min", "mean", "max", "limit", "fill %")
    rows = tuple(
        (
            use.population,
            use.resource,
            f"{use.cores:,}",
            f"{use.least:,}",
            f"{use.mean:,.1f}",
            f"{use.most:,}",
            f"{use.limit:,}",
            f"{100 * use.fill:.1f}",
        )
        for use in held.uses
    )
    return Section(f"Cores and memory ({Kind.MODELLED.value})", tuple(lines), header, rows)


def core_section(held: Occupancy) -> Section:
    """Every core, with what it uses of each resource and the share of the limit."""
    resources = tuple(held.limits)
    rows = tuple(
        (
            str(core.chip),
            str(core.core),
            ", ".join(core.populations),
            f"{core.neurons:,}",
            *(f"{core.used.get(name, 0):,} ({100 * held.fill(core, name):.0f} %)" for name in resources),
        )
        for core in held.every_core
    )
    header = ("chip", "core", "populations", "neurons", *(f"{name} (fill)" for name in resources))
    return Section(f"Every core ({Kind.MODELLED.value})", (), header, rows)


def _activity(report: Report) -> Section:
    activity = report.activity
    if activity is None:
        return Section("Activity")
    title = f"Activity per inference ({activity.origin})"
    lines = (
        f"Mean over {activity.samples:,} samples of {activity.steps} steps; the rate is of one neuron in one step.",
        f"In all: {activity.total_spikes:,.1f} spikes, {activity.total_operations:,.1f} synaptic operations.",
    )
    header = ("layer", "spikes", "rate", "silent neurons", "synaptic operations")
    return Section(title, lines, header, tuple(_activity_rows(activity)))


def _activity_rows(activity: Activity) -> Iterator[Row]:
    for each in activity.populations:
        rate = f"{activity.rate(each):.4f}"
        yield (each.name, f"{activity.spikes(each):,.1f}", rate, _silent(each), "-")
    for projection in activity.projections:
        yield (projection.name, "-", "-", "-", f"{activity.operations(projection):,.1f}")


def _silent(population: PopulationActivity) -> str:
    if population.silent is None:
        return "-"
    return f"{population.silent:,} ({100 * share(population.silent, population.neurons):.1f} %)"


def _bounds(report: Report) -> Section:
    rows = tuple((each.population, f"{each.lower:,}", f"{each.upper:,}", str(each.bits)) for each in report.bounds)
    lines = ("The smallest and largest sum a neuron can meet, whatever the input.",) if rows else ()
    header = ("population", "smallest", "largest", "bits")
    return Section(f"Synaptic input in one step ({Kind.MODELLED.value} from the weights)", lines, header, rows)


def _figures(report: Report) -> Section:
    def rest(name: str) -> str:
        return ", ".join(f"{key}={value}" for key, value in sorted(report.figures[name].items()) if key not in shown)

    shown = ("value", "kind", "on")
    rows = tuple(
        (name, *(str(figure.get(key, "-")) for key in shown), rest(name) or "-")
        for name, figure in report.figures.items()
    )
    return Section("Further figures", (), ("figure", *shown, "more"), rows)
