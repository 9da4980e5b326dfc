"""The sinabs tutorial's network on real MNIST: sinabs, its time steps here, and event by event, on the same spikes."""

import re

import pytest

pytestmark = [pytest.mark.shared, pytest.mark.slow]


def test_the_step_profile_is_sinabs_and_the_chip_stays_close(shared_data, capfd):
    pytest.importorskip("sinabs")
    from benchmarks.speck_mnist import main

    main(["--images", "60", "--event-images", "60", "--order-images", "5", "--data", str(shared_data)])
    printed = capfd.readouterr().out
    assert "spike counts of the step profile beside DynapcnnNetwork: 0 of 600 differ" in printed
    assert "cores of sinabs [0, 3, 5, 6, 1]: the same" in printed
    assert "exactness class B" in printed
    accuracy = {row[0]: float(row[1]) for row in re.findall(r"^(.+?)  +\w+ +\d+ +([\d.]+) ", printed, re.MULTILINE)}
    assert accuracy["sinabs, DynapcnnNetwork"] == accuracy["step profile"]
    assert accuracy["step profile"] > 90
    assert abs(accuracy["event by event"] - accuracy["step profile"]) <= 100 * 3 / 60
    assert int(re.search(r"differ between step and event: (\d+) of 60", printed)[1]) <= 3


def test_it_runs_without_sinabs(shared_data, capsys, tmp_path):
    pytest.importorskip("torch")
    from benchmarks.speck_mnist import main

    small = ["--images", "10", "--event-images", "4", "--order-images", "2", "--steps", "20"]
    main([*small, "--data", str(shared_data), "--standin", str(tmp_path / "none")])
    printed = capsys.readouterr().out
    assert "left out" in printed
    assert "event, order yxc" in printed
    assert "of 2 decisions are not the same under all orders" in printed
