import pytest

from nmdeploy.errors import UsageError
from nmdeploy.neurons import Integrator
from nmdeploy.registry import chip, neuron_model
from nmdeploy.target import Status
from quantize import MantissaExponentFormat
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract


def test_loihi1_is_the_default():
    assert list(TARGET.chips()) == ["loihi1", "loihi2"]
    assert chip("loihi").chip.title == "Loihi 1"
    assert chip("loihi2").target is TARGET


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_every_figure_has_unit_and_source(name):
    for key, figure in TARGET.chips()[name].figures.items():
        assert figure.unit, key
        assert len(figure.source) > 5, key


def test_limits_of_loihi1(loihi1):
    limits = {"cores": 128, "compartments": 1024, "input_axons": 4096, "output_axons": 4096, "synaptic_words": 16384}
    assert {name: loihi1.limit(name) for name in limits} == limits
    assert loihi1.limit("threshold_mantissa") == 2**17 - 1


def test_energies_of_loihi1_are_pre_silicon_and_loihi2_has_none_per_operation(loihi1, loihi2):
    energies = {name: figure for name, figure in loihi1.figures.items() if figure.unit == "pJ"}
    assert energies["synaptic_operation_energy"].value == 23.6
    assert len(energies) == 7
    assert {figure.status for figure in energies.values()} == {Status.PRE_SILICON}
    assert all("Davies 2018, table 2" in figure.source for figure in energies.values())
    assert not any(figure.unit == "pJ" for figure in loihi2.figures.values())


def test_precision(loihi1, loihi2):
    precision = TARGET.precision(loihi1)
    assert (precision.weights.minimum, precision.weights.maximum) == (-128, 127)
    assert (precision.threshold.minimum, precision.threshold.maximum) == (0, 131071)
    assert precision.bias is not None
    assert (precision.bias.minimum, precision.bias.maximum) == (-4096, 4095)
    assert precision.resets == ("zero",)
    assert precision.per_channel
    assert precision.per_channel_costs
    assert not precision.subtraction_in_sum
    assert precision.graded_input == 1
    assert TARGET.precision(loihi2).graded_input == 255


def test_precision_of_reset_by_subtraction(loihi1, loihi2):
    by_synapse = TARGET.precision(loihi1, "subtract")
    assert by_synapse.threshold == MantissaExponentFormat(8, 3)
    assert by_synapse.subtraction_in_sum
    by_microcode = TARGET.precision(loihi2, "subtract")
    assert by_microcode.threshold == TARGET.precision(loihi2).threshold
    assert not by_microcode.subtraction_in_sum
    assert by_synapse.resets == by_microcode.resets == ("subtract", "zero")


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_chips_have_two_profiles_and_reset_to_zero_by_default(name):
    assert chip(name).profile == "chip"
    assert chip(f"{name}/chip") == chip(name)
    assert chip(f"{name}/subtract").name == f"{name}/subtract"
    with pytest.raises(UsageError, match=f"{name}: the chip has no such profile .*'soft', limit chip, subtract"):
        chip(f"{name}/soft")


def test_bundles_can_name_the_neuron_models():
    assert neuron_model("loihi.LIF") is LoihiLIF
    assert neuron_model("loihi.LIFReset") is LoihiLIFReset
    assert neuron_model("loihi.LIFSubtract") is LoihiLIFSubtract
    assert neuron_model("Integrator") is Integrator
