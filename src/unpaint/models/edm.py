"""EDM's objective (arXiv 2206.00364): a network behind its preconditioning, and noise levels in place of timesteps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unpaint.models.conditions import Conditions

DRAWN = (-1.2, 1.2)
"""Mean and standard deviation of the logarithm of EDM's noise levels in training (its table 1)."""


class LabelledEDM:
    """A `UNet2DModel` behind EDM's preconditioning; implements `Denoiser`. A time is a noise level.

    The residual is that of the denoised picture, and its square weighs (s^2 + d^2) / (s d)^2 at noise level s and data
    deviation d (EDM, table 1), so that a bound on errors is one on the picture's, as in the paper's code.
    """

    def __init__(self, module: nn.Module, scheduler: Any) -> None:
        self.module, self.scheduler = module, scheduler

    def draw(self, random: torch.Generator) -> Tensor:
        """See Denoiser; log-normal."""
        level: Tensor = DRAWN[0] + DRAWN[1] * torch.randn((), generator=random)
        return level.exp()

    def spread(self, count: int) -> Tensor:
        """See Denoiser."""
        return self.levels((torch.arange(count, dtype=torch.float64) + 0.5) / count)

    @staticmethod
    def levels(shares: Tensor) -> Tensor:
        """The noise levels below which these shares of training lie."""
        quantiles: Tensor = torch.special.ndtri(shares)
        return (DRAWN[0] + DRAWN[1] * quantiles).exp().float()

    def weights(self, times: Tensor) -> Tensor:
        """See Denoiser."""
        data: float = self.scheduler.config.sigma_data
        return (times.square() + data**2) / (times * data).square()

    def residuals(self, latents: Tensor, conditions: Conditions, noise: Tensor, times: Tensor) -> Tensor:
        """See Denoiser."""
        level = times.view(-1, 1, 1, 1).to(latents)
        noised = latents + level * noise
        given = self.scheduler.precondition_inputs(noised, level)
        found = self.module(given, self.scheduler.precondition_noise(times), class_labels=conditions["label"]).sample
        denoised: Tensor = self.scheduler.precondition_outputs(noised, found, level)
        return denoised.float() - latents.float()
