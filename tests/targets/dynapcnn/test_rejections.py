"""What sinabs 3.1.3 rejects, and what it lets through that the chip cannot do, meets an answer here."""

import json

import numpy as np
import pytest

import nmdeploy
from nmdeploy.errors import FitError, ModelError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn.neuron import SpeckIAF
from targets.loihi.neuron import LoihiLIF

NEURON = IF(200, v_min=-200)


def conv(filters, channels, size=1, **geometry):
    height, width = size if isinstance(size, tuple) else (size, size)
    return Conv2d(np.ones((filters, channels, height, width), dtype=np.int8), **geometry)


def dense(outputs, inputs):
    return Reshape((inputs,)), Dense(np.ones((outputs, inputs), dtype=np.int8))


def chain(image, *steps, neuron=NEURON):
    """Layers one after the other; a step is a map or a chain of maps."""
    populations, projections = [Population("in", image)], []
    for index, step in enumerate(steps):
        maps = step if isinstance(step, tuple) else (step,)
        projection = Projection(populations[-1].name, f"l{index}", maps)
        populations.append(Population(f"l{index}", projection.shapes(populations[-1].shape)[-1], neuron))
        projections.append(projection)
    return Network("net", tuple(populations), tuple(projections))


def three_destinations():
    net = chain((2, 4, 4), conv(2, 2), conv(2, 2))
    more = tuple(Population(name, (2, 4, 4), NEURON) for name in ("a", "b"))
    beside = tuple(Projection("l0", population.name, (conv(2, 2),)) for population in more)
    return Network("net", (*net.populations, *more), (*net.projections, *beside))


def pooled(image, pool):
    return chain(image, conv(image[0], image[0]), (pool, conv(image[0], image[0])))


def biased(filters):
    return chain((1, 1, 1), conv(filters, 1), neuron=IF(200, bias=np.arange(filters).reshape(filters, 1, 1) % 7))


REFUSED = {  # by sinabs' name of the case: the network, and the code that says what is wrong
    "nofit_single_layer_kernel": (lambda: chain((64, 16, 16), conv(512, 64, 5)), "DYN020"),
    "nofit_ten_layers": (lambda: chain((1, 4, 4), *[conv(1, 1)] * 10), "DYN021"),
    "big_linear_999999": (lambda: chain((1, 4, 4), dense(99999, 16)), "DYN020"),
    "nonsquare_kernel": (lambda: chain((1, 8, 8), conv(1, 1, (3, 5))), "DYN004"),
    "nonsquare_pool": (lambda: pooled((1, 8, 8), SumPool2d((2, 4))), "DYN010"),
    "pool_stride_ne_kernel": (lambda: pooled((1, 9, 9), SumPool2d(3, stride=2)), "DYN010"),
    "linear_nonsquare_input": (lambda: chain((1, 4, 6), conv(1, 1), dense(3, 24)), "DYN004"),
    "conv_conv": (lambda: chain((1, 8, 8), (conv(1, 1, 3), conv(1, 1, 3))), "DYN121"),
    "lif": (lambda: chain((1, 8, 8), conv(1, 1, 3), neuron=LoihiLIF(9)), "DYN110"),
    "three_destinations": (three_destinations, "DYN014"),
    "pool3": (lambda: pooled((2, 9, 9), SumPool2d(3)), "DYN010"),
    "stride3": (lambda: chain((2, 9, 9), conv(2, 2, 3, stride=3)), "DYN006"),
    "kernel17": (lambda: chain((1, 20, 20), conv(2, 1, 17)), "DYN005"),
    "padding8": (lambda: chain((1, 9, 9), conv(2, 1, 9, padding=8)), "DYN007"),
    "out_65x65": (lambda: chain((1, 65, 65), conv(1, 1)), "DYN012"),
    "in_200x200": (lambda: chain((1, 200, 200), conv(1, 1, 8, stride=8)), "DYN011"),
    "channels_1025_in": (lambda: chain((1025, 1, 1), conv(1, 1025)), "DYN013"),
    "channels_2048_out": (lambda: chain((1, 1, 1), conv(2048, 1)), "DYN013"),
    "groups2": (lambda: chain((4, 8, 8), conv(4, 2, 3, groups=2)), "DYN008"),
    "dilation2": (lambda: chain((2, 9, 9), conv(2, 2, 3, dilation=2)), "DYN009"),
    "avgpool_padding": (lambda: pooled((2, 8, 8), SumPool2d(2, padding=1)), "DYN010"),
    "threshold_zero_after_rounding": (lambda: chain((1, 2, 2), conv(1, 1), neuron=SpeckIAF(0)), "DYN017"),
    "per_neuron_threshold": (
        lambda: chain((1, 2, 2), conv(1, 1), neuron=IF(np.arange(1, 5).reshape(1, 2, 2))),
        "DYN018",
    ),
    "zero_weights": (lambda: chain((1, 2, 2), Conv2d(np.zeros((1, 1, 1, 1), dtype=np.int8))), "DYN026"),
    "bias_1025": (lambda: biased(1025), "DYN013"),
}

