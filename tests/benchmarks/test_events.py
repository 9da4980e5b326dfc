"""The benchmark of the event engine runs, in its smallest form, and compares before it times."""

from unittest.mock import patch

import numpy as np
import pytest

SMALL = ["--images", "2", "--steps", "12", "--repeats", "1"]


def test_kernels_and_reference_are_timed(capsys):
    from benchmarks.events import main
    from nmdeploy.emulator import compiled

    main(["--network", "dense", *SMALL])
    printed = capsys.readouterr().out
    assert "reference" in printed
    assert all(f"kernels, {each.name}" in printed for each in compiled.sets())
    assert "equal to the reference in every spike and potential" in printed


def test_kernels_that_differ_are_not_timed():
    from benchmarks import events
    from benchmarks.networks import dense_network

    real = events.emulate

    def wrong(network, spikes, *, engine, **options):
        result = real(network, spikes, engine=engine, **options)
        if engine == "compiled":
            next(iter(result.potentials.values()))[-1] += 1
        return result

    kernels = events.compiled.sets() or pytest.skip("the kernels were not compiled")
    spikes = np.ones((3, 1, 784), np.uint8)
    with patch.object(events, "emulate", wrong), pytest.raises(AssertionError):
        events.check_equal(events.on_speck(dense_network()), spikes, kernels[0])


@pytest.mark.slow
@pytest.mark.shared
def test_the_trained_network(shared_data, capsys):
    pytest.importorskip("torch")
    from benchmarks.events import main

    main(["--data", str(shared_data), *SMALL])
    assert "sinabs MNIST CNN" in capsys.readouterr().out
