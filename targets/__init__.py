"""Chip families, one folder each; found through the entry-point group `nmdeploy.targets`."""
