"""Exact mode: spike counts on the chip that equal a quantized network, integer for integer."""

from nmdeploy.convert.exact.quantize import quantize_activations
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.convert.exact.spiking import ExactNetwork, to_exact
from nmdeploy.convert.exact.stream_run import deploy_stream, infer_stream
from nmdeploy.convert.exact.streaming import StreamedNetwork, stream
from nmdeploy.convert.exact.verify import early_spikes, mismatches

__all__ = [
    "ExactNetwork",
    "QuantizedAnn",
    "StreamedNetwork",
    "deploy_stream",
    "early_spikes",
    "infer_stream",
    "mismatches",
    "quantize_activations",
    "stream",
    "to_exact",
]
