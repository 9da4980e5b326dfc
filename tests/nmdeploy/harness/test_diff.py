"""Every kind of change is told; what gets worse by more than is allowed fails."""

import json
from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.cli.main import run
from nmdeploy.errors import UsageError
from nmdeploy.harness.diff import MEASURES, Tolerance, diff
from nmdeploy.harness.diff_text import diff_json, diff_markdown, diff_text
from nmdeploy.network import Population, Projection
from nmdeploy.neurons import Integrator


def changed_population(deployment, name, **changes):
    network = deployment.network
    populations = tuple(replace(each, **changes) if each.name == name else each for each in network.populations)
    return deployment.with_(network=replace(network, populations=populations))


def changed_projection(deployment, index, **changes):
    projections = list(deployment.network.projections)
    projections[index] = replace(projections[index], **changes)
    return deployment.with_(network=replace(deployment.network, projections=tuple(projections)))


def with_accuracy(deployment, correct):
    figures = dict(deployment.figures)
    figures["accuracy.chip"] = {**figures["accuracy.chip"], "correct": correct}
    return deployment.with_(figures=figures)


def test_a_deployment_does_not_differ_from_itself(deployment):
    found = diff(deployment, deployment, {measure.name: Tolerance(0) for measure in MEASURES})
    assert found.empty
    assert diff_text(found) == "no difference"
    assert diff_markdown(found) == "No difference."


def test_changed_weights_are_counted(deployment):
    conv = deployment.network.projections[0].synapses[0]
    weight = conv.weight.copy()
    weight[0, 0, 0, 0] += 5
    weight[1, 0, 2, 2] -= 3
    found = diff(deployment, changed_projection(deployment, 0, synapses=(conv.with_weight(weight),)))
    assert found.parameters == ("weights of in->conv: 2 of 18 changed, by at most 5",)
    assert not found.structure


def test_changed_thresholds_are_told(deployment):
    conv, out = (deployment.network[name].neuron for name in ("conv", "out"))
    higher = replace(conv, threshold=np.array([[[20]], [[26]]]))
    found = diff(deployment, changed_population(deployment, "conv", neuron=higher))
    assert found.parameters == ("conv, threshold: 1 of 2 changed, by at most 1",)
    wider = replace(conv, threshold=np.array([[[20]]]))
    found = diff(deployment, changed_population(deployment, "conv", neuron=wider))
    assert found.parameters == ("conv, threshold: shape (2, 1, 1) became (1, 1, 1)",)
    found = diff(deployment, changed_population(deployment, "out", neuron=replace(out, reset="subtract")))
    assert found.parameters == ("out, reset: 'zero' became 'subtract'",)


def test_changed_structure_is_told(deployment):
    assert diff(deployment, changed_population(deployment, "dead", neuron=Integrator())).structure == (
        "population dead: 3 IF became 3 Integrator",
    )
    assert diff(deployment, changed_projection(deployment, 0, delay=2)).structure == (
        "projection in->conv: Conv2d, delay 1, exponent 0 became Conv2d, delay 2, exponent 0",
    )
    network = deployment.network
    more = replace(
        network,
        populations=(*network.populations, Population("extra", (3,), Integrator())),
        projections=(*network.projections, Projection("out", "extra")),
    )
    larger = deployment.with_(network=more, chip="toy2")
    assert diff(deployment, larger).structure == (
        "chip: toy:toy1 became toy:toy2",
        "population extra is new: 3 Integrator",
        "projection out->extra is new",
    )
    assert diff(larger, deployment).structure[1:] == ("population extra is gone", "projection out->extra is gone")


def test_another_recipe_is_told(deployment):
    other = deployment.with_(provenance={**deployment.provenance, "recipe.steps": "99"})
    assert diff(deployment, other).structure == ("recipe.steps: not told became 99",)


def numbers(found):
    return {(each.measure, each.of): each for each in found.numbers}


