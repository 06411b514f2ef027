"""The base model as it was: what forget prompts are led to, and what retain pictures can be held to."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from unpaint.models.denoiser import Denoiser


class Inputs(NamedTuple):
    """What a denoiser is given for some rows: clean latents, embeddings, noise, timesteps."""

    latents: Tensor
    embeddings: Tensor
    noise: Tensor
    timesteps: Tensor


class Frozen:
    """A copy of a denoiser that never learns; it costs the memory of the weights once more."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = copy.deepcopy(denoiser)
        self.denoiser.module.requires_grad_(False).eval()

    @torch.no_grad()
    def residuals(self, given: Inputs) -> Tensor:
        """Prediction minus target, as the base model had it."""
        return self.denoiser.residuals(*given)

    @torch.no_grad()
    def led(self, given: Inputs, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Its residuals for the rows' own prompts, and for their anchors, of which the embeddings are given."""
        other = given._replace(embeddings=anchors.to(given.embeddings))
        own, asked = self.residuals(Inputs(*(torch.cat(both) for both in zip(given, other, strict=True)))).chunk(2)
        return own, asked
