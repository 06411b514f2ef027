"""Every preset for models from elsewhere, with a tiny checkpoint of its family and a tiny judge in their places."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from tests.checkpoints import CIFAR, SIDE, build, clip_tokenizer, dataset, inception_tensors, judge
from tests.hub import hub
from tests.world import ROOT, make_project, run
from unpaint import corpus
from unpaint.errors import UserError
from unpaint.evaluate import cmmd, fid, inception
from unpaint.evaluate import reference as references
from unpaint.evaluate.judgements import read
from unpaint.lineage import stage
from unpaint.lineage.manifest import sha256
from unpaint.params import plain
from unpaint.sources import JUDGES
from unpaint.stages.evaluate import evaluate
from unpaint.stages.judge import judge as judge_stage

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


@pytest.mark.slow
def test_classes_are_forgotten_by_a_base_model_that_is_trained_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cifar10-class` on a data set of noise: two of its ten concepts, the engines do not know how many there are."""
    params = plain(ROOT / "presets/cifar10-class.yaml")
    params["concepts"] = {name: params["concepts"][name] for name in ("airplane", "dog")}
    params["oracles"] = {"concepts": ["dog"], "seeds": [1]}
    params["world"]["images"]["reference"] = 300  # Inception sees five a second
    project = make_project(tmp_path / "classes", params)
    shutil.copytree(ROOT / "presets", project / "presets")
    pictures = dataset(project / "sets/cifar10/plain_text", rows=2160)
    judge(project / "models/judge")
    run(project, "unpaint", "pin", "--dataset", "sets/cifar10")
    run(project, "unpaint", "pin", "--judge", "models/judge", "--name", "ViT-B-32-openai")
    told = run(project, "unpaint", "plan")
    assert "in sets/cifar10" in told
    assert "airplane: 4,800 + 450 to train on, 1,000 + 9,000 to test on" in told
    run(project, "unpaint", "overlay", "presets/tiny.yaml")
    assert "Snakemake and DVC have the same" in run(project, "unpaint", "check")
    run(project, "unpaint", "warm", "snakemake", "--cores", "2")
    results = project / "results"
    forget, retain = (corpus.read(results / f"dog/images/{name}.parquet") for name in ("forget", "retain"))
    assert {row.prompt for row in forget} == {"dog"}
    assert sorted(row.prompt for row in retain) == sorted([name for name in CIFAR if name != "dog"] * 2)
    for row in (*forget, *retain):
        file, _, number = row.attributes["file_name"].partition("#")
        place = int(number) + (360 if "train" in file else 0)
        assert (row.pixels == pictures[place]).all()
        assert row.prompt == CIFAR[place % 10]
    for model in ("base", "rgd/seed0", "rg/seed0", "graddiff/seed0", "retrain/seed1"):
        scores = json.loads((results / f"dog/{model}/metrics.json").read_text())
        assert {"UA", "RA", "AS", "FD"} <= set(scores)
    monkeypatch.chdir(project)
    _score_by_the_clip_of_cmmd(project, monkeypatch)
    _score_by_inception(project, monkeypatch)
    index = json.loads((results / "dog/retrain/seed1/pipeline/model_index.json").read_text())
    assert sorted(index["id2label"].values()) == sorted(CIFAR)
    run(project, "unpaint", "record")
    assert "up to date" in run(project, "dvc", "status")
    assert "Running stage" not in run(project, "dvc", "repro")
    assert "Nothing to be done" in run(project, "snakemake", "--cores", "1", "-n")
    run(project, "unpaint", "export", "results/dog/rgd/seed0/model.safetensors", "--to", "export")
    assert (project / "export/unet/diffusion_pytorch_model.safetensors").is_file()


