"""A report as JSON, numbers unrounded; every block says how its numbers came about."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from nmdeploy.report.activity import Activity
from nmdeploy.report.build import Report
from nmdeploy.report.cost import plain_cost
from nmdeploy.report.exactness import plain_exactness
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.memory import Occupancy
from nmdeploy.structure import plain_number
from nmdeploy.target import Violation


def render_json(report: Report) -> str:
    """The report as indented JSON with sorted keys, no trailing newline."""
    return json.dumps(as_plain(report), indent=2, sort_keys=True, allow_nan=False, default=plain_number)


def as_plain(report: Report) -> dict[str, Any]:
    """The report in dictionaries, lists and plain values."""
    return {
        "title": report.title,
        "target": report.target,
        "chip": report.chip,
        "profile": {"name": report.profile.name, "semantics": [list(pair) for pair in report.profile.semantics]},
        "inference": {
            "encoder": report.encoder,
            "readout": report.readout,
            "steps": report.steps,
            "latency": report.latency,
        },
        "exactness": None if report.exactness is None else plain_exactness(report.exactness),
        "conversion": None if report.conversion is None else report.conversion.plain(),
        "selection": None if report.selection is None else report.selection.figure(),
        "accuracy": [_accuracy(stage) for stage in report.accuracies],
        "placement": _placement(report.occupancy),
        "activity": None if report.activity is None else _activity(report.activity),
        "cost": None if report.cost is None else plain_cost(report.cost),
        "bounds": {"kind": Kind.MODELLED.value, "populations": [asdict(each) for each in report.bounds]},
        "figures": {name: dict(figure) for name, figure in report.figures.items()},
        "warnings": [_warning(each) for each in report.warnings],
        "notes": list(report.notes),
        "provenance": dict(report.provenance),
        "vectors": None if report.vectors is None else dict(zip(("samples", "steps"), report.vectors, strict=True)),
    }


def _accuracy(stage: Accuracy) -> dict[str, Any]:
    return {"stage": stage.stage, "interval95": list(stage.interval), **stage.figure()}


def _placement(held: Occupancy) -> dict[str, Any]:
    return {
        "kind": Kind.MODELLED.value,
        "cores": held.cores,
        "least_cores": held.least_cores,
        "optimality_gap": held.gap,
        "chips": held.chips,
        "off_chip": list(held.off_chip),
        "limits": dict(held.limits),
        "populations": [{**asdict(use), "fill": use.fill} for use in held.uses],
        "every_core": [
            {
                "chip": core.chip,
                "core": core.core,
                "populations": list(core.populations),
                "neurons": core.neurons,
                "used": dict(core.used),
                "fill": {name: held.fill(core, name) for name in core.used},
            }
            for core in held.every_core
        ],
    }


def _activity(activity: Activity) -> dict[str, Any]:
    return {
        "kind": activity.kind.value,
        "origin": activity.origin,
        "samples": activity.samples,
        "steps": activity.steps,
        "spikes_per_inference": activity.total_spikes,
        "operations_per_inference": activity.total_operations,
        "populations": [
            {
                "name": each.name,
                "neurons": each.neurons,
                "spikes_per_inference": activity.spikes(each),
                "rate": activity.rate(each),
                "silent_neurons": each.silent,
            }
            for each in activity.populations
        ],
        "projections": [
            {"name": each.name, "operations_per_inference": activity.operations(each)} for each in activity.projections
        ],
    }


def _warning(warning: Violation) -> dict[str, Any]:
    return {**asdict(warning), "severity": warning.severity.value}
