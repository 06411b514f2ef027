"""U-Nets on latents with cross-attention to one text encoder: Stable Diffusion 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unpaint.encoded import Encoded
from unpaint.errors import UserError
from unpaint.models.checkpoint import load


class LatentUNet:
    """A `UNet2DConditionModel` with its training scheduler; implements `Denoiser`."""

    def __init__(self, module: nn.Module, scheduler: Any) -> None:
        self.module, self.scheduler = module, scheduler
        self.timesteps = int(scheduler.config.num_train_timesteps)

    def residuals(self, latents: Tensor, embeddings: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Prediction minus target, of the checkpoint's own prediction type (epsilon, v or sample)."""
        noised = self.scheduler.add_noise(latents, noise, timesteps)
        predicted: Tensor = self.module(noised, timesteps, embeddings).sample
        match self.scheduler.config.prediction_type:
            case "epsilon":
                target = noise
            case "v_prediction":
                target = self.scheduler.get_velocity(latents, noise, timesteps)
            case "sample":
                target = latents
            case other:
                raise UserError(f"scheduler_config.json: prediction_type {other} is not known to this family")
        return predicted.float() - target.float()


def load_denoiser(base: Path, device: str) -> LatentUNet:
    """The denoiser of a base model alone; neither autoencoder nor text encoder is read.

    Raises:
        UserError: a file of the base model is missing or changed.
    """
    from diffusers import DDPMScheduler, UNet2DConditionModel

    folder = load(base).verified("unet", "scheduler")
    module = UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True).to(device)
    return LatentUNet(module, DDPMScheduler.from_pretrained(folder / "scheduler"))


def load_pipeline(base: Path, device: str) -> Any:
    """The whole base model as a `StableDiffusionPipeline`.

    Raises:
        UserError: a file of the base model is missing or changed.
    """
    from diffusers import DiffusionPipeline

    folder = load(base).verified()
    pipeline = DiffusionPipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def denoiser_of(pipeline: Any) -> LatentUNet:
    """The denoiser of a loaded pipeline, with no second copy of its weights."""
    from diffusers import DDPMScheduler

    return LatentUNet(pipeline.unet, DDPMScheduler.from_config(pipeline.scheduler.config))


@torch.no_grad()
def encode(pipeline: Any, pictures: Tensor, prompts: Sequence[str], batch: int) -> Encoded:
    """Latents and prompt embeddings of a corpus, each row its own anchor.

    Args:
        pictures: (n, 3, height, width), uint8.
        prompts: n texts; each distinct one is embedded once.
    """
    vae, device = pipeline.vae, pipeline.device
    means, stds = [], []
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        posterior = vae.encode(part.to(device, vae.dtype) / 127.5 - 1).latent_dist
        means.append((posterior.mean - (vae.config.shift_factor or 0)) * vae.config.scaling_factor)
        stds.append(posterior.std * vae.config.scaling_factor)
    distinct, belongs = _numbered(prompts)
    embeddings, (unprompted, *_) = embed(pipeline, distinct, batch), embed(pipeline, [""], batch)
    return Encoded(torch.cat(means), torch.cat(stds), embeddings, belongs, belongs.clone(), unprompted)


@torch.no_grad()
def embed(pipeline: Any, prompts: Sequence[str], batch: int) -> Tensor:
    """Embeddings of prompts by the pipeline's own text encoder: (n, tokens, width)."""
    parts = [prompts[start : start + batch] for start in range(0, len(prompts), batch)]
    return torch.cat([pipeline.encode_prompt(list(part), pipeline.device, 1, False)[0] for part in parts])


def led_to(pipeline: Any, encoded: Encoded, anchors: Sequence[str], batch: int) -> Encoded:
    """The corpus with the anchor of each row, a prompt."""
    distinct, belongs = _numbered(anchors)
    embeddings = torch.cat([encoded.embeddings, embed(pipeline, distinct, batch)])
    return replace(encoded, embeddings=embeddings, anchor=belongs + len(encoded.embeddings))


def _numbered(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """The distinct texts in order, and which of them each one is."""
    distinct = sorted(set(texts))
    index = {text: number for number, text in enumerate(distinct)}
    return distinct, torch.tensor([index[text] for text in texts])
