"""Layers to cores: `assign` finds the cheapest placement, `split` cuts layers that need two cores,
`sinabs` gives the numbers that sinabs gives, `conflict` and `advice` say why nothing fits, and what would.
"""

from targets.dynapcnn.mapper.place import place, place_like_sinabs
from targets.dynapcnn.mapper.sinabs import matching_like_sinabs

__all__ = ["matching_like_sinabs", "place", "place_like_sinabs"]
