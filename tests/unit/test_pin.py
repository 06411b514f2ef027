"""Pins of checkpoints in a folder: what is broken or lacking there is named before anything is written."""

import json
import re
import shutil
from pathlib import Path

import diffusers
import pytest

from tests.checkpoints import BUILDERS
from unpaint import language, pin, published
from unpaint.errors import UserError
from unpaint.models.families import FAMILIES
from unpaint.params import sections
from unpaint.sources import CHECKPOINTS, DATASETS, JUDGES, LANGUAGE_MODELS
from unpaint.worlds import dataset

UNET = "unet/diffusion_pytorch_model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 3438167540\n"


@pytest.fixture
def place(checkpoints, tmp_path, monkeypatch):
    """Bring a family's checkpoint into the project as `here`; its folder."""
    monkeypatch.chdir(tmp_path)

    def bring(family="SD1"):
        shutil.copytree(checkpoints(family).parent / "pipeline", tmp_path / "here")
        return Path("here")

    return bring


def refusal(source="here", **settings):
    with pytest.raises(UserError) as caught:
        pin.pin(source, *(settings.get(key) for key in ("revision", "name", "side")))
    assert not Path("data").exists()
    return str(caught.value)


@pytest.mark.parametrize("family", BUILDERS)
def test_a_checkpoint_of_each_family_has_all_that_a_pin_asks_for(place, family):
    place(family)
    assert pin.pin("here", None, None, 16) == Path("data/checkpoints/here.json")


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], f"here/{UNET}: not a whole safetensors file ("),
        (lambda whole: whole[:-1], f"here/{UNET}: not a whole safetensors file ("),
        (lambda whole: whole[:20], f"here/{UNET}: not a whole safetensors file ("),
        (lambda _: b"", f"here/{UNET}: not a whole safetensors file ("),
        (lambda _: POINTER, f"here/{UNET}: a pointer of git-lfs, not the file itself; bring it: `git lfs pull`"),
    ],
)
def test_broken_weights_are_not_pinned(place, left, message):
    weights = place() / UNET
    weights.write_bytes(left(weights.read_bytes()))
    assert refusal().startswith(message)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vae/config.json", None, "here/vae: no config.json; the AutoencoderKL is made from it"),
        ("text_encoder/config.json", None, "here/text_encoder: no config.json; the CLIPTextModel is made from it"),
        ("unet/config.json", None, "here/unet: no config.json; the UNet2DConditionModel is made from it"),
        ("scheduler/scheduler_config.json", None, "here/scheduler: missing; model_index.json lists it"),
        ("unet/config.json", "[]", "here/unet/config.json: not a config, which is a JSON mapping; get it anew"),
        ("vae/config.json", "{}", "here/vae/config.json: no block_out_channels, which an autoencoder has"),
        (
            "scheduler/scheduler_config.json",
            '{"beta_schedule": "linear", "num_train_timesteps": 0}',
            "here/scheduler/scheduler_config.json: num_train_timesteps: 0; a schedule has one at least: get it anew",
        ),
        (
            "scheduler/scheduler_config.json",
            '{"beta_schedule": "linear", "prediction_type": "flow"}',
            "here/scheduler/scheduler_config.json: prediction_type: flow is none of epsilon, v_prediction, sample; get",
        ),
        ("vae/config.json", "{", "here/vae/config.json: not a readable JSON file; restore it"),
        ("model_index.json", "[]", "here/model_index.json: None is no family that Unpaint knows"),
        (
            "unet/diffusion_pytorch_model.safetensors.index.json",
            "{}",
            "here/unet/diffusion_pytorch_model.safetensors.index.json: no weight_map, the list of the parts",
        ),
    ],
)
def test_a_config_that_lacks_or_is_none_is_named(place, file, content, message):
    path = place() / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert refusal().startswith(message)


def test_a_tokenizer_without_words_is_named(place):
    tokenizer = place() / "tokenizer"
    for name in ("tokenizer.json", "vocab.json"):
        (tokenizer / name).unlink(missing_ok=True)
    assert refusal().startswith("here/tokenizer: no tokenizer.json or vocab.json or spiece.model; the CLIPTokenizer")


