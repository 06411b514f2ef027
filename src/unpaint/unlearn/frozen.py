"""The base model as it was: what forget prompts are led to, and what retain pictures can be held to."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unpaint.models.conditions import Conditions, joined, moved
from unpaint.models.denoiser import Denoiser, adapters_of


class Inputs(NamedTuple):
    """What a denoiser is given for some rows: clean latents, conditions, noise, times."""

    latents: Tensor
    conditions: Conditions
    noise: Tensor
    times: Tensor


def joined_inputs(parts: Sequence[Inputs]) -> Inputs:
    """The rows of several, one after the other."""
    latents, conditions, noise, times = zip(*parts, strict=True)
    return Inputs(torch.cat(latents), joined(conditions), torch.cat(noise), torch.cat(times))


class Frozen:
    """A denoiser as it was: where adapters learn the network without them, else a copy, one more of the weights."""

    def __init__(self, denoiser: Denoiser) -> None:
        """Take a denoiser before its first step."""
        self.adapters = adapters_of(denoiser.module)
        self.denoiser = denoiser
        if not self.adapters:
            self.denoiser = copy.deepcopy(denoiser)
            self.denoiser.module.requires_grad_(False).eval()

    @torch.no_grad()
    def residuals(self, given: Inputs) -> Tensor:
        """Prediction minus target, as the base model had it."""
        for adapter in self.adapters:
            adapter.enable_adapters(False)
        try:
            return self.denoiser.residuals(*given)
        finally:
            for adapter in self.adapters:
                adapter.enable_adapters(True)

    @torch.no_grad()
    def led(self, given: Inputs, anchors: Conditions) -> tuple[Tensor, Tensor]:
        """Its residuals for the rows' own prompts, and for their anchors, of which the conditions are given."""
        other = given._replace(conditions=moved(anchors, given.latents.device))
        own, asked = self.residuals(joined_inputs([given, other])).chunk(2)
        return own, asked
