"""A report as plain text and as Markdown."""

from __future__ import annotations

from nmdeploy.deployment import Deployment
from nmdeploy.report.build import Report
from nmdeploy.report.memory import Occupancy
from nmdeploy.report.section import Section
from nmdeploy.report.sections import core_section, placement_section, sections_of, title_of
from nmdeploy.report.summary import table


def render_text(report: Report) -> str:
    """The report for a terminal: plain text, no colours, no trailing newline."""
    title = title_of(report)
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *map(text_section, sections_of(report))])


def text_section(section: Section) -> str:
    """One section: its title underlined, its lines, its table."""
    parts = [section.title, "-" * len(section.title), *section.lines]
    if section.rows:
        parts += ([""] if section.lines else []) + [table(section.header, list(section.rows))]
    return "\n".join(parts)


def placement_table(deployment: Deployment, every_core: bool = False) -> str:
    """Cores and memory of a deployment as text.

    Args:
        deployment: what to show.
        every_core: add a row for each core.
    """
    held = Occupancy.of(deployment.placement)
    sections = [placement_section(held), *([core_section(held)] if every_core else [])]
    return "\n\n".join(map(text_section, sections))


def render_markdown(report: Report) -> str:
    """The report as Markdown with pipe tables, no trailing newline."""
    return "\n\n".join([f"# {_escaped(title_of(report))}", *map(_markdown_section, sections_of(report))])


def _markdown_section(section: Section) -> str:
    parts = [f"## {_escaped(section.title)}"]
    if section.lines:
        parts.append("\n".join(f"- {_escaped(line)}" for line in section.lines))
    if section.rows:
        rule = "|" + " --- |" * len(section.header)
        parts.append("\n".join([_pipes(section.header), rule, *map(_pipes, section.rows)]))
    return "\n\n".join(parts)


def _pipes(row: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_escaped, row)) + " |"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is and on one line."""
    for letter in ("\\", "|", "*", "_", "`", "<", "["):
        text = text.replace(letter, "\\" + letter)
    return " ".join(text.split())
