"""Every preset for models from elsewhere, with a tiny checkpoint of its family and a tiny judge in their places."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.checkpoints import SIDE, build, clip_tokenizer, judge
from tests.hub import hub
from tests.world import ROOT, make_project, run
from unpaint import corpus
from unpaint.params import plain
from unpaint.sources import JUDGES

FAMILIES = {
    "sd14-nudity": "SD1",
    "sd14-vangogh": "SD1",
    "sd3-nudity": "SD3",
    "sdxl-style": "SDXL",
    "flux-lora-style": "FLUX",
}
REVISION = "0123456789abcdef0123456789abcdef01234567"


def project_of(preset: str, folder: Path) -> Path:
    """A project of the preset as it is, whose pins name tiny models."""
    params = plain(ROOT / "presets" / f"{preset}.yaml")
    project = make_project(folder, params)
    shutil.copytree(ROOT / "presets", project / "presets")
    torch.set_num_threads(1)
    build(FAMILIES[preset], clip_tokenizer(), project / "models/base")
    judge(project / "models/judge")
    base, judged = (Path(params[name]["source"]).stem for name in ("base", "judge"))
    size = ("--side", str(SIDE)) if FAMILIES[preset] == "FLUX" else ()
    run(project, "unpaint", "pin", "models/base", "--name", base, *size)
    run(project, "unpaint", "pin", "--judge", "models/judge", "--name", judged)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("preset", FAMILIES)
def test_a_preset_is_planned_and_with_the_overlay_alone_its_whole_chain_runs(preset: str, tmp_path: Path) -> None:
    project = project_of(preset, tmp_path / preset)
    told = run(project, "unpaint", "plan")
    steps = plain(project / "params.yaml")["methods"]["rgd"]["steps"]
    assert f"2 models: rgd {steps} steps, graddiff {steps} steps" in told
    assert "missing" not in told
    assert "Snakemake and DVC have the same" in run(project, "unpaint", "check")
    run(project, "unpaint", "overlay", "presets/tiny.yaml")
    if preset == "sd14-nudity":  # the engines do not know presets
        run(project, "unpaint", "warm", "dvc", "repro")
    else:
        run(project, "unpaint", "warm", "snakemake", "--cores", "2")
    (concept,) = plain(project / "params.yaml")["concepts"]
    for method in ("rgd", "graddiff"):
        folder = project / f"results/{concept}/{method}/seed0"
        assert all(row.pixels.shape == (SIDE, SIDE, 3) for row in corpus.read(folder / "samples.parquet"))
        scores = json.loads((folder / "metrics.json").read_text())
        assert set(scores) - {"detected"} == {"unpaint", "UA", "RA", "attributes", "AS", "drift", "judge"}
        assert ("detected" in scores) is (concept == "nudity")
        run(project, "unpaint", "export", str(folder / "model.safetensors"), "--to", f"export/{method}")
    assert (project / "results/report.html").is_file()
    if preset == "sd14-vangogh":
        run(project, "unpaint", "record")
    if preset.startswith("sd14"):
        assert "up to date" in run(project, "dvc", "status")
        assert "Nothing to be done" in run(project, "snakemake", "--cores", "1", "-n")


def test_a_judge_of_the_hub_is_pinned_by_its_commit_and_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(tmp_path / "shelf")
    (tmp_path / "shelf/open_clip_pytorch_model.bin").write_bytes(b"not to be read")
    (tmp_path / "project").mkdir()
    with hub(tmp_path / "shelf", "some/judge", REVISION) as (address, loaded):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        printed = run(tmp_path / "project", "unpaint", "pin", "--judge", "some/judge")
        assert "judge: { source: data/judges/judge.json }" in printed
        fields = JUDGES.read(tmp_path / "project/data/judges/judge.json")
        assert (fields["repository"], fields["revision"]) == ("some/judge", REVISION)
        assert sorted(set(loaded)) == sorted(JUDGES.wanted)
        printed = run(tmp_path / "project", "unpaint", "pin", "--judge", "gated/judge", fails=True)
        assert "accept its terms on its page on the Hub" in printed
