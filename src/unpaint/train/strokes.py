"""Pictures for the judge's training on the world `digits`: strokes in any ink on any ground, and pictures of nothing.

The strokes are taken out of the world's pictures, warped, and laid anew in other colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unpaint.train.easel import Easel, smooth_noise, uniform
from unpaint.worlds.digits import NOTHING, TEMPLATE

TURN, SCALE, SHIFT, BEND, THICKEN = 10.0, 0.12, 1.0, 0.6, 0.5
"""Strength of the warp: degrees, relative size, and pixels; half the distance between two places would be too far."""


class Strokes(Easel):
    """Paints digits; its pictures of nothing are formless noise, empty grounds, blobs and scribbles."""

    NOTHING = NOTHING

    def __init__(self, pixels: Tensor, *given: Any, **settings: Any) -> None:
        """See Easel. Pictures get other colours here, so their captions are written anew."""
        super().__init__(pixels, *given, **settings)
        self.strokes, self.inks, self.grounds = _unpaint(pixels.float())

    def paint(self, random: torch.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """See Easel."""
        each, digits = self.each, self.batch - self.each * len(NOTHING)
        rows = torch.randint(len(self.strokes), (digits,), generator=random)
        empty = torch.zeros(each, *self.strokes.shape[1:])
        shape = torch.cat(
            [self._warp(self.strokes[rows], random), empty, self._blobs(each, random), self._scribbles(each, random)]
        )
        ink, ground, inks, grounds = self._colours(len(shape), random)
        pictures = torch.cat(
            [ground[:, :, None, None] + shape * (ink - ground)[:, :, None, None], self.noise(each, random)]
        )
        column = {name: number for number, name in enumerate(self.values)}
        facts = torch.full((self.batch, len(column)), -1)
        for name in ("digit", "place"):
            facts[:digits, column[name]] = self.facts[rows, column[name]]
        facts[: len(shape), column["ink"]], facts[: len(shape), column["ground"]] = inks, grounds
        facts[digits : digits + each, column["ink"]] = -1
        captions = [
            TEMPLATE.format(**{name: self.values[name][row[number]] for name, number in column.items()})
            for row in facts[:digits].tolist()
        ]
        captions += [
            kind for kind in ("an empty square", "a blob", "a scribble", "formless noise") for _ in range(each)
        ]
        return self.soften(pictures, random), facts, captions

    def _warp(self, strokes: Tensor, random: torch.Generator) -> Tensor:
        """Turn, shear, scale, shift, bend and thicken strokes (n, 1, side, side) about their own centres."""
        n, side = len(strokes), strokes.shape[-1]
        turn, shear, wide, high, move_x, move_y, grow = uniform((7, n), random)
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

    def _colours(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inks and grounds (n, 3) of the world's pictures, and the numbers (n,) of both."""
        first, second = torch.randint(len(self.facts), (2, n), generator=random)
        jitter = uniform((2, n, 3), random) * 6
        names = list(self.values)
        numbers = self.facts[first, names.index("ink")], self.facts[second, names.index("ground")]
        return self.inks[first] + jitter[0], self.grounds[second] + jitter[1], *numbers

    def _blobs(self, n: int, random: torch.Generator) -> Tensor:
        """Opacity masks of spots: smooth noise cut at a level, and means of many strokes."""
        side = self.strokes.shape[-1]
        spots = n // 2
        height = smooth_noise(spots, 1, side, (3, 4, 5, 7), random)
        x, y, radius = uniform((3, spots, 1, 1, 1), random) * torch.tensor([6.0, 6.0, 4.0]).view(3, 1, 1, 1, 1)
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


def _lines(n: int, side: int, random: torch.Generator) -> Tensor:
    """Opacity masks ([n, 1, side, side]) of two random strokes each, straight or curved, joined or apart."""
    t = torch.linspace(0, 1, 12).view(1, 1, -1, 1)
    span = 10.0
    centre = uniform((n, 1, 1, 2), random) * 6
    start, middle, end = (centre + uniform((n, 3, 1, 2), random) * span for _ in range(3))
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
