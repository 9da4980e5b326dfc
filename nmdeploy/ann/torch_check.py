"""Compares an imported graph with the PyTorch model it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nmdeploy.ann.execute import run
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.ann.torch_call import Import
from nmdeploy.ann.torch_library import import_torch, quiet_torch
from nmdeploy.ann.torch_program import Program, samples
from nmdeploy.errors import ModelError
from nmdeploy.linear_maps import Array

TOLERANCE = 1e-4
"""Largest accepted difference, as a share of the layer's largest value; float32 sums in another order stay below."""

_ROUNDING = 1e-6
"""Accepted beside it: what is left where sums of order one cancel."""

_SEED = 0


def check_import(program: Program, graph: AnnGraph, state: Import) -> None:
    """Run the graph and the model on the example and on noise, layer by layer.

    The noise is uniform in [0, 1): an example of zeros would tell little.

    Raises:
        ModelError: naming the first layer whose values differ by more than `TOLERANCE`.
    """
    torch = import_torch("checking an imported model")
    generator = np.random.Generator(np.random.PCG64(_SEED))
    noise = [torch.from_numpy(generator.random(tuple(part.shape), dtype=np.float32)) for part in program.example]
    for inputs in (samples(program, program.example), samples(program, noise)):
        _compare_layers(program, graph, state, inputs)
    if program.module is not None and not state.substitutes:
        _compare_module(program, graph)


def _compare_layers(program: Program, graph: AnnGraph, state: Import, inputs: Sequence[Any]) -> None:
    wanted = {fx: node for fx, node in state.made.items() if node in graph.shapes}
    computed = run(graph, _by_source(program, graph, inputs), set(wanted.values()))
    for name, value in _traced(program, state.substitutes, inputs):
        if name in wanted:
            _compare(_first(value), computed[wanted[name]], graph[wanted[name]].origin, program.name)


def _compare_module(program: Program, graph: AnnGraph) -> None:
    """The whole model as the user calls it, on the example as it was given."""
    torch = import_torch("checking an imported model")
    with quiet_torch(), torch.no_grad():
        expected = program.module(*(part.clone() for part in program.example))
    leaves = torch.utils._pytree.tree_leaves(expected)
    _compare(
        leaves[0], run(graph, _by_source(program, graph, program.example))[graph.output], "the output", program.name
    )


def _traced(
    program: Program, substitutes: dict[str, Callable[..., Any]], inputs: Sequence[Any]
) -> Iterator[tuple[str, Any]]:
    """Name and value of every node of the exported program, computed by torch one after the other."""
    torch = import_torch("checking an imported model")
    values = {**program.constants, **{name: part.clone() for name, part in zip(program.inputs, inputs, strict=True)}}
    for node in program.graph.nodes:
        if node.op == "call_function":
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda operand: values[operand.name])
            with torch.no_grad():
                values[node.name] = substitutes.get(node.name, node.target)(*args, **kwargs)
            yield node.name, values[node.name]


def _by_source(program: Program, graph: AnnGraph, inputs: Sequence[Any]) -> dict[str, Array]:
    """The inputs that the graph has, in its layout."""
    given = dict(zip(program.inputs, inputs, strict=True))
    return {
        node.name: given[node.name].numpy().reshape(-1, *graph.shapes[node.name]).astype(np.float32)
        for node in graph.sources
    }


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple | list) else value


def _compare(reference: Any, computed: Array, place: str, name: str) -> None:
    expected = reference.detach().double().numpy().reshape(computed.shape)
    difference = float(np.abs(expected - computed).max())
    allowed = TOLERANCE * float(np.abs(expected).max()) + _ROUNDING
    if not difference <= allowed:
        raise ModelError(
            f"the import of {place} computes other values than PyTorch",
            where=name,
            found=f"difference {difference:.3g}",
            limit=f"{allowed:.3g}",
            hint="please report the layer; check=False imports the model as it is",
        )
