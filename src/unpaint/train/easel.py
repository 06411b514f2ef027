"""What the judges of all worlds are trained on: batches of captioned pictures, and pictures of nothing.

Pictures of nothing teach the judge to answer "none of these": one that only ever saw what it should name calls noise by
such a name, and so would count a ruined picture as a kept concept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

BLUR, GRAIN = 1.0, 8.0
"""Largest standard deviation of blur (pixels) and of grain (of 255): generated pictures are softer than real ones."""


class Easel(ABC):
    """Paints batches for training, on the CPU, from a generator alone; a world's own easel says what is on them.

    Attributes:
        values: the values of each dimension, by name.
        facts: (n, dimensions), what the pictures show as numbers into `values`.
    """

    NOTHING: tuple[str, ...]
    """What its pictures of nothing are called."""

    def __init__(
        self,
        pixels: Tensor,
        captions: Sequence[str],
        attributes: Sequence[Mapping[str, str]],
        dimensions: Sequence[str],
        *,
        batch: int,
        nothing: float,
        roundtrip: float,
        autoencoder: AutoencoderKL | None,
    ) -> None:
        """Take the world's pictures in.

        Args:
            pixels: (n, 3, side, side), uint8, with n captions and the attributes of each.
            dimensions: the attributes that the judge will be asked for.
            nothing: share of a batch that are pictures of nothing, in equal parts of each kind.
            roundtrip: share of a batch that goes through `autoencoder`, so that its softness is no surprise.
        """
        self.pixels, self.captions = pixels, captions
        self.batch, self.roundtrip, self.autoencoder = batch, roundtrip, autoencoder
        self.each = round(batch * nothing / len(self.NOTHING))
        self.values = {name: sorted({row[name] for row in attributes}) for name in dimensions}
        self.facts = torch.tensor([[self.values[name].index(row[name]) for name in dimensions] for row in attributes])

    @abstractmethod
    def paint(self, random: torch.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """A batch of pictures (batch, 3, side, side) in 0..255, what is in them, and their captions.

        The facts (batch, dimensions) are numbers into `values`, -1 where a picture has no value. A picture of nothing
        is captioned by its name in `NOTHING`.
        """

    def noise(self, n: int, random: torch.Generator) -> Tensor:
        """Pictures without form (n, 3, side, side): grain, colour fields of any coarseness, decoded random latents."""
        side = self.pixels.shape[-1]
        level = torch.rand(n, 3, 1, 1, generator=random) * 255
        grain = torch.randn(n, 3, side, side, generator=random)
        fields = smooth_noise(n, 3, side, (2, 3, 4, 6, 8, 12, 16), random)
        share = torch.rand(n, 1, 1, 1, generator=random).round(decimals=1) ** 2
        strength = 20 + 100 * torch.rand(n, 1, 1, 1, generator=random)
        pictures = (level + strength * (share * grain + (1 - share) * fields)).clamp(0, 255)
        if self.autoencoder is not None:
            config = self.autoencoder.config
            side //= 2 ** (len(config.block_out_channels) - 1)
            spread = 0.5 + torch.rand(n // 2, 1, 1, 1, generator=random)
            latents = spread * torch.randn(n // 2, config.latent_channels, side, side, generator=random)
            pictures[: n // 2] = _decode(self.autoencoder, latents / config.scaling_factor + (config.shift_factor or 0))
        return pictures

    def soften(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """Blur, grain and the autoencoder's round trip, each for some of the pictures."""
        n = len(pictures)
        pictures = _blur(pictures, (BLUR * uniform((n,), random)).clamp(min=0))
        chosen = torch.rand(n, generator=random) < self.roundtrip
        if self.autoencoder is not None and bool(chosen.any()):
            with torch.no_grad():
                sent = (pictures[chosen] / 127.5 - 1).to(self.autoencoder.device)
                coded = self.autoencoder.encode(sent).latent_dist.mean
            pictures[chosen] = _decode(self.autoencoder, coded)
        grain = torch.rand(n, 1, 1, 1, generator=random) * GRAIN
        pictures = pictures + grain * torch.randn(pictures.shape, generator=random)
        return pictures.round().clamp(0, 255)


def uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Uniform in [-1, 1)."""
    return torch.rand(shape, generator=random) * 2 - 1


def smooth_noise(n: int, channels: int, side: int, sizes: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Smooth noise ([n, channels, side, side]), about of unit variance, each of one of the coarsenesses `sizes`."""
    fields = torch.zeros(n, channels, side, side)
    choice = torch.randint(len(sizes), (n,), generator=random)
    for number, size in enumerate(sizes):
        rows = choice == number
        small = torch.randn(int(rows.sum()), channels, size, size, generator=random)
        if len(small):
            fields[rows] = functional.interpolate(small, size=side, mode="bicubic", align_corners=True)
    return fields


def _blur(pictures: Tensor, width: Tensor) -> Tensor:
    """Gaussian blur ([n, c, h, w]) of each picture by its own standard deviation ([n])."""
    n, channels, height, across = pictures.shape
    offset = torch.arange(-3, 4).view(1, -1)
    kernel = torch.exp(-0.5 * (offset / width.clamp(min=1e-3).view(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = pictures.reshape(1, n * channels, height, across)
    flat = functional.conv2d(
        functional.pad(flat, (3, 3, 0, 0), mode="replicate"), kernel.view(-1, 1, 1, 7), groups=n * channels
    )
    flat = functional.conv2d(
        functional.pad(flat, (0, 0, 3, 3), mode="replicate"), kernel.view(-1, 1, 7, 1), groups=n * channels
    )
    return flat.view(n, channels, height, across)


@torch.no_grad()
def _decode(autoencoder: AutoencoderKL, latents: Tensor) -> Tensor:
    """Pictures in 0..255 on the CPU, of unscaled latents."""
    decoded: Tensor = autoencoder.decode(latents.to(autoencoder.device)).sample
    return ((decoded.float().cpu() + 1) * 127.5).clamp(0, 255)
