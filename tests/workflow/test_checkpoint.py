"""Base models from elsewhere: the whole chain on a tiny checkpoint of every family."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.checkpoints import BUILDERS, LABELS, SIDE, build, clip_tokenizer, language_model
from tests.hub import hub
from tests.world import clone, commit, make_project, run, tiny_params, write_params
from unpaint import corpus
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.models.checkpoint import load
from unpaint.params import load as load_params

BY_CLASS = ("DiT", "UNet2D", "EDM")
SOURCE, PIN = "checkpoints/tiny one", "data/checkpoints/tiny.json"
HALF = {"PixArt": "bfloat16"}
"""Families whose chain is run in half precision; those of presets are, too."""
OWN = [family for family in BUILDERS if family not in ("SDXL", "SD3", "FLUX")]
"""Families whose chain is run here; the others' in test_presets."""
TABLE = f"""prompt,sd_seed,sd_guidance_scale,sd_image_width,sd_image_height
a blue seven,5,,,
{"a seven of many words " * 20},6,3,{SIDE},24
a  blue seven,5,9,,
"""
REVISION = "0123456789abcdef0123456789abcdef01234567"


def params_of(family: str, precision: str = "float32") -> dict[str, Any]:
    params = tiny_params()
    params["base"] = {"source": PIN, "precision": precision}
    params["oracles"] = {"concepts": [], "seeds": []}
    params["methods"] = {name: params["methods"][name] for name in ("rgd", "graddiff")}
    params["sampling"]["guidance"] = 1.0 if family == "EDM" else 2.0
    if family in BY_CLASS:
        params["grammars"]["digits"] = {
            "template": "{digit}",
            "values": {"digit": {"train": list(LABELS[:7]), "test": list(LABELS[7:])}},
            "distinct": [],
        }
        each = {"prompts": 1, "replacement": "value", "images_per_prompt": {"forget": 6, "retain": 18}}
        params["concepts"]["seven"] |= {"train": each, "test": each}
    if family == "EDM":
        for method in params["methods"].values():
            method["unprompted"] = 0.0
    return params


def project_of(family: str, folder: Path, **changes: Any) -> Path:
    """A project whose base model is a tiny checkpoint of a family, pinned."""
    project = make_project(folder, params_of(family, HALF.get(family, "float32")) | changes)
    torch.set_num_threads(1)
    build(family, clip_tokenizer(), project / SOURCE)
    # FLUX.1 does not say the size of its pictures
    size = ("--side", str(SIDE)) if family == "FLUX" else ()
    run(project, "unpaint", "pin", SOURCE, "--name", "tiny", *size)
    return project


