"""Pictures for the judge's training on the world `digits`: strokes in any ink on any ground, and pictures of nothing.

The strokes are taken out of the world's pictures, warped, and laid anew. Pictures of nothing (formless noise, an empty
ground, a blob, a scribble) teach the judge to answer "none of these": one that only ever saw digits calls noise by a
digit's name, and so would count a ruined picture as a kept concept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unpaint.worlds.digits import NOTHING, VALUES

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

DIMENSIONS = tuple(VALUES)
TURN, SCALE, SHIFT, BEND, THICKEN = 10.0, 0.12, 1.0, 0.6, 0.5
"""Strength of the warp: degrees, relative size, and pixels; half the distance between two places would be too far."""
BLUR, GRAIN = 1.0, 8.0
"""Largest standard deviation of blur (pixels) and of grain (of 255): generated pictures are softer than drawn ones."""


class Easel:
    """Paints batches for training, on the CPU, from a generator alone.

    Attributes:
        values: the values of each dimension, by name.
    """

    def __init__(
        self,
        pixels: Tensor,
        attributes: Sequence[Mapping[str, str]],
        *,
        batch: int,
        nothing: float,
        roundtrip: float,
        autoencoder: AutoencoderKL | None,
    ) -> None:
        """Take `pixels` (uint8, n x 3 x side x side) apart.

        Args:
            nothing: share of a batch that are pictures of nothing, in equal parts of each kind.
            roundtrip: share of a batch that goes through `autoencoder`, so that its softness is no surprise.
        """
        self.batch, self.roundtrip, self.autoencoder = batch, roundtrip, autoencoder
        self.each = round(batch * nothing / len(NOTHING))
        self.values = {name: sorted({row[name] for row in attributes}) for name in DIMENSIONS}
        self.facts = torch.tensor([[self.values[name].index(row[name]) for name in DIMENSIONS] for row in attributes])
        self.strokes, self.inks, self.grounds = _unpaint(pixels.float())

    def paint(self, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of pictures (batch, 3, side, side) in 0..255, what is in them, and what they are called.

        The facts (batch, 4) are numbers into `values`, -1 where a picture has no value; the names (batch,) are numbers
        into `NOTHING`, -1 for a picture of a digit.
        """
        each, digits = self.each, self.batch - self.each * len(NOTHING)
        rows = torch.randint(len(self.strokes), (digits,), generator=random)
        empty = torch.zeros(each, *self.strokes.shape[1:])
        shape = torch.cat(
            [self._warp(self.strokes[rows], random), empty, self._blobs(each, random), self._scribbles(each, random)]
        )
        ink, ground, colours = self._colours(len(shape), random)
        pictures = torch.cat(
            [ground[:, :, None, None] + shape * (ink - ground)[:, :, None, None], self._noise(each, random)]
        )
        facts, names = torch.full((self.batch, 4), -1), torch.full((self.batch,), -1)
        facts[: len(shape), 1:3] = colours
        facts[:digits, [0, 3]] = self.facts[rows][:, [0, 3]]
        facts[digits : digits + each, 1] = -1
        for number, kind in enumerate((1, 2, 3, 0)):
            names[digits + number * each : digits + (number + 1) * each] = kind
        return self._soften(pictures, random), facts, names

    def _warp(self, strokes: Tensor, random: torch.Generator) -> Tensor:
        """Turn, shear, scale, shift, bend and thicken strokes (n, 1, side, side) about their own centres."""
        n, side = len(strokes), strokes.shape[-1]
        turn, shear, wide, high, move_x, move_y, grow = _uniform((7, n), random)
        angle, slant = turn * np.deg2rad(TURN), torch.tan(shear * np.deg2rad(TURN) / 2)
        cos, sin, wide, high = angle.cos(), angle.sin(), 1 + wide * SCALE, 1 + high * SCALE
        matrix = torch.stack([cos / wide, (slant * cos - sin) / high, sin / wide, (slant * sin + cos) / high], 1)
        matrix = matrix.view(n, 2, 2)
        centre, move = _centres(strokes), torch.stack([move_x, move_y], 1) * (2 * SHIFT / side)
        offset = centre - (matrix @ (centre + move)[:, :, None])[:, :, 0]
        affine = torch.cat([matrix, offset[:, :, None]], 2)
        grid = functional.affine_grid(affine, [n, 1, side, side], align_corners=False)
        bend = torch.randn(n, 2, 5, 5, generator=random) * (2 * BEND / side)
        bend = functional.interpolate(bend, size=side, mode="bicubic", align_corners=True)
        warped: Tensor = functional.grid_sample(strokes, grid + bend.permute(0, 2, 3, 1), align_corners=False)
        growth = (grow * THICKEN).view(n, 1, 1, 1)
        thick: Tensor = functional.max_pool2d(warped, 3, 1, 1)
        thin: Tensor = -functional.max_pool2d(-warped, 3, 1, 1)
        grown: Tensor = warped + growth.clamp(min=0) * (thick - warped) + growth.clamp(max=0) / 2 * (warped - thin)
        return grown

    def _colours(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Inks and grounds (n, 3) of the world's pictures, and their numbers (n, 2)."""
        first, second = torch.randint(len(self.facts), (2, n), generator=random)
        jitter = _uniform((2, n, 3), random) * 6
        numbers = torch.stack([self.facts[first, 1], self.facts[second, 2]], 1)
        return self.inks[first] + jitter[0], self.grounds[second] + jitter[1], numbers

    def _blobs(self, n: int, random: torch.Generator) -> Tensor:
        """Opacity masks of spots: smooth noise cut at a level, and means of many strokes."""
        side = self.strokes.shape[-1]
        spots = n // 2
        height = _fields(spots, 1, side, (3, 4, 5, 7), random)
        x, y, radius = _uniform((3, spots, 1, 1, 1), random) * torch.tensor([6.0, 6.0, 4.0]).view(3, 1, 1, 1, 1)
        axis = torch.arange(side) - (side - 1) / 2
        distance = ((axis.view(1, 1, 1, -1) - x) ** 2 + (axis.view(1, 1, -1, 1) - y) ** 2).sqrt()
        edge = 1 + 4 * torch.rand(spots, 1, 1, 1, generator=random) ** 2
        cut = torch.sigmoid((8 + radius - distance + 3 * height) / edge * 2)
        many = torch.randint(len(self.strokes), (n - spots, 8), generator=random)
        weight = torch.rand(n - spots, 8, 1, 1, 1, generator=random)
        weight[:, 4:] *= torch.rand(n - spots, 1, 1, 1, 1, generator=random) < 0.5
        mean = (self.strokes[many] * weight / weight.sum(dim=1, keepdim=True)).sum(dim=1)
        mean = mean * (1 + torch.rand(n - spots, 1, 1, 1, generator=random))
        return torch.cat([cut, mean.clamp(max=1)])

    def _scribbles(self, n: int, random: torch.Generator) -> Tensor:
        """Opacity masks of strokes that are no digit: random lines, digits overlaid, digits cut up and shuffled."""
        side, some = self.strokes.shape[-1], n // 4
        lines = _lines(n - 2 * some, side, random)
        overlaid = self._pick(2 * some, random).view(some, 2, 1, side, side).amax(dim=1)
        cells = self._pick(some, random).view(some, 4, side // 4, 4, side // 4).transpose(2, 3)
        order = torch.rand(some, 16, generator=random).argsort(dim=1)
        cells = cells.reshape(some, 16, side // 4, side // 4)[torch.arange(some)[:, None], order]
        cells = cells.view(some, 4, 4, side // 4, side // 4).transpose(2, 3).reshape(some, 1, side, side)
        return torch.cat([lines, overlaid, cells])

    def _pick(self, n: int, random: torch.Generator) -> Tensor:
        return self.strokes[torch.randint(len(self.strokes), (n,), generator=random)]

    def _noise(self, n: int, random: torch.Generator) -> Tensor:
        """Pictures without form (n, 3, side, side): grain, colour fields of any coarseness, decoded random latents."""
        side = self.strokes.shape[-1]
        level = torch.rand(n, 3, 1, 1, generator=random) * 255
        grain = torch.randn(n, 3, side, side, generator=random)
        fields = _fields(n, 3, side, (2, 3, 4, 6, 8, 12, 16), random)
        share = torch.rand(n, 1, 1, 1, generator=random).round(decimals=1) ** 2
        strength = 20 + 100 * torch.rand(n, 1, 1, 1, generator=random)
        pictures = (level + strength * (share * grain + (1 - share) * fields)).clamp(0, 255)
        if self.autoencoder is not None:
            config = self.autoencoder.config
            side //= 2 ** (len(config.block_out_channels) - 1)
            spread = 0.5 + torch.rand(n // 2, 1, 1, 1, generator=random)
            latents = spread * torch.randn(n // 2, config.latent_channels, side, side, generator=random)
            pictures[: n // 2] = _decode(self.autoencoder, latents / config.scaling_factor)
        return pictures

    def _soften(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """Blur, grain and the autoencoder's round trip, each for some of the pictures."""
        n = len(pictures)
        pictures = _blur(pictures, (BLUR * _uniform((n,), random)).clamp(min=0))
        chosen = torch.rand(n, generator=random) < self.roundtrip
        if self.autoencoder is not None and bool(chosen.any()):
            with torch.no_grad():
                sent = (pictures[chosen] / 127.5 - 1).to(self.autoencoder.device)
                coded = self.autoencoder.encode(sent).latent_dist.mean
            pictures[chosen] = _decode(self.autoencoder, coded)
        grain = torch.rand(n, 1, 1, 1, generator=random) * GRAIN
        pictures = pictures + grain * torch.randn(pictures.shape, generator=random)
        return pictures.round().clamp(0, 255)


def _unpaint(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Take pictures ([n, 3, h, w]) apart into opacity ([n, 1, h, w]), ink and ground ([n, 3]).

    The world leaves the corner bare, and its strokes are opaque somewhere.
    """
    ground = pixels[:, :, 0, 0]
    flat = (pixels - ground[:, :, None, None]).flatten(2)
    darkest = flat.square().sum(dim=1).argmax(dim=1)
    difference = flat[torch.arange(len(flat)), :, darkest]
    opacity = (flat * difference[:, :, None]).sum(dim=1) / difference.square().sum(dim=1, keepdim=True)
    return opacity.clamp(0, 1).view(-1, 1, *pixels.shape[-2:]), ground + difference, ground


def _uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Uniform in [-1, 1)."""
    return torch.rand(shape, generator=random) * 2 - 1


def _centres(strokes: Tensor) -> Tensor:
    """Centres (x, y) of the strokes' bounding boxes ([n, 2]) in [-1, 1]."""
    side = strokes.shape[-1]
    axis = torch.arange(side)
    found = []
    for over in (2, 3):
        inked = (strokes > 0.2).any(dim=over)[:, 0]
        low = torch.where(inked, axis, side).amin(dim=1)
        high = torch.where(inked, axis, -1).amax(dim=1)
        found.append((low + high + 1) / side - 1)
    return torch.stack(found, 1)


def _fields(n: int, channels: int, side: int, sizes: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Smooth noise ([n, channels, side, side]), about of unit variance, each of one of the coarsenesses `sizes`."""
    fields = torch.zeros(n, channels, side, side)
    choice = torch.randint(len(sizes), (n,), generator=random)
    for number, size in enumerate(sizes):
        rows = choice == number
        small = torch.randn(int(rows.sum()), channels, size, size, generator=random)
        if len(small):
            fields[rows] = functional.interpolate(small, size=side, mode="bicubic", align_corners=True)
    return fields


def _lines(n: int, side: int, random: torch.Generator) -> Tensor:
    """Opacity masks ([n, 1, side, side]) of two random strokes each, straight or curved, joined or apart."""
    t = torch.linspace(0, 1, 12).view(1, 1, -1, 1)
    span = 10.0
    centre = _uniform((n, 1, 1, 2), random) * 6
    start, middle, end = (centre + _uniform((n, 3, 1, 2), random) * span for _ in range(3))
    joined = torch.rand(n, 1, 1, generator=random) < 0.6
    start[:, 1] = torch.where(joined, end[:, 0], start[:, 1])
    straight = torch.rand(n, 3, 1, 1, generator=random) < 0.5
    middle = torch.where(straight, (start + end) / 2, middle)
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    # a third of them have a third stroke
    points[:, 2] = torch.where(torch.rand(n, 1, 1, generator=random) < 0.33, points[:, 2], points[:, 1])
    points = points.flatten(1, 2).clamp(-side / 2 + 2, side / 2 - 2)
    axis = torch.arange(side) - (side - 1) / 2
    pixel = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).view(1, -1, 2).expand(n, -1, -1)
    distance = torch.cdist(pixel, points).amin(dim=2).view(n, 1, side, side)
    radius = 1.2 + torch.rand(n, 1, 1, 1, generator=random)
    return (radius + 0.5 - distance).clamp(0, 1)


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
