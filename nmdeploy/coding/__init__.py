"""Encoders (samples to spikes) and read-outs (spikes to decisions)."""

from nmdeploy.coding.base import Decision, Encoder, ReadOut

__all__ = ["Decision", "Encoder", "ReadOut"]
