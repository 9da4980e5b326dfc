"""A diff as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from nmdeploy.harness.diff import Diff, NumberChange

_SECTIONS = (("structure", "Structure"), ("parameters", "Parameters"))


def diff_text(found: Diff) -> str:
    """Lines for a terminal."""
    if found.empty:
        return "no difference"
    lines = [line for name, _ in _SECTIONS for line in getattr(found, name)]
    return "\n".join([*lines, *(_line(change) for change in found.numbers)])


def diff_markdown(found: Diff) -> str:
    """For a comment on a pull request: a table of numbers, and lists of what else changed."""
    if found.empty:
        return "No difference."
    lines = []
    if found.numbers:
        lines += ["| measure | of | before | after | | kind |", "|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_cells(change))} |" for change in found.numbers]
    for name, title in _SECTIONS:
        sentences = getattr(found, name)
        if sentences:
            lines += ["", f"**{title}**", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines).lstrip("\n")


def diff_json(found: Diff) -> str:
    """All of it as indented JSON with sorted keys."""
    plain = {**asdict(found), "exceeded": len(found.exceeded)}
    return json.dumps(plain, indent=2, sort_keys=True, allow_nan=False)


def _line(change: NumberChange) -> str:
    measure, of, before, after, verdict, kind = _cells(change)
    return f"{measure} of {of}: {before} became {after} ({kind}{'; ' + verdict if verdict else ''})"


def _cells(change: NumberChange) -> tuple[str, ...]:
    before, after = (_number(value, change.unit) for value in (change.before, change.after))
    verdict = "worse than allowed" if change.exceeds else "worse" if change.worse else ""
    return (change.measure, change.of, before, after, verdict, change.kind)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "not told"
    text = f"{value:,.0f}" if float(value).is_integer() and unit != "%" else f"{value:,.4g}"
    return f"{text} {unit}".rstrip()
