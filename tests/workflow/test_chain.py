"""The whole chain on the tiny world, by real Snakemake."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.world import environment, make_project, run
from unpaint import corpus, encoded
from unpaint.lineage import manifest
from unpaint.lineage.manifest import sha256
from unpaint.models.base_model import embed, load_base_model

MODELS = ("rgd", "rg", "graddiff")
MADE = ("model.safetensors", "training.tsv", "README.md", "samples.parquet", "samples.rows.tsv", "metrics.json")


def test_everything_is_made_in_a_folder_with_spaces_and_umlauts(finished: Path) -> None:
    results = finished / "results"
    assert (results / "report.html").stat().st_size > 10_000
    for name in MODELS:
        for file in MADE:
            assert (results / "seven" / name / "seed0" / file).is_file()


def test_metrics_have_the_promised_keys(finished: Path) -> None:
    for folder in ("base", *(f"{name}/seed0" for name in MODELS)):
        found = json.loads((finished / "results/seven" / folder / "metrics.json").read_text())
        for name in ("UA", "RA", "attributes", "AS", "FD", "drift"):
            assert set(found[name]) == {"value", "low", "high", "n", "delta", "delta_low", "delta_high"}
            assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        assert set(found["judge"]) == {"digit", "ink", "ground", "place"}
    assert found["UA"]["n"] == 16
    assert found["RA"]["n"] == 32


def test_the_base_model_differs_from_itself_by_nothing(finished: Path) -> None:
    found = json.loads((finished / "results/seven/base/metrics.json").read_text())
    assert {found[name]["delta"] for name in ("UA", "RA", "attributes", "AS", "FD", "drift")} == {0}


def test_hashes_lead_from_the_model_to_the_world(finished: Path) -> None:
    results = finished / "results"
    model = manifest.read(results / "seven/rgd/seed0/model.safetensors")
    forget = results / "seven/encoded/forget.safetensors"
    assert model.inputs["forget"] == sha256(forget)
    pictures = results / "seven/images/forget.parquet"
    assert manifest.read(forget).inputs["corpus"] == sha256(pictures)
    assert manifest.read(pictures).inputs["prompts"] == sha256(results / "seven/prompts/train.json")
    assert manifest.read(pictures).inputs["base"] == sha256(results / "base/base.json")
    assert manifest.read(results / "base/base.json").inputs["source"] == sha256(results / "world.parquet")


def test_each_row_of_the_forget_set_is_led_to_the_same_prompt_with_another_value(finished: Path) -> None:
    listed = json.loads((finished / "results/seven/prompts/anchors.json").read_text())
    digits = {"zero", "one", "two", "three", "four", "five", "six", "eight", "nine"}
    assert {row["prompt"].replace("seven", "one") for row in listed["forget"]} == {
        row["choices"]["one"] for row in listed["forget"]
    }
    assert all(set(row["choices"]) == digits for row in listed["forget"])
    forget = encoded.read(finished / "results/seven/encoded/forget.safetensors")
    retain = encoded.read(finished / "results/seven/encoded/retain.safetensors")
    assert torch.equal(retain.anchor, retain.prompt)
    text = forget.conditions["text"]
    own, anchors = text[forget.prompt], text[forget.anchor]
    assert all(not torch.equal(one, other) for one, other in zip(own, anchors, strict=True))
    note = json.loads((finished / "results/seven/encoded/forget.safetensors.run.json").read_text())
    ranked = note["found"]["anchors"]["seven"]
    nearest = next(iter(ranked))
    assert (set(ranked), min(ranked.values())) == (digits, ranked[nearest])
    assert f"Led from seven to <b>{nearest}</b>" in (finished / "results/report.html").read_text()
    model = load_base_model(finished / "results/base/base.json", "cpu")
    rows = corpus.read(finished / "results/seven/images/forget.parquet")
    expected = embed(model, [row.prompt.replace("seven", nearest) for row in rows], 8)["text"]
    torch.testing.assert_close(anchors, expected, rtol=1e-4, atol=1e-5)


def test_oracles_are_trained_without_the_concept_and_compared(finished: Path) -> None:
    results = finished / "results"
    for seed in (2, 3):
        made = manifest.read(results / f"seven/retrain/seed{seed}/base.json")
        assert (made.stage, made.settings["forget"], made.settings["seed"]) == ("retrain", {"digit": "seven"}, seed)
        pool = manifest.read(results / f"seven/retrain/seed{seed}/samples.parquet")
        assert pool.inputs["base"] == sha256(results / f"seven/retrain/seed{seed}/base.json")
    found = json.loads((results / "comparison.json").read_text())
    assert set(found["against"]) == {"rg", "graddiff"}
    oracle = found["oracles"]["seven"]
    assert set(oracle["models"]) == {"base", *(f"{name}, seed 0" for name in MODELS)}
    assert oracle["spread"] is not None
    assert "Distance to the oracle: seven" in (results / "report.html").read_text()


def test_the_two_roles_are_told_apart(finished: Path) -> None:
    inputs = manifest.read(finished / "results/seven/rgd/seed0/model.safetensors").inputs
    assert inputs["forget"] != inputs["retain"]


def test_artefacts_name_no_folder_of_this_machine(finished: Path) -> None:
    here = str(finished).encode()
    for path in (finished / "results").rglob("*"):
        if path.is_file():
            assert here not in path.read_bytes(), path


def test_nothing_half_made_is_left(finished: Path) -> None:
    assert not list(finished.rglob(".partial-*"))
    assert not list((finished / "scratch").glob("*")) if (finished / "scratch").exists() else True


def test_run_notes_say_how(finished: Path) -> None:
    note = json.loads((finished / "results/seven/rgd/seed0/model.safetensors.run.json").read_text())
    assert note["outputs"]["model"] == sha256(finished / "results/seven/rgd/seed0/model.safetensors")
    assert re.fullmatch("[0-9a-f]{40}", note["commit"])
    assert note["dirty"] is False
    assert note["device"] in {"cpu", "cuda", "mps"}
    assert note["seconds"] > 0
    assert note["peak_memory_mb"] > 100


def test_export_loads_in_diffusers(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    run(finished, "unpaint", "export", "results/seven/rgd/seed0/model.safetensors", "--to", str(folder))
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder)
    assert pipeline("a red three", num_inference_steps=1).images[0].size == (32, 32)


def test_snakemake_writes_its_own_report(finished: Path, tmp_path: Path) -> None:
    run(finished, "snakemake", "--report", str(tmp_path / "report.zip"))
    assert (tmp_path / "report.zip").stat().st_size > 1000


@pytest.mark.slow
def test_another_folder_gives_the_same_hashes_even_if_killed_on_the_way(finished: Path, tmp_path: Path) -> None:
    other = make_project(tmp_path / "elsewhere")
    for log, output in (
        ("logs/base.log", "results/base/base.json"),
        ("logs/seven/rg/unlearn-seed0.log", "results/seven/rg/seed0/model.safetensors"),
    ):
        kill_during(other, other / log, output)
        assert not (other / output).exists()
        run(other, "snakemake", "--unlock")
    run(other, "snakemake", "--cores", "1")
    test_nothing_half_made_is_left(other)
    for pattern in ("*.parquet", "*.safetensors", "metrics.json", "base.json", "*.rows.tsv", "*.tsv", "README.md"):
        paths = sorted((finished / "results").rglob(pattern))
        assert paths
        for path in paths:
            twin = other / path.relative_to(finished)
            assert sha256(twin) == sha256(path), path


def kill_during(project: Path, log: Path, output: str) -> None:
    """Run Snakemake until the job of `log` is at work, then kill it and its jobs as a cluster's limit would."""
    job = subprocess.Popen(
        ["snakemake", "--cores", "1", output],
        cwd=project,
        env=environment(),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (log.exists() and " of " in log.read_text(encoding="utf-8")):
            assert job.poll() is None, f"Snakemake ended before {log.name} said so"
            time.sleep(0.02)
    finally:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
