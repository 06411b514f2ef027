"""A denoiser that computes in half precision, whatever its family."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unpaint.models.conditions import Conditions
from unpaint.models.denoiser import Denoiser


class HalfPrecision:
    """A denoiser that computes in half precision (autocast); weights that learn, their gradients and residuals do not.

    In float16 most of what a loss tells the network is below the smallest number (6e-8). So a backward pass enters the
    network at a scale of its own, a power of two, and leaves it at the parameters, where that is taken back.
    """

    def __init__(self, denoiser: Denoiser, dtype: torch.dtype) -> None:
        self.denoiser, self.dtype = denoiser, dtype
        self._scale = _Scale()
        self._learning: set[nn.Parameter] = set()

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self.denoiser.module

    def draw(self, random: torch.Generator) -> Tensor:
        """See Denoiser."""
        return self.denoiser.draw(random)

    def spread(self, count: int) -> Tensor:
        """See Denoiser."""
        return self.denoiser.spread(count)

    def weights(self, times: Tensor) -> Tensor | None:
        """See Denoiser."""
        return self.denoiser.weights(times)

    def residuals(self, latents: Tensor, conditions: Conditions, noise: Tensor, times: Tensor) -> Tensor:
        """See Denoiser; a backward pass may start from one call at a time."""
        with torch.autocast(latents.device.type, self.dtype):
            found = self.denoiser.residuals(latents, conditions, noise, times)
        if self.dtype != torch.float16 or not found.requires_grad:
            return found
        for parameter in self.module.parameters():
            if parameter.requires_grad and parameter not in self._learning:
                self._learning.add(parameter)
                parameter.register_hook(self._scale.taken_back)  # type: ignore[no-untyped-call]
        scaled: Tensor = _Scaled.apply(found, self._scale)
        return scaled


class _Scale:
    """By how much the backward pass under way is larger than it should be."""

    value: Tensor

    def taken_back(self, given: Tensor) -> Tensor:
        return given / self.value


class _Scaled(torch.autograd.Function):
    """What changes no value, and makes the largest number of its gradient one from 1 to 2."""

    @staticmethod
    def forward(context: Any, values: Tensor, scale: _Scale) -> Tensor:
        context.scale = scale
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *given: Tensor) -> tuple[Tensor, None]:
        (values,) = given
        largest = values.abs().max()
        context.scale.value = torch.where(largest > 0, largest.log2().floor().neg().exp2(), 1.0)
        return values * context.scale.value, None
