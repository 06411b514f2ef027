"""Lineage, followed: what a user brought is told from what no run is known to have written."""

import pytest

from unpaint.report.ancestry import trace

BROUGHT = {"pictures": "p", "table": "t", "inception": "i", "withdrawn": "w", "source": "s"}


@pytest.mark.parametrize("section", ["base", "judge", "model", "world"])
def test_what_a_user_brings_is_not_missed(section):
    run = {"outputs": {"metrics": "m"}, "manifest": {"stage": "evaluate", "settings": {}, "inputs": dict(BROUGHT)}}
    run["manifest"]["settings"] = {section: {"source": "data/worlds/cifar10.json"}}
    node = trace({"runs": [run]}, [run])
    assert node.unknown() == 0
    assert all(one.brought for one in node.inputs)
    # a world of results/ has a run that wrote it, or it is missed
    run["manifest"]["settings"] = {section: {"source": "results/world.parquet"}}
    node = trace({"runs": [run]}, [run])
    assert node.unknown() == 1
    assert [one.title for one in node.inputs if not one.brought] == ["source"]