CUT_IN_TWO = {  # these fit after all: sinabs does not cut layers
    "nofit_neuron_memory": lambda: chain((2, 64, 64), conv(32, 2, 3, padding=1)),
    "nofit_joint_kernel": lambda: chain(
        (32, 4, 4), *[conv(128, 32, 3, padding=1), conv(32, 128)] * 2, conv(128, 32, 3, padding=1)
    ),
}

IMPORTED = {  # met where the model is read: the network that follows cannot say such a thing
    "relu": "a ReLU becomes a layer of integrate-and-fire neurons",
    "maxpool": "ModelError",
    "padding_circular": "ModelError",
    "avgpool_ceil": "ModelError",
    "no_spiking_end": "a population has neurons: a last layer without becomes an integrator, DYN101",
}


def test_every_case_has_an_answer(shared_data):
    cases = json.loads((shared_data / "golden/dynapcnn/rejections.json").read_text())
    assert {case["name"] for case in cases} == REFUSED.keys() | CUT_IN_TWO.keys() | IMPORTED.keys()
    accepted = {case["name"] for case in cases if case["accepted_by_sinabs"]}
    assert len(accepted & REFUSED.keys()) == 13  # the rest of what sinabs lets through is met in the importer


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, code = REFUSED[name]
    with pytest.raises(FitError) as caught:
        nmdeploy.deploy(make(), "speck2f/leak")
    errors = [each for each in caught.value.violations if each.severity.value == "error"]
    assert code in [each.code for each in errors]
    assert all(each.hint for each in errors if each.code == code) or code == "DYN110"


@pytest.mark.parametrize("name", CUT_IN_TWO)
def test_cut_in_two(name):
    net = CUT_IN_TWO[name]()
    assert [each.code for each in nmdeploy.deploy(net, "speck2f").remarks if each.code == "DYN048"] == ["DYN048"]
    with pytest.raises(FitError, match="DYN02"):
        nmdeploy.deploy(net, "speck2f", mapper="sinabs")


def test_a_lone_convolution_gets_neurons_that_do_not_fire():
    deployed = nmdeploy.deploy(chain((2, 9, 9), conv(2, 2, 3), neuron=Integrator()), "speck2f")
    assert deployed.network["l0"].neuron.threshold_high == 32767
    assert "DYN101" in [each.code for each in deployed.remarks]


@pytest.mark.parametrize("name", IMPORTED)
def test_met_by_the_importer(name):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    first = [nn.Conv2d(2, 2, 1, bias=False), nn.ReLU()]
    model = {
        "relu": first,
        "maxpool": [*first, nn.MaxPool2d(2), *first],
        "padding_circular": [nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular", bias=False), nn.ReLU()],
        "avgpool_ceil": [*first, nn.AvgPool2d(2, ceil_mode=True), *first],
        "no_spiking_end": first[:1],
    }[name]
    generator = torch.Generator().manual_seed(1)
    sample = torch.rand(2, 2, 9, 9, generator=generator)

    def converted():
        graph = nmdeploy.from_torch(nn.Sequential(*model).eval(), sample[:1])
        return nmdeploy.to_spiking(graph, sample.numpy())

    if IMPORTED[name] == "ModelError":
        with pytest.raises(ModelError):
            converted()
    else:
        assert all(population.is_input or population.neuron is not None for population in converted().populations)
