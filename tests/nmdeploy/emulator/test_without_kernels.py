"""Where nothing was compiled: the numpy engine runs, and a demand for the compiled one is refused."""

from unittest.mock import patch

import numpy as np
import pytest

from nmdeploy.emulator import compiled
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense

POPULATIONS = (Population("in", (1,)), Population("out", (1,), IF(2)))
NETWORK = Network("one", POPULATIONS, (Projection("in", "out", (Dense(np.eye(1, dtype=int)),)),))
SPIKES = np.ones((4, 1, 1), np.uint8)


@pytest.fixture
def nothing_compiled():
    with patch.object(compiled, "_kernels", None):
        yield


@pytest.mark.usefixtures("nothing_compiled")
def test_fast_falls_back_to_numpy():
    assert emulate(NETWORK, SPIKES).origin == "emulated (numpy engine)"


@pytest.mark.usefixtures("nothing_compiled")
def test_a_demand_for_the_compiled_engine_is_refused():
    with pytest.raises(UsageError, match=r"was not built.*engine='numpy'"):
        emulate(NETWORK, SPIKES, engine="compiled")


@pytest.mark.usefixtures("nothing_compiled")
def test_the_description_says_so():
    assert "none" in compiled.description()
    assert compiled._function("RUN", "p") is None


@pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")
def test_the_description_names_the_fastest_kernels_first():
    names = [each.name for each in compiled.sets()]
    assert names[-1] == "portable C"
    assert compiled.description().startswith(names[0])


@pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")
def test_an_extension_of_another_layout_is_refused():
    with patch.object(compiled._kernels, "SIZE_OF_MAP", 8), pytest.raises(ImportError, match="another version"):
        compiled.check_layout()
