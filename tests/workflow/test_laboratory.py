"""Two concepts, the oracles and the seeds of presets/digits-wide.yaml and a contrast of presets/diversity.yaml, tiny.

Two steps of training: what is tested is what is compared with what. What the preset's settings come to is measured by
running it (docs/laboratory.md).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.world import ROOT, make_project, run, tiny_params
from unpaint import corpus
from unpaint.evaluate.judgements import read

METRICS = {"UA", "RA", "attributes", "AS", "FD", "drift"}


@pytest.mark.slow
def test_two_concepts_of_the_laboratory_are_compared(tmp_path: Path) -> None:
    wide, diversity = (
        yaml.safe_load((ROOT / "presets" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("digits-wide", "diversity")
    )
    tiny = tiny_params()
    sizes = {name: tiny["concepts"]["seven"][name] for name in ("train", "test")}
    params = {
        **tiny,
        **{key: wide[key] for key in ("seeds", "oracles")},
        "grammars": diversity["grammars"],
        "concepts": {name: wide["concepts"][name] | sizes for name in ("seven", "ink-orange")},
        "contrasts": {"uniform": {"concept": "seven", "against": "seven-uniform"}},
    }
    count = {role: sizes["train"]["prompts"] * each for role, each in sizes["train"]["images_per_prompt"].items()}
    params["concepts"]["seven-uniform"] = {
        **diversity["concepts"]["seven-uniform"],
        **sizes,
        "train": {"prompts": 1, "replacement": ["one"], "images_per_prompt": count},
    }
    project = make_project(tmp_path / "laboratory", params)
    run(project, "unpaint", "warm", "snakemake", "--cores", "2")

    found = json.loads((project / "results/comparison.json").read_text(encoding="utf-8"))
    assert found["method"] == "rgd"
    assert list(found["against"]) == ["rg", "graddiff"]
    for other in found["against"].values():
        assert list(other["concepts"]) == ["seven", "ink-orange", "seven-uniform"]
        assert set(other["overall"]) == METRICS
        for metric, each in other["overall"].items():
            assert each["n"] == 2
            # the unit is the concept: seven-uniform is seven, trained on other data; of two alike there is no interval
            first, last, same = (concept[metric]["delta"] for concept in other["concepts"].values())
            assert (each["low"] is None) == ((first + same) / 2 == last)
    assert {each["concept"] for each in found["worst"]["rgd"]} == {"seven", "ink-orange", "seven-uniform"}
    gold = found["oracles"]["seven"]
    assert set(gold["models"]) == {"base"} | {f"{name}, seed {seed}" for name in wide["methods"] for seed in (0, 1)}
    assert gold["spread"] is not None
    assert set(found["contrasts"]["uniform"]) == set(wide["methods"])
    # the same pictures are asked for the same values, though one grammar names fewer of them
    one, other = (read(project / f"results/judgements/{name}.base.parquet") for name in ("seven", "seven-uniform"))
    assert one.answers == other.answers
    page = (project / "results/report.html").read_text(encoding="utf-8")
    for title in ("rgd against rg", "rgd against graddiff", "Monotone steps", "ink-orange", "uniform, rgd"):
        assert title in page
    assert "Nothing to be done" in run(project, "snakemake", "--cores", "1", "-n")
    run(project, "unpaint", "record")
    told = run(project, "unpaint", "diff", "seven/rgd/seed0", "ink-orange/rgd/seed0")
    pictures = [
        {row.sha256 for row in corpus.read(project / f"results/{name}/images/forget.parquet")}
        for name in ("seven", "ink-orange")
    ]
    own = [len(pictures[0] - pictures[1]), len(pictures[1] - pictures[0])]
    assert min(own) > 0
    assert f"images forget, pictures beside {len(pictures[0] & pictures[1])} shared ones: {own[0]} | {own[1]}" in told
