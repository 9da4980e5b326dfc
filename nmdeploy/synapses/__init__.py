"""Synapse kinds: the linear maps a projection is made of."""

from nmdeploy.linear_maps import Array
from nmdeploy.synapses.base import Shape, Synapse
from nmdeploy.synapses.convolution import Conv2d, ConvTranspose2d, SumPool2d
from nmdeploy.synapses.plain import Dense, OneToOne, Reshape, Upsample2d

__all__ = [
    "SYNAPSE_KINDS",
    "Array",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "OneToOne",
    "Reshape",
    "Shape",
    "SumPool2d",
    "Synapse",
    "Upsample2d",
]

SYNAPSE_KINDS: dict[str, type[Synapse]] = {
    cls.kind: cls for cls in (Dense, Conv2d, ConvTranspose2d, SumPool2d, Upsample2d, OneToOne, Reshape)
}
"""Every synapse kind by name; bundles know no others."""
