"""Transformers on latents with cross-attention to text: PixArt-Sigma."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unpaint.corpus import refuse_long
from unpaint.models.conditions import Conditions
from unpaint.models.discrete import Discrete, training_schedule, training_schedule_in
from unpaint.models.text_to_image import TextToImage, open_network

TOKENS = 300
"""How much of a prompt PixArt-Sigma reads, its pipeline's own length."""


class LatentTransformer(Discrete):
    """A `PixArtTransformer2DModel` with its training schedule; implements `Denoiser`.

    Its conditions are `text` (n, tokens, width) and `mask` (n, tokens), which says which tokens are there.
    """

    def predict(self, noised: Tensor, conditions: Conditions, times: Tensor) -> Tensor:
        """See Discrete."""
        predicted: Tensor = self.module(
            noised,
            encoder_hidden_states=conditions["text"],
            encoder_attention_mask=conditions["mask"],
            timestep=times,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
        ).sample
        return predicted


class PixArt(TextToImage):
    """PixArt-Sigma: a T5 encoder, whose padding is masked."""

    network = "transformer"

    @property
    def asked(self) -> Mapping[str, Any]:
        """See TextToImage; a caption is painted as it stands, and at the size asked for."""
        return {
            "clean_caption": False,
            "use_resolution_binning": False,
            "max_sequence_length": TOKENS,
        }

    @property
    def denoiser(self) -> LatentTransformer:
        """See BaseModel."""
        return LatentTransformer(self.pipeline.transformer, training_schedule(self.pipeline.scheduler.config))

    def refuse_long(self, prompts: Sequence[str]) -> None:
        """See BaseModel."""
        refuse_long(prompts, self.pipeline.tokenizer, TOKENS)

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel."""
        text, mask, _, _ = self.pipeline.encode_prompt(
            list(prompts),
            do_classifier_free_guidance=False,
            device=self.pipeline.device,
            clean_caption=False,
            max_sequence_length=TOKENS,
        )
        return {"text": text, "mask": mask}


def load_denoiser(folder: Path, device: str, dtype: torch.dtype) -> LatentTransformer:
    """See Family."""
    network = open_network("PixArtTransformer2DModel", folder / "transformer", device, dtype)
    return LatentTransformer(network, training_schedule_in(folder))
