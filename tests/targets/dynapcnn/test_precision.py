import pytest

from quantize import IntegerFormat
from targets.dynapcnn import TARGET


@pytest.mark.parametrize(("profile", "biased"), [("chip", False), ("readout", False), ("leak", True), ("step", True)])
def test_formats(profile, biased):
    formats = TARGET.precision(TARGET.chips()["speck2f"], profile)
    assert formats.weights == IntegerFormat(8)
    assert formats.threshold == IntegerFormat(16)
    assert formats.bias == (IntegerFormat(8) if biased else None)
    assert formats.resets == ("subtract", "zero")
    assert not formats.per_channel
    assert formats.step_sum is None
    assert "profile 'leak'" in formats.without_bias
