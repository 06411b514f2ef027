"""A tiny Stable Diffusion: its training error, its pictures, its unlearned weights and their export."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    EDMEulerScheduler,
    UNet2DConditionModel,
)
from safetensors.torch import load_file

from tests.unit.tiny import pairs, unet
from unpaint import encoded, weights
from unpaint.errors import UserError
from unpaint.export import export
from unpaint.lineage import manifest as manifests
from unpaint.lineage.manifest import Manifest, sha256
from unpaint.models import checkpoint
from unpaint.models.base_model import embed, encode, led_to, load_base_model, load_denoiser, network_of
from unpaint.models.checkpoint import describe, load, strip_paths
from unpaint.models.denoiser import train_scope
from unpaint.models.discrete import training_schedule
from unpaint.models.latent_unet import LatentUNet, StableDiffusion
from unpaint.sample import render


@pytest.fixture(scope="module")
def base(pipeline, tmp_path_factory):
    """base.json with its pipeline beside it."""
    folder = tmp_path_factory.mktemp("base")
    pipeline.save_pretrained(folder / "pipeline", safe_serialization=True)
    strip_paths(folder / "pipeline")
    describe(folder / "base.json", folder / "pipeline", Manifest("base", {"seed": 3}, {}), 16)
    return folder / "base.json"


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("scheduler", [DDPMScheduler, DDIMScheduler])
def test_squared_residuals_are_the_errors_of_diffusers_training_script(kind, scheduler):
    torch.manual_seed(0)
    module, noising = unet(), scheduler(prediction_type=kind)
    latents, noise, texts = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.randn(3, 5, 8)
    timesteps = torch.tensor([0, 400, 999])
    alpha = noising.alphas_cumprod[timesteps].view(3, 1, 1, 1)
    noised = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    targets = {
        "epsilon": noise,
        "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * latents,
        "sample": latents,
    }
    expected = torch.nn.functional.mse_loss(module(noised, timesteps, texts).sample, targets[kind], reduction="none")
    found = LatentUNet(module, noising).residuals(latents, {"text": texts}, noise, timesteps)
    torch.testing.assert_close(found.square(), expected)


def test_an_unknown_prediction_type_is_refused():
    with pytest.raises(UserError, match=r"^scheduler_config.json: prediction_type flow is none of epsilon, v_pred"):
        LatentUNet(unet(), DDPMScheduler(prediction_type="flow"))


def test_a_sampler_that_tells_no_betas_is_no_schedule_of_training():
    assert training_schedule(DDIMScheduler(beta_end=0.1).config).betas[-1] == pytest.approx(0.1)
    with pytest.raises(UserError, match=r"EDMEulerScheduler names no schedule of betas"):
        training_schedule({**EDMEulerScheduler().config, "_class_name": "EDMEulerScheduler"})


def pictures(pipeline, requests, width=3):
    wanted = [SimpleNamespace(prompt=prompt, seed=seed) for prompt, seed in requests]
    return list(render(StableDiffusion(pipeline, 16, 2.0), wanted, width=width, steps=2))


REQUESTS = [("a red two", 1), ("a blue seven on green", 2), ("a red two", 3), ("four", 2**47), ("", 5)]


def test_a_picture_does_not_depend_on_neighbours_order_or_padding(pipeline):
    whole = pictures(pipeline, REQUESTS)
    assert [(p.shape, p.dtype) for p in whole] == [((16, 16, 3), np.uint8)] * 5
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        for one, other in zip(pictures(pipeline, REQUESTS[start:stop]), whole[start:stop], strict=True):
            assert np.array_equal(one, other)
    for one, other in zip(pictures(pipeline, REQUESTS[::-1]), whole[::-1], strict=True):
        assert np.array_equal(one, other)


def test_every_batch_is_of_the_same_width_however_few_pictures_are_left(pipeline):
    seen = []

    class Watched:
        def refuse_long(self, prompts):
            assert len(prompts) == 5

        def paint(self, prompts, generators, _):
            seen.append((len(prompts), len(generators)))
            return np.zeros((len(prompts), 2, 2, 3))

    wanted = [SimpleNamespace(prompt=prompt, seed=seed) for prompt, seed in REQUESTS]
    assert len(list(render(Watched(), wanted, width=4, steps=2))) == 5
    assert seen == [(4, 4), (4, 4)]


def test_a_prompt_that_would_be_cut_off_is_refused(pipeline):
    long = " ".join(["a two"] * pipeline.tokenizer.model_max_length)
    with pytest.raises(UserError, match="tokens, and the base model reads"):
        pictures(pipeline, [("a two", 1), (long, 1)])


def test_equal_prompts_and_seeds_give_equal_pictures_and_others_others(pipeline):
    """A seed counts for its own row: nothing is seeded anew per batch (field, defects 8, 12 and 18)."""
    same, again, seed, prompt = pictures(pipeline, [("a two", 1), ("a two", 1), ("a two", 2), ("blue", 1)], width=2)
    assert np.array_equal(same, again)
    assert not np.array_equal(same, seed)
    assert not np.array_equal(same, prompt)


def test_global_randomness_does_not_reach_a_picture(pipeline):
    torch.manual_seed(1)
    one = pictures(pipeline, REQUESTS[:1])[0]
    torch.manual_seed(2)
    assert np.array_equal(one, pictures(pipeline, REQUESTS[:1])[0])


def test_encoding_gives_the_scaled_posterior_and_an_embedding_per_distinct_prompt(pipeline):
    given = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    prompts = ["b two", "a one", "b two"]
    model = StableDiffusion(pipeline, 16, 2.0)
    found = encode(model, given, prompts, batch=2)
    with torch.no_grad():
        posterior = pipeline.vae.encode(given / 127.5 - 1).latent_dist
        texts = pipeline.encode_prompt(["b two"], "cpu", 1, False)[0][0]
        # what the pipeline itself subtracts under classifier-free guidance
        negative = pipeline.encode_prompt(["b two"], "cpu", 1, True)[1][0]
    scale = pipeline.vae.config.scaling_factor
    torch.testing.assert_close(found.mean, posterior.mean * scale, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.std, posterior.std * scale, rtol=1e-4, atol=1e-5)
    own = found.conditions["text"]
    assert (len(found), len(own), found.prompt[0]) == (3, 2, found.prompt[2])
    torch.testing.assert_close(own[found.prompt[0]], texts, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.unprompted["text"], negative, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.anchor, found.prompt)
    led = led_to(model, found, ["b two", "c three", "a one"], batch=2)
    there = led.conditions["text"]
    torch.testing.assert_close(there[led.anchor[[0, 2]]], own[found.prompt[:2]])
    torch.testing.assert_close(there[led.anchor[1]], embed(model, ["c three"], batch=2)["text"][0])
    assert torch.equal(there[led.prompt], own[found.prompt])


def test_an_encoded_corpus_round_trips_in_the_same_bytes(tmp_path):
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for path in paths:
        encoded.write(path, pairs(), Manifest("encode", {}, {"corpus": "c"}))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert manifests.read(paths[0]).inputs == {"corpus": "c"}
    found, given = encoded.read(paths[0]), pairs()
    for name in ("mean", "std", "prompt", "anchor"):
        assert torch.equal(getattr(found, name), getattr(given, name))
    for one, other in ((found.conditions, given.conditions), (found.unprompted, given.unprompted)):
        assert one.keys() == other.keys()
        assert torch.equal(one["text"], other["text"])


def test_a_truncated_encoded_corpus_is_refused(tmp_path):
    path = tmp_path / "e.safetensors"
    encoded.write(path, pairs(), Manifest("encode", {}, {}))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"missing, truncated or no encoded corpus; restore it or make it again$"):
        encoded.read(path)


def changed(module, scope, rank=2):
    """Parameters of a scope, moved by noise."""
    trained = train_scope(module, scope, rank)
    random = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return trained


def unlearned(base, path, scope="cross-attention", to=None):
    """Made-up unlearned weights of a base model, and the network that they were taken from."""
    denoiser = load_denoiser(base, "cpu")
    trained = changed(denoiser.module, scope)
    method = {"scope": scope, "lora_rank": 2, "method": "rg"}
    inputs = {"base": sha256(to or base), "forget": "f", "retain": "r"}
    weights.write(path, trained, Manifest("unlearn", {"method": method, "seed": 0}, inputs))
    return denoiser.module.eval()


def output(module):
    given = pairs(2)
    with torch.no_grad():
        return module.eval()(given.mean, torch.tensor([10, 500]), given.conditions["text"][:2]).sample


SCOPES = ["full", "cross-attention", "lora"]


@pytest.mark.parametrize("scope", SCOPES)
def test_applied_weights_are_the_network_that_was_unlearned(base, tmp_path, scope):
    module = unlearned(base, tmp_path / "m.safetensors", scope)
    own = network_of(load_base_model(base, "cpu"))
    before = output(own)
    manifest = weights.apply(own, tmp_path / "m.safetensors", base)
    assert manifest.settings["method"]["scope"] == scope
    assert torch.equal(output(own), output(module))
    assert not torch.allclose(output(own), before)


def test_weights_hold_the_scope_s_parameters_alone_in_the_same_bytes(base, tmp_path):
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for path in paths:
        unlearned(base, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert all(".attn2." in name for name in load_file(paths[0]))


def test_weights_of_another_base_model_are_refused(base, tmp_path):
    other = tmp_path / "base.json"
    other.write_text(base.read_text(encoding="utf-8") + " ", encoding="utf-8")
    unlearned(base, tmp_path / "m.safetensors", to=other)
    with pytest.raises(
        UserError, match=r"m.safetensors: unlearned from another base model than .*; make it again from"
    ):
        weights.apply(unet(), tmp_path / "m.safetensors", base)


def test_weights_that_do_not_fit_the_network_are_refused(base, tmp_path):
    path = tmp_path / "m.safetensors"
    method = {"scope": "full", "lora_rank": 2}
    weights.write(
        path, {"conv_in.bias": torch.zeros(3)}, Manifest("unlearn", {"method": method}, {"base": sha256(base)})
    )
    with pytest.raises(
        UserError, match=r"m.safetensors: conv_in.bias does not fit the base model; it was made from another"
    ):
        weights.apply(unet(), path, base)


def test_another_artefact_of_the_same_base_model_is_refused_as_weights(base, tmp_path):
    path = tmp_path / "forget.safetensors"
    encoded.write(path, pairs(), Manifest("encode", {"sampling": {}}, {"base": sha256(base), "corpus": "c"}))
    with pytest.raises(UserError, match=r"forget.safetensors: "):
        weights.apply(unet(), path, base)


def test_truncated_weights_are_refused(base, tmp_path):
    path = tmp_path / "m.safetensors"
    unlearned(base, path)
    path.write_bytes(path.read_bytes()[:-10])
    message = "m.safetensors: missing, truncated or no safetensors file; restore it or make it again$"
    with pytest.raises(UserError, match=message):
        weights.apply(unet(), path, base)


@pytest.fixture
def copy(base, tmp_path):
    shutil.copytree(base.parent, tmp_path / "copy")
    return tmp_path / "copy" / "base.json"


REMEDY = "restore it with `dvc checkout` or `dvc pull`, or make it again"


def test_a_base_model_is_verified_whole_or_in_part(copy):
    found = load(copy)
    assert found.verified() == found.verified("unet") == copy.parent / "pipeline"
    (copy.parent / "pipeline/vae/config.json").unlink()
    assert found.verified("unet", "scheduler")
    message = f"vae/config.json: missing, base.json lists it; {REMEDY}$"
    with pytest.raises(UserError, match=message):
        found.verified()


def test_a_flipped_byte_of_a_base_model_is_found(copy):
    path = copy.parent / "pipeline/unet/diffusion_pytorch_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    message = rf"not the file that base.json lists \(truncated or changed\); {REMEDY}$"
    for opened in (lambda: load_denoiser(copy, "cpu"), lambda: load_base_model(copy, "cpu")):
        with pytest.raises(UserError, match=message):
            opened()


@pytest.mark.parametrize("content", ["{}", "[]", "{"])
def test_a_foreign_base_json_is_refused(tmp_path, content):
    (tmp_path / "base.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"base.json: not a"):
        load(tmp_path / "base.json")


def test_the_denoiser_is_read_without_autoencoder_and_text_encoder(copy):
    for part in ("vae", "text_encoder", "tokenizer"):
        shutil.rmtree(copy.parent / "pipeline" / part)
    denoiser = load_denoiser(copy, "cpu")
    assert isinstance(denoiser.module, UNet2DConditionModel)
    assert denoiser.timesteps == 1000


def test_a_base_model_written_in_two_folders_has_the_same_bytes_and_no_path_in_them(pipeline, tmp_path):
    folders = [tmp_path / "one", tmp_path / "another"]
    for folder in folders:
        pipeline.save_pretrained(folder / "pipeline", safe_serialization=True)
        # what was loaded from a folder knows its name
        again = DiffusionPipeline.from_pretrained(folder / "pipeline")
        shutil.rmtree(folder / "pipeline")
        again.save_pretrained(folder / "pipeline", safe_serialization=True)
        strip_paths(folder / "pipeline")
        describe(folder / "base.json", folder / "pipeline", Manifest("base", {}, {}), 16)
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*.*")) for folder in folders]
    assert names[0] == names[1]
    for name in names[0]:
        one, other = ((folder / name).read_bytes() for folder in folders)
        assert one == other, name
        assert str(tmp_path).encode() not in one, name


@pytest.mark.parametrize("scope", SCOPES)
def test_an_export_loads_without_us_and_is_the_unlearned_network(base, tmp_path, scope):
    module = unlearned(base, tmp_path / "m.safetensors", scope)
    (tmp_path / "README.md").write_text("card", encoding="utf-8")
    export(tmp_path / "m.safetensors", base, tmp_path / "out")
    loaded = DiffusionPipeline.from_pretrained(tmp_path / "out", use_safetensors=True)
    torch.testing.assert_close(output(loaded.unet), output(module), rtol=1e-4, atol=1e-5)
    assert isinstance(loaded.vae, AutoencoderKL)
    assert not [name for name, _ in loaded.unet.named_parameters() if "lora" in name]
    assert manifests.read(tmp_path / "out/unet/diffusion_pytorch_model.safetensors") == manifests.read(
        tmp_path / "m.safetensors"
    )
    assert (tmp_path / "out/README.md").read_text(encoding="utf-8") == "card"
    for path in (tmp_path / "out").rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert str(tmp_path) not in text, path
        assert str(base.parent) not in text, path
        assert "_name_or_path" not in json.loads(text), path
    assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors", "README.md", "out"}


def test_exporting_twice_gives_the_same_bytes(base, tmp_path):
    unlearned(base, tmp_path / "m.safetensors")
    for name in ("one", "two"):
        export(tmp_path / "m.safetensors", base, tmp_path / name)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path


def test_export_refuses_a_folder_that_exists_and_leaves_nothing_when_it_fails(base, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: exists already; name another folder or delete it$"):
        export(tmp_path / "m.safetensors", base, tmp_path)
    with pytest.raises(UserError, match=r"m.safetensors: missing, truncated or no safetensors file"):
        export(tmp_path / "m.safetensors", base, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_scope_that_selects_nothing_is_refused():
    with pytest.raises(
        UserError, match=r"^scope: cross-attention selects no parameter of this network; choose another$"
    ):
        train_scope(torch.nn.Linear(2, 2), "cross-attention", 2)


def test_base_json_lists_every_file_with_its_hash(base):
    fields = json.loads(base.read_text(encoding="utf-8"))
    folder = base.parent / "pipeline"
    assert fields["files"] == {
        path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    assert list(fields["files"]) == sorted(fields["files"])
    assert checkpoint.load(base).folder == folder
