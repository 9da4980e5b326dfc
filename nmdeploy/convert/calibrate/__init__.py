"""Calibration with the chip in the loop: the recipe `rate-calibrated`.

Layer by layer, without labels: the layer runs on the spikes that the chip's arithmetic
gives it, threshold and initial potential are searched, a gain and an offset for each
channel map its spike rates to the activations of the trained network, and both are
folded into the next layer before that is quantized.
"""

from nmdeploy.convert.calibrate.corrections import Corrections
from nmdeploy.convert.calibrate.layers import CalibratedLayer
from nmdeploy.convert.calibrate.loop import Calibration, calibrate

__all__ = ["CalibratedLayer", "Calibration", "Corrections", "calibrate"]
