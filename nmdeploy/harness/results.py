"""Outcomes of self-tests as text, JSON, Markdown and JUnit XML; every line says what ran."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from nmdeploy.harness.compare import Comparison
from nmdeploy.harness.self_test import SelfTest
from nmdeploy.harness.tolerance import Judgement


def as_text(test: SelfTest) -> str:
    """Lines for a terminal."""
    lines = [f"{test.name}: {test.verdict.upper()} on {_ran(test)}, {test.chip}, profile {test.profile}"]
    lines += [f"  not used: {reason}" for reason in test.runner.passed_over]
    lines += [f"  {line}" for line in str(test.error if test.replay is None else test.replay).splitlines()]
    lines += [] if test.judgement is None else [f"  judged as {test.judgement}"]
    return "\n".join([*lines, *_difference(test)])


def as_json(tests: Sequence[SelfTest]) -> str:
    """All outcomes as indented JSON with sorted keys."""
    return json.dumps({"tests": [_plain(test) for test in tests]}, indent=2, sort_keys=True, allow_nan=False)


def as_markdown(tests: Sequence[SelfTest]) -> str:
    """A table with a row for each bundle, and the differences below it."""
    lines = [
        "| bundle | result | ran on | chip | profile | integers compared | mismatches |",
        "|---|---|---|---|---|---|---|",
    ]
    for test in tests:
        counts = ("", "") if test.replay is None else (f"{test.replay.compared:,}", f"{test.replay.mismatches:,}")
        cells = (test.name, test.verdict, _ran(test), test.chip, test.profile, *counts)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for test in tests:
        if not test.passed:
            lines += ["", f"**{test.name}**", "", "```", as_text(test), "```"]
    return "\n".join(lines)


def as_junit(tests: Sequence[SelfTest]) -> str:
    """The outcomes as JUnit XML, as CI systems read it; what ran is a property of each test case."""
    counts = {"tests": len(tests), "failures": _count(tests, "failed"), "errors": _count(tests, "error")}
    attributes = {key: str(value) for key, value in counts.items()}
    suite = ElementTree.Element("testsuite", {"name": "nmdeploy test", **attributes})
    for test in tests:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"nmdeploy.{test.chip}", name=test.name, time=f"{test.seconds:.3f}"
        )
        properties = ElementTree.SubElement(case, "properties")
        for name, value in (("ran_on", _ran(test)), ("chip", test.chip), ("profile", test.profile)):
            ElementTree.SubElement(properties, "property", name=name, value=value)
        if not test.passed:
            kind = "failure" if test.verdict == "failed" else "error"
            text = as_text(test)
            ElementTree.SubElement(case, kind, message=text.splitlines()[0]).text = text
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode")


def _difference(test: SelfTest) -> list[str]:
    """What examining a difference has found."""
    if test.comparison is None:
        return []
    if test.comparison.passed:
        return ["it ran once more, with more recorded, and did not differ: what ran does not repeat itself"]
    return [str(test.comparison)]


def _ran(test: SelfTest) -> str:
    """What ran, as far as it came to that."""
    where = str(test.runner)
    return where if test.replay is None else f"{where} ({test.replay.origin})"


def _count(tests: Sequence[SelfTest], verdict: str) -> int:
    return sum(test.verdict == verdict for test in tests)


def _plain(test: SelfTest) -> dict[str, Any]:
    return {
        "bundle": test.name,
        "result": test.verdict,
        "on": test.runner.on,
        "ran": test.runner.found,
        "origin": None if test.replay is None else test.replay.origin,
        "kind": test.runner.kind,
        "passed_over": list(test.runner.passed_over),
        "chip": test.chip,
        "profile": test.profile,
        "seconds": test.seconds,
        "compared": None if test.replay is None else test.replay.compared,
        "mismatches": None if test.replay is None else test.replay.mismatches,
        "error": test.error,
        "judgement": None if test.judgement is None else _plain_judgement(test.judgement),
        "difference": None if test.comparison is None else _plain_comparison(test.comparison),
    }


def _plain_judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "class": judgement.grade.value,
        "passed": judgement.passed,
        "words": judgement.words,
        "reasons": list(judgement.reasons),
    }


def _plain_comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "compared": comparison.compared,
        "first": None if comparison.place is None else asdict(comparison.place),
        "neuron": comparison.neuron,
        "fires_at": comparison.fires_at,
        "potential_before": comparison.before,
        "potential_after": comparison.after,
        "causes": [asdict(each) for each in comparison.explanations],
    }
