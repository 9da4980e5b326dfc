"""Recorded tables of sinabs: what its discretizer and its mapper answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.conformance import ConformanceReport
from nmdeploy.errors import DataError
from targets.dynapcnn.configuration.json_form import read_plain
from targets.dynapcnn.discretize import discretization_factor, discretized
from targets.dynapcnn.mapper import matching_like_sinabs
from targets.dynapcnn.memory import RESOURCES

DISCRETIZER = "discretize_vectors.json"
MAPPER = "mapping_vectors.json"


def compare_discretizer(report: ConformanceReport, path: Path) -> None:
    """Tensors `x`, their factor `scale` for `bits` bits, and the integers `q`: all bits of the factor, all integers."""
    for index, case in enumerate(_list(read_plain(path), path)):
        x, scale, q = (_array(case, key, path) for key in ("x", "scale", "q"))
        factor = discretization_factor(x.astype(np.float32), _integer(case, "bits", path))
        expected = np.atleast_1d(scale).astype(np.float32).view(np.int32)
        report.compare_values(path.name, f"tensor {index}", "bits of the factor", expected, _bits(factor))
        report.compare_values(path.name, f"tensor {index}", "integers", q, discretized(x, factor))


def compare_mapper(report: ConformanceReport, path: Path) -> None:
    """Demands `req` of layers (kernel, neuron, bias words) and the cores `map` that sinabs gives them, or null."""
    data = read_plain(path)
    if not isinstance(data, dict):
        raise DataError("must be an object", where=str(path))
    cores = [_words(each) for each in _array(data, "constraints", path)]
    for index, case in enumerate(_list(data.get("cases"), path)):
        needs = [_words(each) for each in _array(case, "req", path)]
        found = matching_like_sinabs(needs, cores)
        expected = np.full(len(needs), -1) if case.get("map") is None else _array(case, "map", path)
        cores_found = np.full(len(needs), -1) if found is None else np.asarray(found)
        report.compare_values(path.name, f"case {index}", "cores (-1: no mapping)", expected, cores_found)


def _bits(factor: np.float32) -> Any:
    return np.atleast_1d(np.float32(factor)).view(np.int32)


def _words(row: Any) -> dict[str, int]:
    return dict(zip(RESOURCES, map(int, row), strict=True))


def _list(data: Any, path: Path) -> list[Any]:
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise DataError("must be a list of objects", where=str(path))
    return data


def _integer(case: dict[str, Any], key: str, path: Path) -> int:
    if type(case.get(key)) is not int:
        raise DataError(f"{key!r} must be an integer", where=str(path), found=repr(case.get(key)))
    return int(case[key])


def _array(case: dict[str, Any], key: str, path: Path) -> Any:
    try:
        values = np.asarray(case[key])
    except (KeyError, ValueError) as error:
        raise DataError(f"{key!r} is missing or no array", where=str(path)) from error
    if values.dtype.kind not in "if":
        raise DataError(f"{key!r} must hold numbers", where=str(path), found=str(values.dtype))
    return values