def test_a_checkpoint_renamed_to_another_pipeline_lacks_parts(place):
    index = place() / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "StableDiffusionXLPipeline"))
    assert refusal().startswith("here/model_index.json: no text_encoder_2, and a StableDiffusionXLPipeline is made of")


def test_a_part_that_the_index_says_is_left_out_lacks_nothing(place):
    index = place() / "model_index.json"
    assert json.loads(index.read_text())["safety_checker"] == [None, None]
    pin.pin("here", None, None, None)


def test_a_safety_checker_is_loaded_as_well_and_needs_weights(place):
    folder = place()
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    assert refusal() == "here/safety_checker: missing; model_index.json lists it"
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker/config.json").write_text("{}")
    assert refusal().startswith("here/safety_checker: no model.safetensors or diffusion_pytorch_model.safetensors;")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_of_a_family_are_those_of_diffusers(family):
    import diffusers

    known, _ = getattr(diffusers, family.pipeline)._get_signature_keys(getattr(diffusers, family.pipeline))
    optional = set(getattr(diffusers, family.pipeline)._optional_components)
    assert set(family.parts) <= set(known)
    # Stable Diffusion 3 may be without its largest text encoder
    assert set(known) - optional - set(family.parts) <= {"text_encoder_3", "tokenizer_3"}
    assert family.network in family.parts


def test_a_revision_of_a_folder_is_refused(place):
    place()
    assert refusal(revision="main") == ("--revision: here is a folder here, which has no revisions; leave it out")


@pytest.mark.parametrize("pinned", [pin, published, dataset, language])
@pytest.mark.parametrize("name", ["a/b", ".x", "", "{x}", "../x"])
def test_a_name_that_params_could_not_give_is_refused(place, pinned, name):
    place()
    with pytest.raises(UserError, match=rf"^--name: '{re.escape(name)}' cannot be that of a pin, .*; give another$"):
        pinned.pin("here", None, name, *([None] if pinned is pin else []))
    assert not Path("data").exists()


@pytest.mark.parametrize("pins", [CHECKPOINTS, JUDGES, LANGUAGE_MODELS, DATASETS])
@pytest.mark.parametrize("name", ["a", "a.b", "a b", ".x", "a/b", "{x}", "x}", ""])
def test_the_names_of_pins_are_those_that_params_takes(pins, name):
    patterns = {CHECKPOINTS: sections.PIN, JUDGES: sections.JUDGE_PIN, DATASETS: sections.DATASET_PIN}
    taken = re.match(patterns.get(pins, sections.LANGUAGE_PIN), f"{pins.folder}/{name}.json")
    if taken:
        assert pins.path("some/where", name) == pins.folder / f"{name}.json"
    else:
        with pytest.raises(UserError, match=r"^--name: "):
            pins.path("some/where", name)


def test_a_folder_whose_own_name_is_none_for_a_pin_wants_another(place):
    place().rename(".hidden")
    assert refusal(".hidden").startswith("--name: '.hidden' cannot be that of a pin")
    assert pin.pin(".hidden", None, "shown", None) == Path("data/checkpoints/shown.json")


@pytest.mark.parametrize("source", ["", " "])
@pytest.mark.parametrize("name", [None, "given"])
def test_no_source_is_no_folder(place, source, name):
    place()
    assert refusal(source, name=name) == "SOURCE: empty; give a folder of the project, or OWNER/NAME of the Hub"
    with pytest.raises(UserError, match=r"^SOURCE: empty"):
        published.pin(source, None, name)


def test_one_file_is_refused_with_what_makes_a_folder_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.safetensors", "one.ckpt"):
        Path(name).write_bytes(b"")
    able = {family.pipeline for family in FAMILIES if hasattr(getattr(diffusers, family.pipeline), "from_single_file")}
    assert able == set(pin.IN_ONE_FILE)
    with pytest.raises(UserError) as caught:
        pin.pin("one.safetensors", None, None, None)
    assert all(pipeline in str(caught.value) for pipeline in able)
    with pytest.raises(UserError, match="no safetensors, so it can run code"):
        pin.pin("one.ckpt", None, None, None)
