"""The core numbers that sinabs would give: its matching of layers to cores, step for step."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from targets.dynapcnn.memory import Words, cores_for


def matching_like_sinabs(needs: Sequence[Words], cores: Sequence[Words]) -> tuple[int, ...] | None:
    """A core for each layer, as sinabs 3.1.3 chooses them (mapping.py, `edmonds`); None when there is no mapping.

    Maximum flow from layers to cores along shortest augmenting paths, searched breadth
    first from all unplaced layers at once, layers and cores in the order of their numbers.

    Args:
        needs: what each layer takes, in sinabs' order of layers.
        cores: what each core has.
    """
    fitting = [cores_for(need, cores) for need in needs]
    placed: dict[int, int] = {}
    while (path := _augmenting_path(fitting, placed)) is not None:
        placed.update(path)
    return tuple(placed[layer] for layer in range(len(needs))) if len(placed) == len(needs) else None


def _augmenting_path(fitting: Sequence[Sequence[int]], placed: dict[int, int]) -> dict[int, int] | None:
    """New cores for the layers along the first path found that ends at a free core; None when there is none."""
    holder = {core: layer for layer, core in placed.items()}
    waiting = deque(layer for layer in range(len(fitting)) if layer not in placed)
    reached_from: dict[int, int] = {}
    cores: deque[int] = deque()
    while waiting or cores:
        while waiting:
            layer = waiting.popleft()
            new = [core for core in fitting[layer] if core not in reached_from]
            reached_from.update(dict.fromkeys(new, layer))
            cores.extend(new)
        while cores:
            core = cores.popleft()
            if core not in holder:
                return _path_to(core, reached_from, placed)
            waiting.append(holder[core])
    return None


def _path_to(core: int, reached_from: dict[int, int], placed: dict[int, int]) -> dict[int, int]:
    """The layers of the path that ends at a free core, each with its new core."""
    path = {}
    step: int | None = core
    while step is not None:
        layer = reached_from[step]
        path[layer] = step
        step = placed.get(layer)
    return path
