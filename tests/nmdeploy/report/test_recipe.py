"""The recipe of a deployment and its guarantee."""

import json

import pytest

from nmdeploy.convert.methods import METHODS
from nmdeploy.network import Network
from nmdeploy.report import build_report, render_json, render_text
from nmdeploy.report.recipe import conversion_of


def converted(deployment, stored):
    source: Network = deployment.network
    return deployment.with_(provenance={"recipe.method": stored}, source=source)


@pytest.mark.parametrize("name", METHODS)
def test_a_report_says_what_the_recipe_guarantees(deployment, name):
    report = build_report(converted(deployment, json.dumps(name)))
    shown = render_text(report)
    assert f"Recipe {name}\n" in shown
    assert f"Guarantee: {METHODS[name].guarantee}." in shown
    plain = json.loads(render_json(report))["conversion"]
    assert plain == {"recipe": name, "title": METHODS[name].title, "guarantee": METHODS[name].guarantee}


@pytest.mark.parametrize("stored", ['"magic"', "magic", "{"])
def test_a_recipe_that_nobody_knows_has_no_guarantee(deployment, stored):
    assert conversion_of(converted(deployment, stored)) is None


def test_what_was_not_converted_has_no_recipe(deployment):
    assert conversion_of(deployment) is None
    ready = converted(deployment, '"rate"').with_(source=None)
    assert conversion_of(ready) is None
    assert "Guarantee" not in render_text(build_report(ready))
