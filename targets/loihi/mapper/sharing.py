"""Synapse lists that input axons of a core share: our model of a compiler for Loihi.

A source neuron has one input axon on each core that it reaches, for each projection. The
axon points to a synapse list and adds a base to its compartment indices, so that axons
whose lists are equal up to a constant shift need one list only. That is how NxTF
(Rueckauer et al., ACM JETC 18(3), 2022, `dnn_layers.py`, `compileConvlike`) lets the
positions of a convolution share kernel slices; neurons behind one sum-pool share
likewise. As in NxTF two synapses are the same when they are the same element of the
network's weights, not when their numbers happen to be equal; a weight of 0 keeps its
place in the comparison but needs no axon and no sparse synapse.

Modelled, never measured: the vendor's compiler is not public. Left out are NxTF's
population axons (one axon for all channels of a position that reach a single core),
its interleaving of compartments and its limit of 16 groups, all shared-sign formats, and
the second entry of an output axon that leaves the chip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Projection
from nmdeploy.target import Chip
from targets.loihi.mapper.resources import Counts
from targets.loihi.mapper.tiling import Box, Tiling

_LABEL_SEED = 0x10171
_TILINGS_KEPT = 8


@dataclass(frozen=True)
class ListUse:
    """What the lists of one projection take on a core.

    Attributes:
        axons: input axons.
        words: 64-bit words of all lists.
        longest: words of the longest list.
        forms: `sparse` and `dense`, where a list has that form.
    """

    axons: int
    words: int
    longest: int
    forms: frozenset[str]

    @classmethod
    def of(cls, axons: int, sparse: Any, dense: Any) -> ListUse:
        """The use by the words of each list in its two forms."""
        words = np.minimum(sparse, dense)
        shorter = dense < sparse
        forms = {"dense"} if np.any(shorter) else set()
        forms |= {"sparse"} if not np.all(shorter) else set()
        return cls(axons, int(words.sum()), int(words.max(initial=0)), frozenset(forms))


class SynapseLists(ABC):
    """The synapses of a projection, as lists of source neurons on cores of target neurons.

    Args:
        network: holds both populations.
        projection: the projection.
        chip: gives the coding of lists.
    """

    def __init__(self, network: Network, projection: Projection, chip: Chip) -> None:
        self.source, self.target = projection.source, projection.target
        self.delay = projection.delay - 1
        """Steps beyond the one that every synapse layer takes."""
        self.exponent = projection.exponent
        self._chip = chip
        self._reached = lru_cache(maxsize=_TILINGS_KEPT)(self._count_reached)

    @abstractmethod
    def use(self, box: Box) -> ListUse:
        """What the lists take on the core that holds `box` of the target."""

    def cores_reached(self, tiling: Tiling) -> Counts:
        """How many boxes of the target each source neuron sends to, by flat index."""
        return self._reached(tiling)

    @abstractmethod
    def _count_reached(self, tiling: Tiling) -> Counts:
        """`cores_reached`, counted."""

    @property
    @abstractmethod
    def weights(self) -> int:
        """Number of different weights that are not 0; each is stored at least once."""

    @property
    def own_weights(self) -> int:
        """Weights that every target neuron has for itself, at least; stored where it lies."""
        return 0

    @property
    @abstractmethod
    def fan_out(self) -> Counts:
        """Target neurons that each source neuron reaches, by flat index."""

    @property
    @abstractmethod
    def fan_in(self) -> Counts:
        """Source neurons that reach each target neuron, by flat index."""


def synapse_lists(network: Network, projection: Projection, chip: Chip) -> SynapseLists:
    """The lists of a projection, without unrolling it where its structure is known."""
    from targets.loihi.mapper.sharing_conv import ConvLists, kernel_of
    from targets.loihi.mapper.sharing_dense import DenseLists, columns_of
    from targets.loihi.mapper.sharing_unrolled import UnrolledLists

    source = network[projection.source].shape
    if kernel := kernel_of(projection, source):
        return ConvLists(network, projection, chip, *kernel)
    if columns := columns_of(projection, source):
        return DenseLists(network, projection, chip, *columns)
    return UnrolledLists(network, projection, chip)


def used_weights(network: Network, projection: Projection) -> Array:
    """The weights of a projection's synapses, each at least once; unrolled only where its structure is not known."""
    from targets.loihi.mapper.sharing_conv import kernel_of, used_taps
    from targets.loihi.mapper.sharing_dense import columns_of

    source = network[projection.source].shape
    if kernel := kernel_of(projection, source):
        conv, taps = kernel
        return conv.weight[:, :, used_taps(conv, taps)].ravel()
    if columns := columns_of(projection, source):
        dense, cells = columns
        return dense.weight[:, np.unique(cells[cells >= 0])].ravel()
    unrolled: Array = projection.matrix(source).data
    return unrolled


def labelled(projection: Projection) -> Projection:
    """The projection with a random label in the place of every weight.

    Unrolled, two synapses get the same label when they are the same sum of the same
    weights: sums of random 62-bit numbers modulo 2**64 differ otherwise, but for a chance
    of about 2**-62 a pair.
    """
    generator = np.random.Generator(np.random.PCG64(_LABEL_SEED))
    chain = tuple(
        synapse
        if synapse.weight is None
        else synapse.with_weight(generator.integers(1, 1 << 62, synapse.weight.shape, dtype=np.int64))
        for synapse in projection.synapses
    )
    return Projection(projection.source, projection.target, chain, delay=projection.delay)
