"""Models as the command line names them: `package.module:factory` with a state-dict file, or a `.pt2` file."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmdeploy.ann.pt2 import load_pt2
from nmdeploy.ann.torch_library import first_line, import_torch
from nmdeploy.errors import ModelError, UsageError

_FORM = "package.module:factory or a .pt2 file"


def load_model(spec: str, state: Path | None = None) -> Any:
    """The model that a command line names.

    Importing a module runs its code: name only modules that you trust. State-dict
    files are data and may come from anywhere.

    Args:
        spec: `package.module:factory`, where the factory is a callable without
            arguments that returns an `nn.Module` (a class will do) or a module itself,
            searched for in the current folder too; or the path of a `.pt2` file.
        state: file of the weights, written by `torch.save(model.state_dict(), file)`.

    Returns:
        An `nn.Module`, or an `ExportedProgram` for a `.pt2` file.

    Raises:
        UsageError: for a spec that names nothing usable.
        ModelError: when the factory fails, or weights and model do not belong together.
    """
    if spec.endswith(".pt2"):
        if state is not None:
            raise UsageError("a .pt2 file brings its own weights", where=spec, found=str(state))
        return load_pt2(Path(spec))
    torch = import_torch("loading a PyTorch model")
    with _current_folder_importable():
        model = _made(spec, _found(spec), torch)
    if state is not None:
        _load_weights(model, read_state_dict(state), state)
    return model


def read_state_dict(path: Path) -> Mapping[str, Any]:
    """The tensors of a state-dict file, also where it keeps them under `state_dict`.

    Raises:
        ModelError: when the file is missing or torn, or holds more than tensors.
    """
    torch = import_torch("reading a state-dict file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"the weights cannot be read: {first_line(error)}", where=str(path)) from error
    except Exception as error:
        hint = "write it with torch.save(model.state_dict(), file); whole pickled modules are not opened"
        raise ModelError("this is no state-dict file", where=str(path), hint=hint) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        hint = "write it with torch.save(model.state_dict(), file)"
        raise ModelError("the file holds no state dict", where=str(path), found=type(content).__name__, hint=hint)
    return content


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _found(spec: str) -> Any:
    """The object that the spec names."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise UsageError("this names no model", found=spec, limit=_FORM)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        hint = "name it as in an import statement; the current folder is searched too"
        raise UsageError(f"the module cannot be imported: {first_line(error)}", where=module_name, hint=hint) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in vars(found) if not name.startswith("_")]
            raise UsageError(f"{module_name!r} has no {attribute!r}", where=spec, limit=public)
        found = getattr(found, part)
    return found


def _made(spec: str, factory: Any, torch: Any) -> Any:
    """The module itself, or what the factory returns."""
    if isinstance(factory, torch.nn.Module):
        return factory
    if not callable(factory):
        raise UsageError("this is no callable that makes a model", where=spec, found=type(factory).__name__)
    missing = _arguments_without_default(factory)
    if missing:
        hint = "write a function without arguments that returns the model"
        raise UsageError(f"the factory needs arguments: {', '.join(missing)}", where=spec, hint=hint)
    try:
        model = factory()
    except Exception as error:
        raise ModelError(f"the factory failed: {first_line(error)}", where=spec) from error
    if not isinstance(model, torch.nn.Module):
        raise UsageError("the factory returns no nn.Module", where=spec, found=type(model).__name__)
    return model


def _arguments_without_default(factory: Any) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # built-in callables without a signature are simply called
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [part.name for part in parameters if part.default is part.empty and part.kind not in optional]


def _load_weights(model: Any, weights: Mapping[str, Any], path: Path) -> None:
    """Put the weights into the model; names and shapes must be the same."""
    wanted = model.state_dict()
    faults = [f"missing {', '.join(sorted(wanted.keys() - weights.keys()))}"] if wanted.keys() - weights.keys() else []
    if weights.keys() - wanted.keys():
        faults.append(f"unexpected {', '.join(sorted(weights.keys() - wanted.keys()))}")
    faults += [
        f"{name} is {tuple(weights[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in weights and weights[name].shape != wanted[name].shape
    ]
    if faults:
        raise ModelError(
            f"weights and model do not belong together: {'; '.join(faults)}",
            where=str(path),
            hint="give the weights of this architecture",
        )
    model.load_state_dict(weights)
