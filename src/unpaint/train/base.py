"""The small world's base model: a true Stable Diffusion pipeline, tiny, trained from scratch.

An autoencoder first, then text encoder and denoiser together on its latents. What comes out is an ordinary diffusers
`StableDiffusionPipeline` and needs nothing of ours to load.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, Transformer2DModel, UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from unpaint.params import TIMESTEPS, Autoencoder, Denoiser
from unpaint.resume import Resume
from unpaint.train.fit import Record, fit, generator

ENCODING_BATCH = 256


BETAS, SCHEDULE = (0.00085, 0.012), "scaled_linear"
"""The noise schedule of Stable Diffusion."""
HEAD = 32
"""Width of an attention head."""
LATE = 1.4
"""Training draws noisy times more often (1 would be evenly): there it is settled which digit a picture shows."""


def build(vae: Autoencoder, denoiser: Denoiser, side: int, seed: int) -> StableDiffusionPipeline:
    """An untrained pipeline for pictures of `side` pixels, its weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer(denoiser.tokens)
        autoencoder = AutoencoderKL(
            sample_size=side,
            block_out_channels=tuple(vae.channels),
            down_block_types=("DownEncoderBlock2D",) * len(vae.channels),
            up_block_types=("UpDecoderBlock2D",) * len(vae.channels),
            layers_per_block=1,
            latent_channels=vae.latent_channels,
            # groups of few channels lose the flat colours that this world is full of
            norm_num_groups=1,
            mid_block_add_attention=False,
        )
        with torch.no_grad():
            # at its default the posterior starts with more noise than signal, and hundreds of steps go by to undo it
            autoencoder.quant_conv.bias[vae.latent_channels :] = -6.0
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=denoiser.text_width,
                intermediate_size=4 * denoiser.text_width,
                num_hidden_layers=1,
                num_attention_heads=denoiser.text_width // 16,
                max_position_embeddings=denoiser.tokens,
                projection_dim=denoiser.text_width,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        # at CLIP's own spread of 0.02 the layer's output drowns the words, and they are not trained (see fit_denoiser)
        nn.init.normal_(text.get_input_embeddings().weight)
        nn.init.normal_(text.embeddings.position_embedding.weight)
        kinds = [("CrossAttn" if attends else "") for attends in denoiser.attention]
        unet = UNet2DConditionModel(
            sample_size=side // 2 ** (len(vae.channels) - 1),
            in_channels=vae.latent_channels,
            out_channels=vae.latent_channels,
            block_out_channels=tuple(denoiser.channels),
            down_block_types=tuple(f"{kind}DownBlock2D" for kind in kinds),
            up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
            layers_per_block=1,
            # diffusers' name says the width of a head, its UNet reads the number of heads
            attention_head_dim=tuple(max(1, width // HEAD) for width in denoiser.channels),
            cross_attention_dim=denoiser.text_width,
            norm_num_groups=math.gcd(16, *denoiser.channels),
            # the prompt also joins the time embedding, which scales and shifts every layer: a small net learns faster
            addition_embed_type="text",
            addition_embed_type_num_heads=denoiser.text_width // 16,
            resnet_time_scale_shift="scale_shift",
        )
        _begin_as_identity(autoencoder)
        _begin_as_identity(unet)
    scheduler = DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_start=BETAS[0],
        beta_end=BETAS[1],
        beta_schedule=SCHEDULE,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,  # as diffusers wants it of a Stable Diffusion; trailing timesteps do not read it
    )
    return StableDiffusionPipeline(
        vae=autoencoder.eval(),
        text_encoder=text.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def fit_autoencoder(
    pipeline: StableDiffusionPipeline, pixels: Tensor, settings: Autoencoder, seed: int, resume: Resume | None = None
) -> Iterator[Record]:
    """Train the autoencoder on `pixels` (uint8, n x 3 x side x side), then set its scaling factor.

    The scaling factor is 1 / standard deviation of the latents, so that the denoiser sees unit variance.

    Raises:
        UserError: the loss is not finite.
    """
    vae = pipeline.vae

    def loss(step: int) -> Tensor:
        random = generator(seed, 0, step)
        rows = torch.randint(len(pixels), (settings.batch,), generator=random)
        pictures = _normalised(pixels[rows]).to(vae.device)
        posterior = vae.encode(pictures).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=random).to(vae.device)
        decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        error = decoded - pictures
        # an equal share of the loss to ground and drawing: unweighted, the few inked pixels are learned last
        contrast = (pictures - pictures.mean(dim=(2, 3), keepdim=True)).abs().mean(dim=1, keepdim=True)
        weight = 0.5 + 0.5 * contrast / contrast.mean(dim=(2, 3), keepdim=True).clamp(min=1e-3)
        value: Tensor = (weight * (error.abs() + error.square())).mean() + settings.kl_weight * posterior.kl().mean()
        return value

    vae.train()
    yield from fit(
        {"vae": vae},
        loss,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        resume=resume,
    )
    vae.eval()
    mean, std = _posterior(pipeline, pixels[: 8 * ENCODING_BATCH])
    variance = mean.var() + std.square().mean()
    vae.register_to_config(scaling_factor=float(variance.rsqrt()))


def fit_denoiser(
    pipeline: StableDiffusionPipeline,
    pixels: Tensor,
    prompts: Sequence[str],
    settings: Denoiser,
    seed: int,
    resume: Resume | None = None,
) -> Iterator[Record]:
    """Train text encoder and denoiser on the latents of `pixels` (uint8, n x 3 x side x side) and their `prompts`.

    Raises:
        UserError: the loss is not finite.
    """
    unet, text, scheduler = pipeline.unet, pipeline.text_encoder, pipeline.scheduler
    mean, std = (scale * pipeline.vae.config.scaling_factor for scale in _posterior(pipeline, pixels))
    tokens = pipeline.tokenizer(
        ["", *prompts],
        padding="max_length",
        max_length=pipeline.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids

    def loss(step: int) -> Tensor:
        random = generator(seed, 1, step)
        rows = torch.randint(len(mean), (settings.batch,), generator=random)
        latents = mean[rows] + std[rows] * torch.randn(mean[rows].shape, generator=random)
        noise = torch.randn(latents.shape, generator=random)
        # one time in each of `batch` equal spans is a steadier gradient than independent times
        shares = (torch.arange(settings.batch) + torch.rand(settings.batch, generator=random)) / settings.batch
        times = ((1 - (1 - shares) ** LATE) * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
        noisy = scheduler.add_noise(latents, noise, times).to(unet.device)
        target = scheduler.get_velocity(latents, noise, times).to(unet.device)
        said = torch.rand(settings.batch, generator=random) >= settings.unprompted
        states = text(tokens[(rows + 1) * said].to(unet.device))[0]
        value: Tensor = (unet(noisy, times.to(unet.device), states).sample - target).square().mean()
        return value

    for module in (unet, text):
        module.train()
    # tokens never seen keep their place, and an optimiser over the whole vocabulary would cost a tenth of each step
    text.get_input_embeddings().requires_grad_(False)
    yield from fit(
        {"unet": unet, "text_encoder": text},
        loss,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        average=settings.average,
        resume=resume,
    )
    for module in (unet, text):
        module.requires_grad_(True).eval()


def _tokenizer(tokens: int) -> CLIPTokenizer:
    """CLIP's own tokenizer, rebuilt from the merges that open_clip ships."""
    from open_clip.tokenizer import SimpleTokenizer, default_bpe

    reference = SimpleTokenizer()
    vocabulary = {
        {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.get(word, word): number
        for word, number in reference.encoder.items()
    }
    with gzip.open(default_bpe(), "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : len(reference.bpe_ranks) + 1]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=tokens)


@torch.no_grad()
def _begin_as_identity(network: nn.Module) -> None:
    """Zero the last layer of each residual branch, as the original latent diffusion code does and diffusers does not.

    In a trial the autoencoder's error fell by a tenth at equal steps.
    """
    for module in network.modules():
        if isinstance(module, ResnetBlock2D):
            last = module.conv2
        elif isinstance(module, Transformer2DModel):
            last = module.proj_out
        else:
            continue
        for parameter in last.parameters():
            parameter.zero_()


@torch.no_grad()
def _posterior(pipeline: StableDiffusionPipeline, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the unscaled latents, on the CPU."""
    parts = []
    for start in range(0, len(pixels), ENCODING_BATCH):
        batch = _normalised(pixels[start : start + ENCODING_BATCH]).to(pipeline.vae.device)
        posterior = pipeline.vae.encode(batch).latent_dist
        parts.append((posterior.mean.cpu(), posterior.std.cpu()))
    return torch.cat([mean for mean, _ in parts]), torch.cat([std for _, std in parts])


def _normalised(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1