def test_accuracy_gets_worse_downwards_in_points(deployment):
    before = with_accuracy(deployment, 90)
    after = with_accuracy(deployment, 89)
    samples = before.figures["accuracy.chip"]["samples"]
    lost = 100 / samples
    change = numbers(diff(before, after, {"accuracy": Tolerance(lost - 1e-6)}))["accuracy", "chip"]
    assert (change.worse, change.exceeds, change.kind) == (True, True, "emulated")
    change = numbers(diff(before, after, {"accuracy": Tolerance(lost + 1e-6)}))["accuracy", "chip"]
    assert (change.worse, change.exceeds) == (True, False)
    change = numbers(diff(after, before, {"accuracy": Tolerance(0)}))["accuracy", "chip"]
    assert (change.worse, change.exceeds) == (False, False)


def test_cores_and_memory_get_worse_upwards(deployment):
    placement = deployment.placement
    extra = replace(placement.cores[0], core=7)
    after = deployment.with_(placement=replace(placement, cores=(*placement.cores, extra)))
    found = numbers(diff(deployment, after, {"cores": Tolerance(0), "memory": Tolerance(100, relative=True)}))
    assert (found["cores", "cores"].before, found["cores", "cores"].after, found["cores", "cores"].exceeds) == (
        3,
        4,
        True,
    )
    assert found["memory", "words"].worse
    assert not found["memory", "words"].exceeds
    assert numbers(diff(deployment, after, {"memory": Tolerance(10, relative=True)}))["memory", "words"].exceeds
    assert not diff(deployment, after).exceeded


def test_energy_time_and_operations(deployment):
    figures = dict(deployment.figures)
    cost = dict(figures["cost"])
    cost |= {"energy": [2 * value for value in cost["energy"]], "time": [value / 2 for value in cost["time"]]}
    after = deployment.with_(figures={**figures, "cost": cost}, steps=deployment.steps + 1)
    found = numbers(diff(deployment, after, {"energy": Tolerance(50, relative=True)}))
    assert found["energy", "inference, at most"].exceeds
    assert not found["time", "inference, at most"].worse
    assert found["steps", "inference"].after == found["steps", "inference"].before + 1
    silent = deployment.with_(figures={})
    gone = numbers(diff(deployment, silent, {"operations": Tolerance(0)}))["operations", "inference"]
    assert (gone.after, gone.exceeds, gone.worse) == (None, True, False)
    fresh = numbers(diff(silent, deployment, {"operations": Tolerance(0)}))["operations", "inference"]
    assert (fresh.before, fresh.exceeds) == (None, False)
    assert "not told" in diff_text(diff(silent, deployment))


def test_a_tolerance_of_nothing_is_refused(deployment):
    with pytest.raises(UsageError, match="no such measure"):
        diff(deployment, deployment, {"beauty": Tolerance(1)})


def test_the_forms_tell_the_same(deployment):
    after = changed_projection(with_accuracy(deployment, 1), 0, delay=2)
    found = diff(deployment, after, {"accuracy": Tolerance(0)})
    markdown, plain = diff_markdown(found), json.loads(diff_json(found))
    assert "worse than allowed" in markdown
    assert "**Structure**" in markdown
    assert "**Parameters**" not in markdown
    assert "accuracy of chip" in diff_text(found)
    assert plain["exceeded"] == len(found.exceeded) == 1
    assert plain["structure"] == list(found.structure)


def test_the_command(deployment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    nm.save(deployment, tmp_path / "a.nmd")
    nm.save(with_accuracy(deployment, 1), tmp_path / "b.nmd")
    assert run(["diff", "a.nmd", "a.nmd"]) == 0
    assert "no difference" in capsys.readouterr().out
    assert run(["diff", "a.nmd", "b.nmd"]) == 0
    assert run(["diff", "a.nmd", "b.nmd", "--tolerance", "accuracy=0.5", "--tolerance", "energy=5%"]) == 1
    assert "b.nmd: worse than allowed (found accuracy)" in capsys.readouterr().err
    assert run(["diff", "a.nmd", "b.nmd", "--format", "markdown", "-o", "d.md"]) == 0
    assert (tmp_path / "d.md").read_text().startswith("| measure |")
    assert run(["diff", "a.nmd", "b.nmd", "--tolerance", "accuracy"]) == 2
    assert "accuracy=0.5 or energy=5%" in capsys.readouterr().err
