"""The base model as it was: its predictions measure a paired forget loss, and can be the target of retain pictures."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from unpaint.encoded import Encoded
from unpaint.models.denoiser import Denoiser


class Inputs(NamedTuple):
    """What a denoiser is given for some rows: clean latents, embeddings, noise, timesteps."""

    latents: Tensor
    embeddings: Tensor
    noise: Tensor
    timesteps: Tensor


class Frozen:
    """A copy of a denoiser that never learns; it costs the memory of the weights once more."""

    def __init__(self, denoiser: Denoiser, forget: Encoded, retain: Encoded) -> None:
        self.denoiser = copy.deepcopy(denoiser)
        self.denoiser.module.requires_grad_(False).eval()
        self.embeddings, self.instead = retain.embeddings, retain.prompt[partners(forget, retain)]

    @torch.no_grad()
    def residuals(self, given: Inputs) -> Tensor:
        """Prediction minus target, as the base model had it."""
        return self.denoiser.residuals(*given)

    @torch.no_grad()
    def towards(self, given: Inputs, rows: list[int]) -> Tensor:
        """What would change in the prediction for forget rows, were they asked for the retain prompt of their pair."""
        other = given._replace(embeddings=self.embeddings[self.instead[rows]].to(given.embeddings))
        both = Inputs(*(torch.cat(pair) for pair in zip(other, given, strict=True)))
        asked, own = self.residuals(both).chunk(2)
        return asked - own


def partners(forget: Encoded, retain: Encoded) -> list[int]:
    """For each forget row the retain row of its pair; a row whose pair the retain set lacks is given any, in turn."""
    rows = {pair: row for row, pair in enumerate(retain.pair.tolist())}
    return [rows.get(pair, row % len(retain)) for row, pair in enumerate(forget.pair.tolist())]
