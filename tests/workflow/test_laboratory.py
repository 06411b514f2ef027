"""A cut of presets/digits-wide.yaml: two of its concepts, all else of it, at the tiny world's sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.world import ROOT, make_project, run, tiny_params

METRICS = {"UA", "RA", "attributes", "AS", "FD", "drift"}


@pytest.mark.slow
def test_two_concepts_of_the_laboratory_are_compared(tmp_path: Path) -> None:
    wide = yaml.safe_load((ROOT / "presets" / "digits-wide.yaml").read_text(encoding="utf-8"))
    tiny = tiny_params()
    sizes = {name: tiny["concepts"]["seven"][name] for name in ("train", "test")}
    params = {
        **tiny,
        **{key: wide[key] for key in ("grammars", "seeds", "oracles", "contrasts")},
        "concepts": {name: wide["concepts"][name] | sizes for name in ("seven", "ink-orange")},
    }
    project = make_project(tmp_path / "laboratory", params)
    run(project, "unpaint", "warm", "snakemake", "--cores", "2")

    found = json.loads((project / "results/comparison.json").read_text(encoding="utf-8"))
    assert found["method"] == "rgd"
    assert list(found["against"]) == ["rg", "graddiff"]
    for other in found["against"].values():
        assert list(other["concepts"]) == ["seven", "ink-orange"]
        assert set(other["overall"]) == METRICS
        # two concepts leave one degree of freedom: there is an interval, and the unit is the concept
        assert all(each["n"] == 2 and each["low"] is not None for each in other["overall"].values())
    assert {each["concept"] for each in found["worst"]["rgd"]} == {"seven", "ink-orange"}
    gold = found["oracles"]["seven"]
    assert set(gold["models"]) == {"base"} | {f"{name}, seed {seed}" for name in wide["methods"] for seed in (0, 1)}
    assert gold["spread"] is not None
    page = (project / "results/report.html").read_text(encoding="utf-8")
    for title in ("rgd against rg", "rgd against graddiff", "Monotone steps", "ink-orange"):
        assert title in page
    assert "Nothing to be done" in run(project, "snakemake", "--cores", "1", "-n")
