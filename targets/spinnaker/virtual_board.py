"""sPyNNaker's own mapper on a virtual board: what it makes of a deployment, and the words it would load.

The emitted script is mapped in a process of its own, in a folder and with a home folder
that are both thrown away, so that nobody's `.spynnaker.cfg` is read or written. A virtual
board executes nothing: what comes back is a map, never a run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.backend import DEFAULT_SETTINGS, RunSettings
from nmdeploy.bundle.atomic import write_files
from nmdeploy.child_process import run_child
from nmdeploy.deployment import Deployment
from nmdeploy.errors import HardwareUnavailable, RunError, UsageError
from nmdeploy.script_text import Script
from nmdeploy.target import VendorMap, Violation
from targets.spinnaker.dataspec import read_regions
from targets.spinnaker.emit import SUPPORT, script_files
from targets.spinnaker.installation import INSTALL_HINT, home_environment, probe
from targets.spinnaker.script import make_script
from targets.spinnaker.vendor_words import Core, compare

VERSIONS = {"spin5": 5, "spin3": 3}
"""sPyNNaker's number of each kind of board."""
SDRAM_TOLERANCE = 0.1
"""Our estimate of a population's SDRAM is to be no farther off than this share."""

CONFIGURATION = """\
[Machine]
virtual_board = True
version = {version}
[Mode]
mode = Production
[Reports]
keep_dataspec_database = True
"""
MAP = """\
import sys
from pathlib import Path

from nmdeploy_pynn.virtual import map_network
from run import NETWORK

map_network(NETWORK, int(sys.argv[1]), Path("mapping.json"))
"""


def vendor_map(deployment: Deployment, settings: RunSettings = DEFAULT_SETTINGS) -> VendorMap:
    """Map with sPyNNaker, and compare every word that it would load with ours.

    Args:
        deployment: on SpiNNaker.
        settings: `python` has sPyNNaker, None for this one; `limit_s` ends it.

    Raises:
        FitError: for what cannot be emitted.
        HardwareUnavailable: when sPyNNaker is not installed there.
        RunError: when sPyNNaker fails, or does not finish in time.
        UsageError: for a kind of board that it does not know.
    """
    if deployment.chip not in VERSIONS:
        limit = ", ".join(VERSIONS)
        raise UsageError(
            "sPyNNaker has no such board", where=deployment.network.name, found=deployment.chip, limit=limit
        )
    script = make_script(deployment.network)
    found = probe(settings)
    if found.version is None:
        raise HardwareUnavailable(found.missing, where="virtual board", hint=INSTALL_HINT)
    with tempfile.TemporaryDirectory(prefix="nmdeploy-spinnaker-", ignore_cleanup_errors=True) as scratch:
        folder, home = Path(scratch) / "script", Path(scratch) / "home"
        configuration = CONFIGURATION.format(version=VERSIONS[deployment.chip]).encode()
        files = {
            **{f"script/{name}": content for name, content in script_files(script, "spynnaker").items()},
            "script/nmdeploy_pynn/virtual.py": (SUPPORT / "virtual.py").read_bytes(),
            "script/map.py": MAP.encode(),
            "home/.spynnaker.cfg": configuration,
        }
        write_files(files, Path(scratch))
        run_child(
            [str(settings.interpreter), "map.py", str(_steps(deployment))],
            what="sPyNNaker",
            folder=folder,
            limit_s=settings.limit_s,
            environment=home_environment(settings, found, home),
        )
        return _vendor_map(deployment, script, *_read(folder))


def _steps(deployment: Deployment) -> int:
    """Steps of a sample, latency included; one for a deployment that says nothing of them."""
    return max(deployment.steps, 1) + deployment.network.latency()