def hold_the_receipt(project: Path, files: int) -> None:
    """It says what was brought, and what nobody here knows of it."""
    run(project, "unpaint", "receipt", "seven/rgd/seed0", "--to", "receipt")
    told = json.loads((project / "receipt/receipt.json").read_text())["predicate"]
    assert (told["data"]["base"]["folder"], told["data"]["base"]["files"]) == (SOURCE, files)
    brought = {path for path in told["data"]["files"] if path.startswith("data/")}
    assert brought == {PIN, "data/tables/others.csv"}
    assert f"what {PIN} was trained on is known to nobody here" in told["unknown"]
    assert {one["table"] for one in told["data"]["prompts"]} == {0, 3}
    assert "UA on the prompt table" in (project / "receipt/receipt.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("family", OWN)
def test_the_whole_chain_on_a_checkpoint(family: str, tmp_path: Path) -> None:
    # the engines do not know families: one chain has another's model beside it
    theirs = {"theirs": {"source": "data/checkpoints/theirs.json", "precision": "float32"}} if family == "SD1" else {}
    project = project_of(family, tmp_path / family, models=theirs)
    if theirs:
        build("SD2-v", clip_tokenizer(), project / "checkpoints/theirs")
        run(project, "unpaint", "pin", "checkpoints/theirs")
        (project / "data/tables/others.csv").write_text(TABLE)
        params = yaml.safe_load((project / "params.yaml").read_text())
        params["concepts"]["seven"]["table"] = "data/tables/others.csv"
        language_model(project / "models/language")
        run(project, "unpaint", "pin", "--language", "models/language", "--name", "tiny")
        asked = {"values": {"place": 1}, "without": ["seven"], "apart": 0.0, "tokens": 900, "temperature": 1.0}
        params["proposals"] = {"digits": {"model": "data/language/tiny.json", **asked}}
        write_params(project, params)
    run(project, "unpaint", "warm", "snakemake", "--cores", "2")
    results = project / "results"
    described = json.loads((results / "base/base.json").read_text())
    assert (described["folder"], described["side"]) == (SOURCE, SIDE)
    assert all(sha256(project / SOURCE / name) == digest for name, digest in described["files"].items())
    assert any(name.endswith(".safetensors") for name in described["files"])
    for method in ("rgd", "graddiff"):
        rows = corpus.read(results / f"seven/{method}/seed0/samples.parquet")
        assert all(row.pixels.shape == (SIDE, SIDE, 3) for row in rows if row.attributes["set"] != "table")
        scores = json.loads((results / f"seven/{method}/seed0/metrics.json").read_text())
        assert {"UA", "RA", "AS", "FD", "drift"} <= set(scores)
        assert scores["drift"]["value"] > 0
    assert (results / "report.html").is_file()
    if theirs:
        for name in ("base", "rgd/seed0", "models/theirs"):
            others = [
                row
                for row in corpus.read(results / f"seven/{name}/samples.parquet")
                if row.attributes["set"] == "table"
            ]
            assert [row.pixels.shape[:2] for row in others] == [(SIDE, SIDE), (24, SIDE), (SIDE, SIDE)]
            assert json.loads((results / f"seven/{name}/metrics.json").read_text())["table"]["n"] == 3
        # the same prompt and noise, other guidance
        assert others[0].seed == others[2].seed
        assert others[0].sha256 != others[2].sha256
        pools = [corpus.read(results / f"seven/{name}/samples.parquet") for name in ("base", "models/theirs")]
        assert [(row.prompt, row.seed) for row in pools[0]] == [(row.prompt, row.seed) for row in pools[1]]
        assert [row.sha256 for row in pools[0]] != [row.sha256 for row in pools[1]]
        scores = json.loads((results / "seven/models/theirs/metrics.json").read_text())
        assert scores["drift"]["value"] > 0
        proposed = json.loads((results / "proposals/digits.json").read_text())["proposals"]["place"]
        assert len(proposed["values"]) == 1
        compared = json.loads((results / "comparison.json").read_text())
        assert set(compared["against"]) == {"graddiff", "theirs"}
        assert "theirs" in (results / "report.html").read_text()
        run(project, "unpaint", "check")
        run(project, "unpaint", "record")
        assert "up to date" in run(project, "dvc", "status")
        assert "Nothing to be done" in run(project, "snakemake", "--cores", "1", "-n")
        commit(project, "made")
        assert "results/proposals/digits.json" in run(project, "git", "ls-files", "results")
        hold_the_receipt(project, len(described["files"]))
    run(project, "unpaint", "export", "results/seven/rgd/seed0/model.safetensors", "--to", "export")
    assert (project / "export/model_index.json").is_file()


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = project_of("SD1", tmp_path_factory.mktemp("pinned") / "project")
    run(project, "snakemake", "--quiet", "all", "--cores", "1", "results/base/base.json")
    run(project, "dvc", "commit", "--force", "base")
    return project


def test_both_engines_take_a_checkpoint_by_its_pin(pinned: Path, tmp_path: Path) -> None:
    project = clone(pinned, tmp_path / "copy")
    assert "up to date" in run(project, "dvc", "status", "base")
    weights = project / SOURCE / "unet/diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    with pytest.raises(UserError, match=r"not the file that base.json lists .*; restore the file, or pin anew what is"):
        load(project / "results/base/base.json").verified("unet")
    printed = run(project, "unpaint", "fetch", fails=True)
    assert f"{SOURCE}/unet/diffusion_pytorch_model.safetensors: not the file that {PIN} lists" in printed
    assert "restore the file, or pin anew what is there (`unpaint pin SOURCE`)" in printed
    # pinned anew it is another base model
    run(project, "unpaint", "pin", SOURCE, "--name", "tiny")
    assert PIN in run(project, "dvc", "status", "base")
    assert "base" in run(project, "snakemake", "--quiet", "rules", "--cores", "1", "-n", "results/base/base.json")
    run(project, "dvc", "repro", "--single-item", "base")
    assert load(project / "results/base/base.json").verified("unet")


def test_a_trained_base_model_in_its_place_leaves_none_of_its_files(project: Path) -> None:
    build("SD1", clip_tokenizer(), project / SOURCE)
    run(project, "unpaint", "pin", SOURCE, "--name", "tiny")
    write_params(project, params_of("SD1"))
    run(project, "snakemake", "--quiet", "all", "--cores", "1", "results/base/base.json")
    left = {path.name for path in (project / "results/base/pipeline").rglob("*") if path.is_file()}
    assert left == {"model_index.json", "scheduler_config.json"}


def test_what_a_checkpoint_lacks_is_said_when_it_is_pinned(pinned: Path, tmp_path: Path) -> None:
    project = clone(pinned, tmp_path / "copy")
    (project / "one.safetensors").write_bytes(b"")
    printed = run(project, "unpaint", "pin", "one.safetensors", fails=True)
    assert "from_single_file('one.safetensors', config='FOLDER', local_files_only=True)" in printed
    assert "side: 17 is no multiple of 2" in run(project, "unpaint", "pin", SOURCE, "--side", "17", fails=True)
    unet = project / SOURCE / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.bin")
    printed = run(project, "unpaint", "pin", SOURCE, fails=True)
    assert "diffusion_pytorch_model.bin: a pickled checkpoint can run code and is refused; convert it" in printed
    (unet / "diffusion_pytorch_model.bin").rename(unet / "diffusion_pytorch_model.fp16.safetensors")
    assert "another variant (fp16), is refused" in run(project, "unpaint", "pin", SOURCE, fails=True)
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text('{"weight_map": {"a": "one", "b": "two"}}')
    assert "unet: one, two missing" in run(project, "unpaint", "pin", SOURCE, fails=True)


@pytest.mark.parametrize(
    ("family", "place", "value", "message"),
    [
        ("FLUX", ("methods", "rgd", "scope"), "cross-attention", "methods.rgd.scope: no layer of FLUX.1 attends to"),
        ("SD1", ("base", "source"), "data/checkpoints/other.json", "other.json is missing; make it: unpaint pin"),
        ("SD1", ("oracles",), {"concepts": ["seven"], "seeds": [1]}, "oracles: nobody can train this base model"),
        ("SD1", ("base", "source"), "data/checkpoints", "base.source: give results/world.parquet"),
        ("EDM", ("sampling", "guidance"), 2.0, "sampling.guidance: base was trained without a label of no"),
        ("EDM", ("methods", "rgd", "unprompted"), 0.25, "methods.rgd.unprompted: base was trained without"),
        ("DiT", ("grammars", "digits", "template"), "a {digit}", "'a zero' is not the name of one class of base"),
    ],
)
def test_what_a_checkpoint_cannot_do_is_said_before_any_work(
    family: str, place: tuple[str, ...], value: Any, message: str, tmp_path: Path
) -> None:
    params = params_of(family)
    node = params
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    (tmp_path / PIN).parent.mkdir(parents=True)
    by_class = "U-Net by class (DDPM or EDM)"
    name = {"FLUX": "FLUX.1", "SD1": "Stable Diffusion 1 and 2", "EDM": by_class, "DiT": "DiT"}[family]
    fields = {"folder": SOURCE, "family": name, "side": SIDE, "bytes": 0, "files": {}}
    if family in BY_CLASS:
        fields |= {"classes": LABELS, "label_of_none": family != "EDM"}
    (tmp_path / PIN).write_text(json.dumps(fields))
    write_params(tmp_path, params)
    with pytest.raises(UserError) as caught:
        load_params(tmp_path / "params.yaml")
    assert message in str(caught.value)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """A project that knows a Hub with a tiny checkpoint, pickles and other variants beside it, and an empty cache."""
    shelf = tmp_path / "shelf"
    build("SD1", clip_tokenizer(), shelf)
    for name in (
        "pruned.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    ):
        (shelf / name).write_bytes(b"not to be read")
    project = make_project(tmp_path / "project", params_of("SD1"))
    with hub(shelf, "some/model", REVISION) as (address, loaded):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield project, loaded


def test_a_checkpoint_of_the_hub_is_pinned_by_its_commit_fetched_and_used_without_a_network(
    served: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, loaded = served
    run(project, "unpaint", "pin", "some/model", "--name", "tiny")
    pin = json.loads((project / PIN).read_text())
    assert (pin["repository"], pin["revision"], pin["side"]) == ("some/model", REVISION, SIDE)
    assert "unet/diffusion_pytorch_model.safetensors" in pin["files"]
    assert not {"pruned.safetensors", "unet/diffusion_pytorch_model.bin"} & set(loaded)
    assert not [name for name in loaded if "fp16" in name]
    assert set(pin["files"]) == set(loaded)

    # another machine
    shutil.rmtree(tmp_path / "cache")
    command = ("snakemake", "--quiet", "all", "--cores", "1", "results/base/base.json")
    assert "run `unpaint fetch` where there is a network" in run(project, *command, fails=True)
    run(project, "unpaint", "fetch")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run(project, *command)
    assert load(project / "results/base/base.json").files == pin["files"]
    assert str(tmp_path) not in (project / "results/base/base.json").read_text()


def test_a_repository_that_lacks_something_is_refused_by_its_names_before_it_is_loaded(
    served: tuple[Path, list[str]], tmp_path: Path
) -> None:
    project, loaded = served
    weights = tmp_path / "shelf/unet/diffusion_pytorch_model.safetensors"
    weights.rename(tmp_path / "weights")
    printed = run(project, "unpaint", "pin", "some/model", fails=True)
    assert "some/model/unet/diffusion_pytorch_model.bin: a pickled checkpoint can run code and is refused" in printed
    assert "from_pretrained('some/model').save_pretrained('some/model-safe'" in printed
    (tmp_path / "weights").rename(weights)
    (tmp_path / "shelf/vae/config.json").unlink()
    assert "some/model/vae: no config.json; the AutoencoderKL" in run(
        project, "unpaint", "pin", "some/model", fails=True
    )
    assert set(loaded) == {"model_index.json"}


def test_what_the_hub_refuses_is_said_in_words(served: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    project, _ = served

    def refused(*command: str) -> str:
        return run(project, "unpaint", "pin", *command, fails=True)

    assert "accept its terms on its page on the Hub, then `hf auth login` here" in refused("gated/model")
    assert "neither a folder here nor a repository of the Hub" in refused("no/model")
    assert "neither a folder here nor a repository of the Hub" in refused("no such folder")
    assert "it has no such revision" in refused("some/model", "--revision", "f" * 40)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "some/model: no such folder here, and the Hub cannot be reached" in refused("some/model")
