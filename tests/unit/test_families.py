"""Every family on a tiny checkpoint of its own layout: what it is told, its training error, unlearning, export."""

import json
import shutil
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.checkpoints import BUILDERS, LABELS, SIDE
from unpaint import encoded, weights
from unpaint.corpus import encode as png
from unpaint.errors import UserError
from unpaint.export import export
from unpaint.lineage.manifest import Manifest, sha256
from unpaint.models import families
from unpaint.models.base_model import (
    embed,
    encode,
    led_to,
    load_base_model,
    load_denoiser,
    network_of,
    refuse_unread,
)
from unpaint.models.checkpoint import describe, strip_paths
from unpaint.models.class_conditional import Labels
from unpaint.models.conditions import joined, rows_of, taken
from unpaint.models.denoiser import train_scope
from unpaint.sample import render
from unpaint.stages.images import images
from unpaint.unlearn import loop, methods
from unpaint.unlearn.frozen import Frozen, Inputs

BY_CLASS = {"DiT": ("sort 300", "kind 777", "five"), "UNet2D": LABELS[:3], "EDM": LABELS[:3]}
PROMPTS = ("a red two", "a blue seven", "four")
PROMPTED = ("SD1", "SD2-v", "SDXL", "SD3", "FLUX", "PixArt")
GUIDANCE = {"EDM": 1.0, "FLUX": 3.5}
SETTINGS = {
    "steps": 2,
    "batch": 2,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "hold": 1.0,
    "settle": 0.0,
    "retain_weight": 1.0,
    "retain_target": "base",
    "unprompted": 0.25,
    "truncation": {"mode": "anchor", "value": 1.5},
    "guard": True,
    "gradient_checkpointing": False,
    "scope": "full",
    "lora_rank": 2,
}
METHODS = {
    "rgd": {"method": "rgd", "surgery": "cone", "retain_batches_per_step": 2, "retain_batches_per_pass": 2},
    "graddiff": {"method": "graddiff"},
}


def prompts_of(family):
    return BY_CLASS.get(family, PROMPTS)


def base_model(path, family, device="cpu"):
    return load_base_model(path, device, GUIDANCE.get(family, 2.0))


def requests(family, seeds=(1, 2, 3)):
    return [SimpleNamespace(prompt=prompt, seed=seed) for prompt, seed in zip(prompts_of(family), seeds, strict=True)]


every = pytest.mark.parametrize("family", BUILDERS)


@every
def test_a_picture_depends_on_its_prompt_and_seed_alone(checkpoints, family):
    model = base_model(checkpoints(family), family)
    whole = list(render(model, requests(family), width=2, steps=2))
    assert [(picture.shape, picture.dtype) for picture in whole] == [((SIDE, SIDE, 3), np.uint8)] * 3
    for one, other in zip(render(model, requests(family)[::-1], width=2, steps=2), whole[::-1], strict=True):
        assert np.array_equal(one, other)
    other = next(render(model, requests(family, (9, 2, 3)), width=2, steps=2))
    assert not np.array_equal(whole[0], other)


@every
def test_training_tells_the_network_what_the_pipeline_tells_it(checkpoints, family):
    """What the network is given while the pipeline paints are the conditions of the prompt, and those of none."""
    model, seen = base_model(checkpoints(family), family), []
    network = network_of(model)
    hook = network.register_forward_pre_hook(lambda _, args, given: seen.append((args, given)), with_kwargs=True)
    prompt = prompts_of(family)[0]
    try:
        next(render(model, requests(family)[:1], width=1, steps=1))
    finally:
        hook.remove()
    told = flat(seen)
    own = model.conditions([prompt])
    empty = {name: tensor[None] for name, tensor in model.unprompted().items()}
    guided = model.guidance > 1 and family not in ("FLUX", "EDM")
    for name, tensor in own.items():
        both = torch.cat([empty[name], tensor]) if guided else tensor
        assert any(same(both, found) or same(both.flip(0), found) for found in told), name