def _score_by_the_clip_of_cmmd(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage as the rule runs it, where the judge is the CLIP that CMMD is defined on."""
    note = json.loads((project / "results/dog/rgd/seed0/metrics.json.run.json").read_text())
    assert "CMMD" not in json.loads((project / "results/dog/rgd/seed0/metrics.json").read_text())
    monkeypatch.setattr(cmmd, "REPOSITORY", None)  # as of a judge that is a folder
    judged = {"judge": "judge.json", "config": "open_clip_config.json", "weights": "open_clip_model.safetensors"}
    given = {"judge": judged["judge"], "judge-config": judged["config"], "judge-weights": judged["weights"]}
    inputs = {role: f"results/judge/{name}" for role, name in {**given, "reference": "reference.parquet"}.items()}
    inputs |= {"prompts": "results/dog/prompts/test.json", "pool": "results/dog/rgd/seed0/samples.parquet"}
    inputs |= {"base": "results/judgements/dog.base.parquet"}
    outputs = {"metrics": "scratch/metrics.json", "judged": "scratch/judged.parquet"}
    arguments = [part for role, path in {**inputs, **outputs}.items() for part in (f"--{role}", path)]
    stage.run(evaluate, ["--settings", json.dumps(note["manifest"]["settings"]), *arguments])
    score = json.loads((project / "scratch/metrics.json").read_text())["CMMD"]
    assert score["n"] == 36
    assert score["low"] < score["value"] < score["high"]
    pools = [read(Path(path)) for path in ("scratch/judged.parquet", "results/judgements/dog.base.parquet")]
    pool, base = (one.features[one.rows("retain")] for one in pools)
    real = references.read(Path("results/judge/reference.parquet"))
    shown = real.showing([{"label": name} for name in CIFAR if name != "dog"])
    assert score["value"] == round(cmmd.distance(pool, base, shown).value, 6)


def _score_by_inception(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages as the rules run them, with random weights in the layout and under the name of the published ones."""
    weights = Path("scratch", inception.NAME)
    torch.save(inception_tensors(), weights)
    given = {"inception": str(weights)}
    files = ("judge.json", "open_clip_config.json", "open_clip_model.safetensors", "reference.parquet")
    judged = {
        role: f"scratch/{name}" for role, name in zip(("judge", "config", "weights", "reference"), files, strict=True)
    }
    source = {"world": "results/world.parquet", "source": "data/judges/ViT-B-32-openai.json"}
    told = _settings("results/judge/judge.json")
    with pytest.raises(UserError, match="a distance on other weights is no FID"):
        _run(judge_stage, told, {**source, "base": "results/base/base.json", **given, **judged})
    monkeypatch.setattr(inception, "SHA256", sha256(weights))
    _run(judge_stage, told, {**source, "base": "results/base/base.json", **given, **judged})
    brought = {"judge": judged["judge"], "judge-config": judged["config"], "judge-weights": judged["weights"]}
    brought |= {"reference": judged["reference"], "prompts": "results/dog/prompts/test.json", **given}
    base = {
        "pool": "results/dog/base/samples.parquet",
        "metrics": "scratch/base.json",
        "judged": "scratch/base.parquet",
    }
    told = _settings("results/dog/base/metrics.json")
    with pytest.raises(
        UserError, match=r"^FID: 36 retain pictures and .* features of width 2048 need at least 4096 of"
    ):
        _run(evaluate, told, {**brought, **base})
    monkeypatch.setattr(fid, "refuse_few", lambda *_: None)  # thousands of pictures would take an hour
    _run(evaluate, told, {**brought, **base})
    after = {"pool": "results/dog/rgd/seed0/samples.parquet", "base": "scratch/base.parquet"}
    after |= {"metrics": "scratch/rgd.json", "judged": "scratch/rgd.parquet"}
    _run(evaluate, told, {**brought, **after})
    scores = [json.loads(Path(f"scratch/{name}.json").read_text())["FID"] for name in ("base", "rgd")]
    real = references.read(Path(judged["reference"])).rows([{"label": name} for name in CIFAR if name != "dog"])
    statistics = [
        fid_features_to_statistics(torch.from_numpy(features))
        for features in (
            *(inception.read(Path(f"scratch/{name}.parquet")) for name in ("base", "rgd")),
            inception.read(Path(judged["reference"]))[real],
        )
    ]
    assert len(real) < len(references.read(Path(judged["reference"])).features)
    expected = [fid_statistics_to_metric(one, statistics[2], verbose=False)[KEY_METRIC_FID] for one in statistics[:2]]
    assert [score["value"] for score in scores] == pytest.approx(expected, rel=1e-4)
    assert scores[1]["delta"] == pytest.approx(scores[1]["value"] - scores[0]["value"], abs=2e-6)
    assert (scores[0]["delta"], scores[0]["n"]) == (0, 36)


def _settings(artefact: str) -> str:
    return json.dumps(json.loads(Path(f"{artefact}.run.json").read_text())["manifest"]["settings"])


def _run(function: stage.Stage, settings: str, paths: dict[str, str]) -> None:
    given = [part for role, path in paths.items() for part in (f"--{role}", path)]
    stage.run(function, ["--settings", settings, *given])


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
