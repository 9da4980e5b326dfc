"""One part of a report: a title, lines and a table."""

from __future__ import annotations

from dataclasses import dataclass

from nmdeploy.report.summary import Row


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: heading, with how its numbers came about.
        lines: sentences above the table.
        header: column names; empty when there is no table.
        rows: the table.
    """

    title: str
    lines: tuple[str, ...] = ()
    header: Row = ()
    rows: tuple[Row, ...] = ()
