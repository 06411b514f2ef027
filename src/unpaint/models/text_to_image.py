"""What all text-to-image pipelines of diffusers have in common: an autoencoder, a call that paints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor

from unpaint.corpus import read_json
from unpaint.models.conditions import Conditions
from unpaint.models.denoiser import Denoiser


class TextToImage(ABC):
    """A pipeline as a base model; implements `BaseModel` but for what its family says of prompts."""

    network: ClassVar[str]
    """The part of the pipeline that unlearns."""

    def __init__(self, pipeline: Any, side: int, guidance: float) -> None:
        """Take a pipeline that paints pictures of `side` pixels with so much guidance."""
        self.pipeline, self.side, self.guidance = pipeline, side, guidance
        self.frame = (side, side)

    @staticmethod
    def open(folder: Path, dtype: torch.dtype) -> Any:
        """The pipeline in a folder, every part of one type."""
        return open_pipeline(folder, dtype)

    @classmethod
    def refuse_unread(cls, folder: Path, prompts: Sequence[str]) -> None:
        """See Family."""
        cls(_readers(folder), side=0, guidance=1.0).refuse_long(prompts)

    @property
    def asked(self) -> Mapping[str, Any]:
        """Further arguments of the call that paints."""
        return {}

    @property
    @abstractmethod
    def denoiser(self) -> Denoiser:
        """See BaseModel."""

    @abstractmethod
    def refuse_long(self, prompts: Sequence[str]) -> None:
        """See BaseModel."""

    @abstractmethod
    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel."""

    def unprompted(self) -> Conditions:
        """See BaseModel."""
        return {name: tensor[0] for name, tensor in self.conditions([""]).items()}

    def latents(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """See BaseModel."""
        return latents_of(self.pipeline, pictures)

    def paint(self, prompts: Sequence[str], generators: Sequence[torch.Generator], steps: int) -> Any:
        """See BaseModel."""
        return self.pipeline(
            prompt=list(prompts),
            generator=list(generators),
            num_inference_steps=steps,
            guidance_scale=self.guidance,
            width=self.frame[0],
            height=self.frame[1],
            output_type="np",
            **self.asked,
        ).images


def open_pipeline(folder: Path, dtype: torch.dtype) -> Any:
    """The diffusers pipeline in a folder: no network, no pickle, no code of its own."""
    from diffusers import DiffusionPipeline

    # whatever precision the parts were saved in, they compute in one
    return DiffusionPipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=dtype)


def _readers(folder: Path) -> SimpleNamespace:
    """What of the pipeline in a folder reads a prompt: its tokenizers, and how its transformer says it was trained."""
    import transformers

    index = read_json(folder / "model_index.json")
    kinds = {part: value[1] for part, value in index.items() if part.startswith("tokenizer")}
    found = {
        part: getattr(transformers, kind).from_pretrained(folder / part, local_files_only=True) if kind else None
        for part, kind in kinds.items()
    }
    config = folder / "transformer" / "config.json"
    # diffusers' own where a config does not say it
    said = {"guidance_embeds": False} | (read_json(config) if config.is_file() else {})
    return SimpleNamespace(**found, transformer=SimpleNamespace(config=SimpleNamespace(**said)))


def open_network(kind: str, folder: Path, device: str, dtype: torch.dtype) -> Any:
    """A network of diffusers, by the name of its class, in a folder: no pickle."""
    import diffusers

    return getattr(diffusers, kind).from_pretrained(folder, use_safetensors=True, dtype=dtype).to(device)


def latents_of(pipeline: Any, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents of pictures (n, 3, side, side), uint8, scaled as the pipeline does.

    In float32 whatever the pipeline is: in half precision a mean would be rounded by more than the deviation beside it.
    """
    vae, dtype = pipeline.vae, pipeline.vae.dtype
    posterior = vae.float().encode(pictures.to(pipeline.device).float() / 127.5 - 1).latent_dist
    vae.to(dtype)
    scale, shift = vae.config.scaling_factor, vae.config.shift_factor or 0
    if vae.config.latents_mean is not None:
        shift, deviation = (torch.tensor(vae.config[name]) for name in ("latents_mean", "latents_std"))
        scale, shift = (
            (scale / deviation).view(1, -1, 1, 1).to(posterior.mean),
            shift.view(1, -1, 1, 1).to(posterior.mean),
        )
    return (posterior.mean - shift) * scale, posterior.std * scale
