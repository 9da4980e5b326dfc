"""Trained networks as small graphs of float operations, and the importers that make them."""
