"""A stand-in for PyNN with a machine behind it."""
