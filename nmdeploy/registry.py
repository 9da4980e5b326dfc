"""Finding targets: the entry-point group `nmdeploy.targets`.

A plug-in that cannot be imported is reported by `broken_targets` and skipped; it
never takes the others down with it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from nmdeploy.errors import UsageError
from nmdeploy.neurons import IF, Integrator, NeuronModel
from nmdeploy.target import Chip, Choice, Target

GROUP = "nmdeploy.targets"


@lru_cache(maxsize=1)
def _load() -> tuple[dict[str, Target], dict[str, str]]:
    found: dict[str, Target] = {}
    broken: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            target = point.load()
        except Exception as error:  # noqa: BLE001  a plug-in may fail in any way; `doctor` tells
            broken[point.name] = f"{type(error).__name__}: {error}"
            continue
        if not isinstance(target, Target):
            broken[point.name] = f"{point.value} is no Target"
        elif target.name != point.name:
            broken[point.name] = f"{point.value} calls itself {target.name!r}"
        elif found.get(point.name, target) is not target:
            broken[f"{point.name} ({point.value})"] = "another plug-in has this name"
        else:
            found[point.name] = target
    return found, broken


def targets() -> dict[str, Target]:
    """The usable targets by name."""
    return dict(_load()[0])


def broken_targets() -> dict[str, str]:
    """Targets that are registered but cannot be loaded, with the reason."""
    return dict(_load()[1])


def chip(name: str) -> Choice:
    """The target, chip and profile that `name` means: `[family:]chip[/profile]`, or a family alone.

    Raises:
        UsageError: listing what there is, when nothing or more than one thing fits.
    """
    spoken, _, profile = name.partition("/")
    target, found = _chip(spoken)
    profiles = target.profiles(found)
    if profile and profile not in profiles:
        raise UsageError(
            "the chip has no such profile", where=found.name, found=repr(profile), limit=", ".join(profiles)
        )
    return Choice(target, found, profile or profiles[0])


def _chip(name: str) -> tuple[Target, Chip]:
    family, _, chip_name = name.partition(":")
    known = targets()
    if family in known:
        chips = known[family].chips()
        wanted = chip_name or next(iter(chips), "")
        if wanted in chips:
            return known[family], chips[wanted]
    matches = [(each, each.chips()[name]) for each in known.values() if name in each.chips()]
    if len(matches) == 1:
        return matches[0]
    if matches:
        listing = ", ".join(f"{target.name}:{name}" for target, _ in matches)
        raise UsageError("several targets have a chip of this name", found=repr(name), limit=listing)
    listing = ", ".join(f"{each.name}:{chip}" for each in known.values() for chip in each.chips()) or "none"
    reason = f"; {broken_targets()[family]}" if family in broken_targets() else ""
    raise UsageError(f"unknown target{reason}", found=repr(name), limit=listing, hint="see: nmdeploy targets")


def neuron_model(kind: str) -> type[NeuronModel]:
    """The neuron model that bundles store as `kind` (`IF`, or `<target>.<Model>`).

    Raises:
        UsageError: when no installed target defines it.
    """
    family = kind.partition(".")[0]
    models: list[type[NeuronModel]] = [IF, Integrator]
    if family in targets():
        models += targets()[family].neuron_models()
    for model in models:
        if model.kind == kind:
            return model
    raise UsageError(f"no installed target defines the neuron model {kind!r}", hint="see: nmdeploy targets")
