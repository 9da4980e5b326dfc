"""Large layers are unrolled a part at a time."""

import numpy as np

from nmdeploy.synapses import Conv2d, Dense
from targets.loihi.cost import row_blocks


def test_a_large_layer_is_unrolled_in_blocks_of_rows(monkeypatch):
    generator = np.random.default_rng(0)
    conv, dense = (
        kind(generator.integers(-3, 4, shape).astype(np.int8))
        for kind, shape in ((Conv2d, (5, 2, 3, 3)), (Dense, (7, 9)))
    )
    grouped = Conv2d(generator.integers(-3, 4, (4, 1, 3, 3)).astype(np.int8), groups=2)
    monkeypatch.setattr(row_blocks, "MOST_ENTRIES", 20)
    for synapse, shape, blocks in ((conv, (2, 5, 5), 5), (dense, (9,), 4), (grouped, (2, 5, 5), 1)):
        found = list(row_blocks.row_blocks(synapse, shape))
        assert len(found) == blocks
        rows, parts = zip(*found, strict=True)
        assert [part.start for part in rows] == [0, *(part.stop for part in rows[:-1])]
        assert np.array_equal(np.vstack([part.toarray() for part in parts]), synapse.matrix(shape).toarray())