def _read(folder: Path) -> tuple[dict[str, Any], list[Core]]:
    """The child's mapping, and the cores with their words.

    Raises:
        RunError: when it has another form than expected.
    """
    try:
        mapping = json.loads((folder / "mapping.json").read_text(encoding="utf-8"))
        places = [(int(each["x"]), int(each["y"]), int(each["p"])) for each in mapping["cores"]]
        regions = read_regions(Path(mapping["data"]), places)
        cores = [
            Core(
                place,
                str(each["label"]),
                np.array(each["neurons"], dtype=np.int64),
                None if each["key"] is None else int(each["key"]),
                int(each["sdram"]),
                regions[place],
            )
            for place, each in zip(places, mapping["cores"], strict=True)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"sPyNNaker's mapping has another form than expected ({error!r})") from error
    return mapping, cores


def _vendor_map(deployment: Deployment, script: Script, mapping: Mapping[str, Any], cores: list[Core]) -> VendorMap:
    names = {key: name for name, key in script.keys.items()}
    findings = compare(deployment.network, script.keys, cores)
    differences = [*findings.differences, *_missing_programs(mapping), *_estimates(deployment, names, cores)]
    version = str(mapping["version"]).partition("!")[2] or str(mapping["version"])
    return VendorMap(
        f"sPyNNaker {version} on a virtual board",
        tuple(_facts(mapping, names, cores)),
        findings.compared,
        tuple(differences),
    )


def _facts(mapping: Mapping[str, Any], names: Mapping[str, str], cores: list[Core]) -> list[tuple[str, float, str]]:
    facts: list[tuple[str, float, str]] = [
        ("application cores", len(cores), "cores"),
        ("system cores", mapping["system_cores"], "cores"),
        ("chips with application cores", mapping["chips"], "chips"),
        ("boards", mapping["boards"], "boards"),
        ("routing entries", sum(mapping["routes"]), "entries"),
        ("routing entries of the fullest chip", max(mapping["routes"], default=0), "entries"),
        ("SDRAM of application cores before the run", sum(core.sdram for core in cores), "bytes"),
        ("SDRAM of the largest application core", max(core.sdram for core in cores), "bytes"),
    ]
    # All channels of a population have the same.
    populations = {names.get(label.partition(".")[0], label): given for label, given in mapping["populations"].items()}
    for name, given in populations.items():
        for sign, shift, scale in zip(("excitatory", "inhibitory"), given["shifts"], given["scales"], strict=True):
            facts += [(f"{name}: {sign} ring shift", shift, "bits"), (f"{name}: {sign} weight scale", scale, "units")]
    return facts


def _missing_programs(mapping: Mapping[str, Any]) -> list[Violation]:
    """Programs that a machine would be asked to run and that sPyNNaker does not ship; it does not look itself."""
    missing = {str(each["binary"]): str(each["label"]) for each in mapping["cores"] if not each["binary_exists"]}
    return [Violation("SPI155", label, "sPyNNaker has no such program", name) for name, label in missing.items()]


def _estimates(deployment: Deployment, names: Mapping[str, str], cores: list[Core]) -> list[Violation]:
    """Where our own mapper's cores and SDRAM are other than sPyNNaker's."""
    found = []
    by_population: dict[str, list[Core]] = {}
    for core in cores:
        by_population.setdefault(names.get(core.label.partition(".")[0], core.label), []).append(core)
    for population in deployment.network.populations:
        loads = deployment.placement.of(population.name)
        theirs = by_population.get(population.name, [])
        if len(loads) != len(theirs):
            message = "our mapper takes another number of cores"
            found.append(Violation("SPI153", population.name, message, len(loads), len(theirs)))
            continue
        ours = sum(load.used.get("sdram", 0) for load in loads)
        memory = sum(core.sdram for core in theirs)
        if abs(ours - memory) > SDRAM_TOLERANCE * memory:
            message = f"our estimate of SDRAM is off by more than {SDRAM_TOLERANCE:.0%}"
            found.append(Violation("SPI154", population.name, message, ours, memory))
    return found
