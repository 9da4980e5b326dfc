"""From trained networks to spiking ones: linear terms, scales, integers."""
