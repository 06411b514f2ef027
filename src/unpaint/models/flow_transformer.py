"""Transformers trained by flow matching: Stable Diffusion 3 and FLUX.1.

The way from a picture's latents x to noise n is straight, (1 - s) x + s n at noise level s, and the network predicts
its direction n - x (arXiv 2403.03206, section 2). Noise levels are drawn logit-normal, as both were trained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unpaint.corpus import refuse_long
from unpaint.errors import UserError
from unpaint.models.conditions import Conditions
from unpaint.models.text_to_image import TextToImage, open_network

TOKENS = 256
"""How much of a prompt the T5 encoder reads, SD3's and FLUX.1-schnell's own length."""
TOKENS_DEV = 512
"""The same of FLUX.1-dev, which is the one that is told the guidance."""


class Flow(ABC):
    """Flow matching; a time is a place in the schedule's noise levels, which have the checkpoint's own shift."""

    def __init__(self, module: nn.Module, scheduler: Any) -> None:
        """Take a transformer and the schedule that it was trained by.

        Raises:
            UserError: sampling by it would not be by the seed alone.
        """
        self.module, self.scheduler = module, scheduler
        self.timesteps = int(scheduler.config.num_train_timesteps)
        if scheduler.config.stochastic_sampling:
            raise UserError(
                "scheduler_config.json: stochastic_sampling draws noise that no picture's seed decides; set it to false"
            )

    def draw(self, random: torch.Generator) -> Tensor:
        """See Denoiser; logit-normal."""
        share = torch.randn((), generator=random).sigmoid()
        return self._place(share)

    def spread(self, count: int) -> Tensor:
        """See Denoiser."""
        share = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count).sigmoid()
        return self._place(share)

    def _place(self, share: Tensor) -> Tensor:
        """The place in the schedule, from its noisiest end, of a share of it."""
        place: Tensor = (share * self.timesteps).long()
        return place.clamp(max=self.timesteps - 1)

    def weights(self, times: Tensor) -> Tensor | None:  # noqa: ARG002
        """See Denoiser."""
        return None

    def residuals(self, latents: Tensor, conditions: Conditions, noise: Tensor, times: Tensor) -> Tensor:
        """See Denoiser."""
        places = times.cpu()
        level = self.scheduler.sigmas[places].to(latents).view(-1, 1, 1, 1)
        noised = (1 - level) * latents + level * noise
        predicted = self._predict(noised, conditions, self.scheduler.timesteps[places].to(latents))
        return predicted.float() - (noise - latents).float()

    @abstractmethod
    def _predict(self, noised: Tensor, conditions: Conditions, timesteps: Tensor) -> Tensor:
        """What the transformer makes of noised latents, at the schedule's own timesteps."""


class SD3Flow(Flow):
    """An `SD3Transformer2DModel`; its conditions are `text` (n, tokens, width) and `pooled` (n, width)."""

    def _predict(self, noised: Tensor, conditions: Conditions, timesteps: Tensor) -> Tensor:
        predicted: Tensor = self.module(
            hidden_states=noised,
            timestep=timesteps,
            encoder_hidden_states=conditions["text"],
            pooled_projections=conditions["pooled"],
        ).sample
        return predicted


class FluxFlow(Flow):
    """A `FluxTransformer2DModel`; its conditions are those of SD3Flow, and `guidance` (n,) where it was distilled."""

    def _predict(self, noised: Tensor, conditions: Conditions, timesteps: Tensor) -> Tensor:
        from diffusers import FluxPipeline

        count, channels, height, width = noised.shape
        places = FluxPipeline._prepare_latent_image_ids(count, height // 2, width // 2, noised.device, noised.dtype)
        predicted: Tensor = self.module(
            hidden_states=FluxPipeline._pack_latents(noised, count, channels, height, width),
            timestep=timesteps / 1000,
            guidance=conditions.get("guidance"),
            encoder_hidden_states=conditions["text"],
            pooled_projections=conditions["pooled"],
            txt_ids=torch.zeros(conditions["text"].shape[1], 3).to(noised),
            img_ids=places,
        ).sample
        patches = predicted.view(count, height // 2, width // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(count, channels, height, width)


class StableDiffusion3(TextToImage):
    """Stable Diffusion 3: three text encoders, the third of which may be left out."""

    network = "transformer"

    @property
    def asked(self) -> Mapping[str, Any]:
        """See TextToImage."""
        return {"max_sequence_length": TOKENS}

    @property
    def denoiser(self) -> SD3Flow:
        """See BaseModel."""
        return SD3Flow(self.pipeline.transformer, _schedule(self.pipeline.scheduler.config))

    def refuse_long(self, prompts: Sequence[str]) -> None:
        """See BaseModel; the CLIP encoders cut off sooner, but the third reads on."""
        if self.pipeline.tokenizer_3 is None:
            refuse_long(prompts, self.pipeline.tokenizer, self.pipeline.tokenizer.model_max_length)
        else:
            refuse_long(prompts, self.pipeline.tokenizer_3, TOKENS)

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel."""
        text, _, pooled, _ = self.pipeline.encode_prompt(
            *[list(prompts)] * 3,
            device=self.pipeline.device,
            do_classifier_free_guidance=False,
            max_sequence_length=TOKENS,
        )
        return {"text": text, "pooled": pooled}


class Flux(TextToImage):
    """FLUX.1: a CLIP encoder for the whole and a T5 encoder for the words; dev is told the guidance."""

    network = "transformer"

    @property
    def asked(self) -> Mapping[str, Any]:
        """See TextToImage."""
        return {"max_sequence_length": TOKENS_DEV if self._told else TOKENS}

    @property
    def denoiser(self) -> FluxFlow:
        """See BaseModel."""
        return FluxFlow(self.pipeline.transformer, _schedule(self.pipeline.scheduler.config))

    def refuse_long(self, prompts: Sequence[str]) -> None:
        """See BaseModel; the CLIP encoder cuts off sooner, but the second reads on."""
        refuse_long(prompts, self.pipeline.tokenizer_2, self.asked["max_sequence_length"])

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel; the guidance is that of sampling."""
        text, pooled, _ = self.pipeline.encode_prompt(list(prompts), None, device=self.pipeline.device, **self.asked)
        found = {"text": text, "pooled": pooled}
        if self._told:
            found["guidance"] = torch.full((len(prompts),), self.guidance).to(text)
        return found

    @property
    def _told(self) -> bool:
        """Whether it is the one that guidance was distilled into."""
        return bool(self.pipeline.transformer.config.guidance_embeds)


def load_sd3(folder: Path, device: str, dtype: torch.dtype) -> SD3Flow:
    """See Family."""
    network = open_network("SD3Transformer2DModel", folder / "transformer", device, dtype)
    return SD3Flow(network, _schedule_in(folder))


def load_flux(folder: Path, device: str, dtype: torch.dtype) -> FluxFlow:
    """See Family."""
    network = open_network("FluxTransformer2DModel", folder / "transformer", device, dtype)
    return FluxFlow(network, _schedule_in(folder))


def _schedule_in(folder: Path) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")


def _schedule(config: Any) -> Any:
    """The schedule as it was before any sampling set its steps."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler.from_config(config)
