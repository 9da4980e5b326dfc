"""Import of trained networks from PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.ann.pt2 import load_pt2
from nmdeploy.ann.torch_check import check_import
from nmdeploy.ann.torch_program import read_program
from nmdeploy.ann.torch_reader import Reader
from nmdeploy.errors import UsageError

MAX_POOL_CHOICES = ("refuse", "average")


def from_torch(
    model: Any, example_input: Any = None, *, name: str | None = None, max_pool: str = "refuse", check: bool = True
) -> AnnGraph:
    """A PyTorch model as a graph of float operations.

    The model is traced by `torch.export`, so functional code (`F.relu(x) + y`) is
    imported like modules. What is supported is listed in docs/import-pytorch.md;
    everything else is refused, never skipped.

    Args:
        model: an `nn.Module`, which is copied and left as it is, a
            `torch.export.ExportedProgram`, or the path of a `.pt2` file.
        example_input: array or tensor `[N, *shape]`, or a tuple of them for a model
            with several inputs. `(N, F)`, `(N, C, L)` and `(N, C, H, W)` become
            inputs `(F,)`, `(C, 1, L)` and `(C, H, W)`. An exported program brings its own.
        name: what reports call the network; by default the class or file name.
        max_pool: `refuse`, or `average` to replace max pooling by average pooling.
        check: compare all layers with PyTorch on the example and on noise.

    Returns:
        The graph, with float32 weights; `notes` says what was changed or left out.

    Raises:
        ModelError: naming every operation that cannot be imported, where it stands in
            the model and what to do; also when the model cannot be traced or the
            comparison fails.
        DataError, ShapeError: for an example that is no finite array with samples in front.
        UsageError: for a model or option of another kind.
        MissingDependency: when torch is not installed.
    """
    if max_pool not in MAX_POOL_CHOICES:
        raise UsageError("no such choice", where="max_pool", found=max_pool, limit=MAX_POOL_CHOICES)
    if isinstance(model, str | Path):
        name, model = name or Path(model).stem, load_pt2(Path(model))
    name = name or type(model).__name__
    program = read_program(model, example_input, name)
    reader = Reader(program, max_pool)
    output = reader.read()
    for note in program.notes:
        reader.state.builder.note(note)
    graph = reader.state.builder.finish(name, output)
    if check:
        check_import(program, graph, reader.state)
    return graph
