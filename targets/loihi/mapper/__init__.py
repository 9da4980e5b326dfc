"""Giving every neuron of a lowered network a core.

`resources` says what neurons, axons and synapse lists take, `sharing` (for convolutions,
dense layers and anything unrolled) which lists one core keeps once; `tiling` cuts a
population into boxes, `layer` prices them, `partition` chooses the cuts of all layers
together, `packing` puts boxes on cores, `spreading` cuts finer where that needs fewer;
`bound` proves how few cores there can be; `advice` and `narrowing` find by trying what
would fit. `place` puts them together.
"""

from targets.loihi.mapper.place import place

__all__ = ["place"]
