"""`nmdeploy emit`: a bundle in the vendor's own form."""

from __future__ import annotations

from pathlib import Path

import click

from nmdeploy.cli.console import say
from nmdeploy.cli.options import existing_file


@click.command("emit")
@click.argument("bundle", type=existing_file)
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="A new or empty folder.")
@click.option("--form", help="Which form; default: the chip family's first. Named when there are several.")
def emit_command(bundle: Path, out: Path, form: str | None) -> None:
    """Write BUNDLE in a form that the vendor's software runs: scripts, model files, configurations."""
    from nmdeploy.bundle import load
    from nmdeploy.errors import UsageError
    from nmdeploy.registry import targets

    deployment = load(bundle)
    target = targets().get(deployment.target)
    emitters = {} if target is None else target.emitters()
    chosen = form or next(iter(emitters), "")
    if chosen not in emitters:
        limit = ", ".join(emitters) or "none"
        raise UsageError("the chip family has no such form", where=deployment.target, found=chosen or None, limit=limit)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("an emitted form is written into a new or empty folder", where=str(out))
    for path in emitters[chosen](deployment, out):
        say(f"written: {path}")
    others = ", ".join(name for name in emitters if name != chosen)
    if form is None and others:
        say(f"form: {chosen}; others: {others} (--form)")