def flat(seen):
    """Every tensor of every call; calls of single rows, one after the other, also as one."""
    calls = [list(tensors(given)) for given in seen]
    alone = [found for call in calls for found in call]
    together = [
        torch.cat(found)
        for found in zip(*calls, strict=False)
        if len(calls) > 1 and all(tensor.ndim for tensor in found)
    ]
    return [*alone, *together]


def tensors(given):
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, dict):
        for value in given.values():
            yield from tensors(value)
    elif isinstance(given, (list, tuple)):
        for value in given:
            yield from tensors(value)


def same(one, other):
    return one.shape == other.shape and torch.allclose(one.float(), other.float(), rtol=1e-4, atol=1e-5)


def corpus(model, family, rows=4):
    random = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (rows, 3, SIDE, SIDE), dtype=torch.uint8, generator=random)
    first, second, third = prompts_of(family)
    forget = encode(model, pictures, [first, second] * (rows // 2), batch=3)
    retain = encode(model, pictures.flip(0), [third, second] * (rows // 2), batch=3)
    return led_to(model, forget, [third] * rows, batch=3), retain


def inputs(model, family):
    """What a denoiser is given of the corpus, but for the times: latents, conditions, noise."""
    forget, _ = corpus(model, family)
    noise = torch.randn(forget.mean.shape, generator=torch.Generator().manual_seed(1))
    return forget.mean, taken(forget.conditions, forget.prompt), noise


@every
@torch.no_grad()
def test_the_denoiser_alone_is_that_of_the_whole(checkpoints, family):
    model = base_model(checkpoints(family), family)
    clean, told, noise = inputs(model, family)
    alone = load_denoiser(checkpoints(family), "cpu")
    times = alone.spread(4)
    assert len(set(times.tolist())) == 4
    found = alone.residuals(clean, told, noise, times)
    torch.testing.assert_close(found, model.denoiser.residuals(clean, told, noise, times))
    assert found.shape == clean.shape


@every
@torch.no_grad()
def test_the_error_is_that_of_the_training_script_or_the_paper(checkpoints, family):
    model = base_model(checkpoints(family), family)
    clean, told, noise = inputs(model, family)
    denoiser, network = model.denoiser, network_of(model)
    times = torch.stack([denoiser.draw(torch.Generator().manual_seed(seed)) for seed in range(4)])
    errors = denoiser.residuals(clean, told, noise, times).square()
    if (weight := denoiser.weights(times)) is not None:
        errors = errors * weight.view(-1, 1, 1, 1)
    expected = SCRIPTS[family](network, model.pipeline.scheduler, clean, told, noise, times)
    torch.testing.assert_close(errors, expected, rtol=1e-3, atol=1e-5)


def noising(scheduler, clean, noise, times, kind):
    """train_text_to_image.py: the noised latents, and the target."""
    from diffusers import DDPMScheduler

    alpha = DDPMScheduler.from_config(scheduler.config).alphas_cumprod[times].view(-1, 1, 1, 1)
    noised = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    return noised, noise if kind == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean


def sd(network, scheduler, clean, told, noise, times):
    noised, target = noising(scheduler, clean, noise, times, scheduler.config.prediction_type)
    return (network(noised, times, told["text"], return_dict=False)[0] - target).square()


def sdxl(network, scheduler, clean, told, noise, times):
    """train_text_to_image_sdxl.py."""
    noised, target = noising(scheduler, clean, noise, times, "epsilon")
    sizes = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]]).repeat(len(clean), 1)
    given = {"time_ids": sizes, "text_embeds": told["pooled"]}
    found = network(noised, times, told["text"], added_cond_kwargs=given, return_dict=False)[0]
    return (found - target).square()


def sd3(network, scheduler, clean, told, noise, times):
    """train_dreambooth_sd3.py without its preconditioning of outputs: the direction from picture to noise."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    schedule = FlowMatchEulerDiscreteScheduler.from_config(scheduler.config)
    timesteps = schedule.timesteps[times]
    sigmas = torch.stack([schedule.sigmas[(schedule.timesteps == t).nonzero().item()] for t in timesteps])
    sigmas = sigmas.view(-1, 1, 1, 1)
    found = network(
        hidden_states=(1.0 - sigmas) * clean + sigmas * noise,
        timestep=timesteps,
        encoder_hidden_states=told["text"],
        pooled_projections=told["pooled"],
        return_dict=False,
    )[0]
    return (found - (noise - clean)).square()


def flux(network, scheduler, clean, told, noise, times):
    """train_dreambooth_flux.py."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    schedule = FlowMatchEulerDiscreteScheduler.from_config(scheduler.config)
    timesteps = schedule.timesteps[times]
    sigmas = torch.stack([schedule.sigmas[(schedule.timesteps == t).nonzero().item()] for t in timesteps])
    sigmas = sigmas.view(-1, 1, 1, 1)
    noised = (1.0 - sigmas) * clean + sigmas * noise
    count, channels, height, width = noised.shape
    packed = FluxPipeline._pack_latents(noised, count, channels, height, width)
    found = network(
        hidden_states=packed,
        timestep=timesteps / 1000,
        guidance=torch.full((count,), GUIDANCE["FLUX"]),
        pooled_projections=told["pooled"],
        encoder_hidden_states=told["text"],
        txt_ids=torch.zeros(told["text"].shape[1], 3),
        img_ids=FluxPipeline._prepare_latent_image_ids(count, height // 2, width // 2, "cpu", torch.float32),
        return_dict=False,
    )[0]
    found = FluxPipeline._unpack_latents(found, height=SIDE, width=SIDE, vae_scale_factor=2)
    return (found - (noise - clean)).square()


def pixart(network, scheduler, clean, told, noise, times):
    """train_pixart_lora_hf.py."""
    noised, target = noising(scheduler, clean, noise, times, "epsilon")
    found = network(
        noised,
        encoder_hidden_states=told["text"],
        encoder_attention_mask=told["mask"],
        timestep=times,
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
    ).sample.chunk(2, 1)[0]
    return (found - target).square()


def dit(network, scheduler, clean, told, noise, times):
    """The simple loss of arXiv 2212.09748 (equation 2)."""
    noised, target = noising(scheduler, clean, noise, times, "epsilon")
    found = network(noised, timestep=times, class_labels=told["label"]).sample.chunk(2, 1)[0]
    return (found - target).square()


def unet2d(network, scheduler, clean, told, noise, times):
    """train_unconditional.py, with labels."""
    noised, target = noising(scheduler, clean, noise, times, "epsilon")
    return (network(noised, times, class_labels=told["label"]).sample - target).square()


def edm(network, scheduler, clean, told, noise, times):
    """Arxiv 2206.00364, equation 2 with table 1, written out."""
    data, level = 0.5, times.view(-1, 1, 1, 1)
    noised = clean + level * noise
    skip = data**2 / (level**2 + data**2)
    out = level * data / (level**2 + data**2).sqrt()
    found = network(noised / (level**2 + data**2).sqrt(), times.log() / 4, class_labels=told["label"]).sample
    weight = (level**2 + data**2) / (level * data) ** 2
    return weight * (skip * noised + out * found - clean).square()


SCRIPTS = {
    "SD1": sd,
    "SD2-v": sd,
    "SDXL": sdxl,
    "SD3": sd3,
    "FLUX": flux,
    "PixArt": pixart,
    "DiT": dit,
    "UNet2D": unet2d,
    "EDM": edm,
}


def kind_of(family):
    return "UNet2DModel" if family in ("UNet2D", "EDM") else "DiffusionPipeline"


def paint(told, family):
    """Load by the printed call, and take a step where a prompt is taken."""
    kind = kind_of(family)
    loaded = eval(told, {kind: getattr(diffusers, kind), "torch": torch})
    if family not in PROMPTED:
        return
    # whose sizes by shape are for true ones
    more = {"use_resolution_binning": False} if family == "PixArt" else {}
    size = {"height": SIDE, "width": SIDE}
    painted = loaded("a red two", num_inference_steps=1, output_type="np", **size, **more).images
    assert painted.shape == (1, SIDE, SIDE, 3)


@every
@pytest.mark.parametrize(("method", "scope"), [("rgd", "full"), ("graddiff", "full"), ("rgd", "lora")])
def test_it_unlearns_and_is_exported_as_a_pipeline_that_paints_the_same(checkpoints, tmp_path, family, method, scope):
    path = checkpoints(family)
    model = base_model(path, family)
    forget, retain = corpus(model, family)
    settings = SETTINGS | METHODS[method] | {"scope": scope, "unprompted": 0.0 if family == "EDM" else 0.25}
    denoiser = load_denoiser(path, "cpu")
    steps = list(loop.unlearn(denoiser, forget, retain, methods.find(settings), settings, seed=0))
    assert len(steps) == 2
    assert all(np.isfinite([step.forget_loss, step.retain_loss, step.retain_change]).all() for step in steps)
    trained = {name: value for name, value in denoiser.module.named_parameters() if value.requires_grad}
    stamp = Manifest("unlearn", {"method": settings, "seed": 0}, {"base": sha256(path)})
    weights.write(tmp_path / "model.safetensors", trained, stamp)
    before = next(render(model, requests(family)[:1], width=1, steps=2))
    weights.apply(network_of(model), tmp_path / "model.safetensors", path)
    unlearned = next(render(model, requests(family)[:1], width=1, steps=2))
    assert not np.array_equal(before, unlearned)
    told = export(tmp_path / "model.safetensors", path, tmp_path / "exported")
    again = families.find(tmp_path / "exported").load(
        tmp_path / "exported", "cpu", SIDE, GUIDANCE.get(family, 2.0), torch.float32
    )
    exported = next(render(again, requests(family)[:1], width=1, steps=2))
    assert np.abs(exported.astype(int) - unlearned.astype(int)).max() <= 1
    assert told.startswith(f"{kind_of(family)}.from_pretrained('{tmp_path}/exported")
    assert told.endswith(", torch_dtype=torch.float32)")
    paint(told, family)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("scope", ["full", "lora"])
@every
def test_in_half_precision_it_begins_as_the_base_model_and_learns_in_full(
    checkpoints, tmp_path, family, scope, precision
):
    path, dtype = halved(checkpoints(family), tmp_path, precision), getattr(torch, precision)
    model = base_model(path, family)
    assert {part.dtype for part in parts(model)} == {dtype}
    forget, retain = corpus(model, family)
    settings = SETTINGS | METHODS["rgd"] | {"scope": scope, "unprompted": 0.0 if family == "EDM" else 0.25}
    if scope == "lora":
        settings["learning_rate"] = 0.1  # adapters begin at zero
    denoiser = load_denoiser(path, "cpu", scope)
    first, second = loop.unlearn(denoiser, forget, retain, methods.find(settings), settings, seed=0)
    # the model and its frozen self round alike, but for a CPU's float16, which has other kernels without a gradient
    assert first.retain_loss <= (1e-7 if precision == "float16" else 0)
    assert 1e-7 < second.retain_loss < float("inf")
    held = {parameter.dtype for parameter in denoiser.module.parameters() if not parameter.requires_grad}
    trained = {name: value for name, value in denoiser.module.named_parameters() if value.requires_grad}
    assert {value.dtype for value in trained.values()} == {torch.float32}
    assert held == ({dtype} if scope == "lora" else set())
    stamp = Manifest("unlearn", {"method": settings, "seed": 0}, {"base": sha256(path)})
    weights.write(tmp_path / "model.safetensors", trained, stamp)
    before = next(render(model, requests(family)[:1], width=1, steps=2))
    weights.apply(network_of(model), tmp_path / "model.safetensors", path)
    after = next(render(model, requests(family)[:1], width=1, steps=2))
    assert not np.array_equal(before, after)
    folder = tmp_path / "exported"
    told = export(tmp_path / "model.safetensors", path, folder)
    assert told.endswith(f", torch_dtype=torch.{precision})")
    if scope == "full":
        paint(told, family)
    if scope == "full":  # adapters are merged in float32, and so rounded once where they were twice
        guidance = GUIDANCE.get(family, 2.0)
        again = families.find(folder).load(folder, "cpu", SIDE, guidance, dtype)
        assert np.array_equal(next(render(again, requests(family)[:1], width=1, steps=2)), after)
    network = tmp_path / "exported" / model.network / "diffusion_pytorch_model.safetensors"
    assert {value.dtype for value in load_file(network).values()} == {torch.float32}


def halved(path, folder, precision="bfloat16"):
    """The base.json of the same checkpoint in half precision."""
    fields = json.loads(path.read_text()) | {"precision": precision}
    (folder / "pipeline").symlink_to(path.parent / "pipeline")
    (folder / "base.json").write_text(json.dumps(fields))
    return folder / "base.json"


def parts(model):
    return [part for part in model.pipeline.components.values() if isinstance(part, torch.nn.Module)]


@pytest.mark.parametrize(("precision", "near"), [("bfloat16", 0.05), ("float16", 0.006)])
@every
@torch.no_grad()
def test_half_precision_is_near_the_whole(checkpoints, tmp_path, family, precision, near):
    path = checkpoints(family)
    clean, told, noise = inputs(base_model(path, family), family)
    whole, half = load_denoiser(path, "cpu"), load_denoiser(halved(path, tmp_path, precision), "cpu", "lora")
    times = whole.spread(4)
    one, other = (each.residuals(clean, told, noise, times) for each in (whole, half))
    assert other.dtype == torch.float32
    assert not torch.equal(one, other)
    assert (one - other).norm() < near * one.norm()


@every
def test_gradient_checkpointing_changes_no_bit(checkpoints, family):
    forget, retain = corpus(base_model(checkpoints(family), family), family)
    found, calls = [], []
    for wanted in (False, True):
        settings = SETTINGS | METHODS["rgd"] | {"gradient_checkpointing": wanted, "unprompted": 0.0}
        denoiser = load_denoiser(checkpoints(family), "cpu")
        ran = [0]
        for part in denoiser.module.modules():
            part.register_forward_hook(lambda *_, ran=ran: ran.__setitem__(0, ran[0] + 1))
        steps = list(loop.unlearn(denoiser, forget, retain, methods.find(settings), settings, seed=0))
        found.append((steps, {name: value.clone() for name, value in denoiser.module.named_parameters()}))
        calls.append(ran[0])
    assert calls[1] > calls[0]
    assert found[0][0] == found[1][0]
    assert all(torch.equal(found[0][1][name], found[1][1][name]) for name in found[0][1])


def test_where_adapters_learn_there_is_no_copy_of_the_weights(checkpoints):
    denoiser = load_denoiser(checkpoints("SD1"), "cpu", "lora")
    given = corpus(base_model(checkpoints("SD1"), "SD1"), "SD1")[0]
    inputs = Inputs(given.mean, taken(given.conditions, given.prompt), torch.ones_like(given.mean), denoiser.spread(4))
    with torch.no_grad():
        before = denoiser.residuals(*inputs)
    trained = train_scope(denoiser.module, "lora", 2)
    frozen = Frozen(denoiser)
    assert frozen.denoiser is denoiser
    for parameter in trained.values():
        torch.nn.init.normal_(parameter)
    assert torch.equal(frozen.residuals(inputs), before)
    assert all(parameter.requires_grad for parameter in trained.values())
    assert not torch.equal(denoiser.residuals(*inputs), before)


@every
def test_an_encoded_corpus_round_trips(checkpoints, tmp_path, family):
    forget, _ = corpus(base_model(checkpoints(family), family), family)
    encoded.write(tmp_path / "one.safetensors", forget, Manifest("encode", {}, {}))
    found = encoded.read(tmp_path / "one.safetensors")
    for group in ("conditions", "unprompted"):
        one, other = getattr(found, group), getattr(forget, group)
        assert set(one) == set(other)
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert set(load_file(tmp_path / "one.safetensors")) >= {"mean", "std", "prompt", "anchor"}


@every
def test_each_prompt_is_told_apart_whatever_its_batch(checkpoints, family):
    model = base_model(checkpoints(family), family)
    together = embed(model, prompts_of(family), batch=3)
    alone = joined([embed(model, [prompt], batch=1) for prompt in prompts_of(family)])
    assert rows_of(together) == 3
    for name in together:
        torch.testing.assert_close(together[name].float(), alone[name].float(), rtol=1e-4, atol=1e-4)
    first = next(iter(together.values()))
    assert not torch.equal(first[0], first[1])


def test_no_label_drops_out_by_itself_in_training(checkpoints):
    """Nor does anything else draw from a generator that no seed of ours decides."""
    forget, retain = corpus(base_model(checkpoints("DiT"), "DiT"), "DiT")
    settings = SETTINGS | METHODS["graddiff"] | {"steps": 4}
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        denoiser = load_denoiser(checkpoints("DiT"), "cpu")
        found.append(list(loop.unlearn(denoiser, forget, retain, methods.find(settings), settings, 0)))
    assert found[0] == found[1]


def test_a_name_that_is_no_class_is_refused(checkpoints):
    model = base_model(checkpoints("EDM"), "EDM")
    with pytest.raises(UserError, match=r"'zebra' is no class of the base model; its 10 classes are called zero, one"):
        model.refuse_long(["two", "zebra"])


def without_weights(path, folder):
    """The checkpoint without any file of weights."""
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder / "base.json"


def refusal(refuse):
    with pytest.raises(UserError) as caught:
        refuse()
    return str(caught.value)


@every
def test_what_cannot_be_read_is_refused_without_weights_in_the_same_words(checkpoints, family, tmp_path):
    model, base = base_model(checkpoints(family), family), without_weights(checkpoints(family), tmp_path / "bare")
    refuse_unread(base, prompts_of(family))
    long = "a two " * 600
    said = refusal(lambda: refuse_unread(base, [*prompts_of(family), long]))
    assert said == refusal(lambda: model.refuse_long([*prompts_of(family), long]))
    assert repr(long) in said


def test_how_far_a_checkpoint_reads_is_told_by_its_own_parts(checkpoints, tmp_path):
    long = "a two " * 600
    bare = {family: without_weights(checkpoints(family), tmp_path / family) for family in ("FLUX", "SD3")}
    assert "the base model reads 512;" in refusal(lambda: refuse_unread(bare["FLUX"], [long]))
    assert "the base model reads 256;" in refusal(lambda: refuse_unread(bare["SD3"], [long]))
    config = bare["FLUX"].parent / "pipeline/transformer/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "guidance_embeds": False}))
    assert "the base model reads 256;" in refusal(lambda: refuse_unread(bare["FLUX"], [long]))
    # SD3 may be without its third encoder
    index = bare["SD3"].parent / "pipeline/model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "tokenizer_3": [None, None]}))
    describe(bare["SD3"], index.parent, Manifest("base", {}, {}), SIDE)
    assert "the base model reads 16;" in refusal(lambda: refuse_unread(bare["SD3"], [long]))


def test_a_caption_that_the_base_model_cannot_read_is_refused_before_it_is_encoded(checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/sets/mine"
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"{number}.png").write_bytes(png(np.full((SIDE, SIDE, 3), 100 * number, dtype=np.uint8)))
    (tmp_path / "train.json").write_text(json.dumps({"forget": [], "retain": [], "concept": []}))
    settings = {"set": "forget", "source": "data/sets/mine", "device": "cpu", "threads": 1, "sampling": {}}
    given = {"base": checkpoints("SD1"), "prompts": tmp_path / "train.json", "source": tmp_path / "train.json"}
    given |= {"corpus": tmp_path / "forget.parquet", "rows": tmp_path / "forget.rows.tsv"}

    def captioned(second):
        (folder / "metadata.csv").write_text(f"file_name,caption\n0.png,a two\n1.png,{second}\n", encoding="utf-8")

    captioned("a two " * 20)
    with pytest.raises(UserError, match=r"'a two a two .*' has \d+ tokens, and the base model reads 16; shorten it"):
        images(settings, Manifest("images", settings, {}), **given)
    assert not given["corpus"].exists()
    captioned("a red two")
    images(settings, Manifest("images", settings, {}), **given)
    assert given["corpus"].exists()


def test_guidance_without_a_label_of_no_class_is_refused(checkpoints):
    with pytest.raises(UserError, match=r"sampling.guidance 2.0: the base model was trained without a label"):
        load_base_model(checkpoints("EDM"), "cpu", 2.0)


def test_a_share_seen_without_label_is_refused_where_there_is_no_such_label(checkpoints):
    forget, retain = corpus(base_model(checkpoints("EDM"), "EDM"), "EDM")
    settings = SETTINGS | METHODS["graddiff"]
    steps = loop.unlearn(load_denoiser(checkpoints("EDM"), "cpu"), forget, retain, methods.find(settings), settings, 0)
    with pytest.raises(UserError, match=r"unprompted: 0.25 of the retain pictures .* write 0.0"):
        next(steps)


@pytest.mark.parametrize(("family", "none"), [("DiT", True), ("UNet2D", True), ("EDM", False)])
def test_a_pin_keeps_the_prompts_that_a_checkpoint_by_class_knows(checkpoints, family, none):
    folder = checkpoints(family).parent / "pipeline"
    found = families.find(folder).described(folder)
    assert found["label_of_none"] is none
    assert set(LABELS) <= set(found["classes"])
    model = base_model(checkpoints(family), family)
    model.refuse_long(found["classes"])
    assert set(model.labels.numbers) == set(found["classes"])


def test_the_name_of_two_classes_is_no_prompt():
    assert Labels({"0": "crane, bird", "1": "crane, machine"}, None).prompts == [
        "bird",
        "crane, bird",
        "crane, machine",
        "machine",
    ]


def test_a_sampler_whose_noise_no_seed_decides_is_refused(checkpoints, tmp_path):
    shutil.copytree(checkpoints("DiT").parent, tmp_path / "copy")
    index = tmp_path / "copy/pipeline/model_index.json"
    index.write_text(index.read_text().replace("DDIMScheduler", "DDPMScheduler"))
    strip_paths(tmp_path / "copy/pipeline")
    describe(tmp_path / "copy/base.json", tmp_path / "copy/pipeline", Manifest("base", {}, {}), SIDE)
    opened = (
        lambda: base_model(tmp_path / "copy/base.json", "DiT"),
        lambda: families.find(tmp_path / "copy/pipeline").described(tmp_path / "copy/pipeline"),
    )
    for call in opened:
        with pytest.raises(UserError, match=r"DDPMScheduler may draw noise that no picture's seed decides"):
            call()


@pytest.mark.parametrize("family", ["SD3", "FLUX"])
def test_adapters_are_on_the_text_s_own_projections_as_well(checkpoints, family):
    trained = train_scope(load_denoiser(checkpoints(family), "cpu").module, "lora", 2)
    assert any(".add_k_proj." in name for name in trained)
    assert any(".to_k." in name for name in trained)


def test_a_scope_that_selects_nothing_is_refused():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    for scope in ("lora", "cross-attention"):
        with pytest.raises(UserError, match=rf"scope: {scope} selects no parameter of this network"):
            train_scope(network, scope, 2)


def test_an_unknown_family_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    with pytest.raises(UserError, match=r"KandinskyPipeline is no family that Unpaint knows; they are StableDiffusion"):
        families.find(tmp_path)
