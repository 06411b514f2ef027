"""U-Nets on latents with cross-attention to text: Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unpaint.corpus import refuse_long
from unpaint.models.conditions import Conditions
from unpaint.models.discrete import Discrete, training_schedule, training_schedule_in
from unpaint.models.text_to_image import TextToImage, open_network, open_pipeline


class LatentUNet(Discrete):
    """A `UNet2DConditionModel` with its training schedule; implements `Denoiser`.

    Its conditions are `text` (n, tokens, width); of Stable Diffusion XL also `pooled` (n, width) and `time_ids` (n, 6),
    the sizes and the crop that it was told of each picture.
    """

    def predict(self, noised: Tensor, conditions: Conditions, times: Tensor) -> Tensor:
        """See Discrete."""
        added = None
        if "pooled" in conditions:
            added = {"text_embeds": conditions["pooled"], "time_ids": conditions["time_ids"]}
        predicted: Tensor = self.module(noised, times, conditions["text"], added_cond_kwargs=added).sample
        return predicted


class StableDiffusion(TextToImage):
    """Stable Diffusion 1 and 2: one text encoder."""

    network = "unet"

    @staticmethod
    def open(folder: Path, dtype: torch.dtype) -> Any:
        """See TextToImage. A safety checker would black out what is to be measured, so it does not look."""
        pipeline = open_pipeline(folder, dtype)
        pipeline.run_safety_checker = lambda pictures, *_: (pictures, None)
        return pipeline

    @property
    def denoiser(self) -> LatentUNet:
        """See BaseModel."""
        return LatentUNet(self.pipeline.unet, training_schedule(self.pipeline.scheduler.config))

    def refuse_long(self, prompts: Sequence[str]) -> None:
        """See BaseModel."""
        refuse_long(prompts, self.pipeline.tokenizer, self.pipeline.tokenizer.model_max_length)

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel."""
        text, _ = self.pipeline.encode_prompt(list(prompts), self.pipeline.device, 1, False)
        return {"text": text}


class StableDiffusionXL(StableDiffusion):
    """Stable Diffusion XL: two text encoders, and the sizes and the crop of a picture."""

    @staticmethod
    def open(folder: Path, dtype: torch.dtype) -> Any:
        """See TextToImage; no watermark is hidden in what is to be measured."""
        pipeline = open_pipeline(folder, dtype)
        pipeline.watermark = None
        return pipeline

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel; of pictures that are `side` wide and high and uncut, as those it renders are."""
        text, _, pooled, _ = self.pipeline.encode_prompt(
            list(prompts), device=self.pipeline.device, do_classifier_free_guidance=False
        )
        sizes = torch.tensor([[self.side, self.side, 0, 0, self.side, self.side]])
        return {"text": text, "pooled": pooled, "time_ids": sizes.repeat(len(prompts), 1).to(text)}

    def unprompted(self) -> Conditions:
        """See BaseModel; zeros, where the checkpoint was trained so."""
        empty = super().unprompted()
        if not self.pipeline.config.force_zeros_for_empty_prompt:
            return empty
        return {name: tensor if name == "time_ids" else torch.zeros_like(tensor) for name, tensor in empty.items()}


def load_denoiser(folder: Path, device: str, dtype: torch.dtype) -> LatentUNet:
    """See Family."""
    network = open_network("UNet2DConditionModel", folder / "unet", device, dtype)
    return LatentUNet(network, training_schedule_in(folder))
