"""Pictures for the judge's training on a user's captioned folder: lightly warped, and pictures of nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unpaint.train.easel import Easel, uniform
from unpaint.worlds.folder import NOTHING

TURN, SCALE, SHIFT = 4.0, 0.06, 0.03
"""Strength of the warp: degrees, and shares of the picture. Never mirrored: left and right may be what is captioned."""
BLENDED, CELLS = 6, 4
"""Pictures in a blend; cells along a side of a jumble."""


class Photographs(Easel):
    """Paints the user's pictures; those of nothing are formless noise, blanks, jumbles and blends."""

    NOTHING = NOTHING

    def paint(self, random: torch.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """See Easel. A picture of nothing has no value: which question it answers, `none` in params.yaml says."""
        each, shown = self.each, self.batch - self.each * len(NOTHING)
        rows = torch.randint(len(self.pixels), (shown,), generator=random)
        made = {
            "formless noise": self.noise(each, random),
            "a blank": self._blanks(each, random),
            "a jumble": self._jumbles(each, random),
            "a blend": self._pick((each, BLENDED), random).mean(dim=1),
        }
        pictures = torch.cat([self._warp(self.pixels[rows].float(), random), *made.values()])
        facts = torch.full((self.batch, len(self.values)), -1)
        facts[:shown] = self.facts[rows]
        captions = [self.captions[row] for row in rows.tolist()] + [kind for kind in made for _ in range(each)]
        return self.soften(pictures, random), facts, captions

    def _warp(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        """Turn, scale and shift pictures (n, 3, side, side); their borders are drawn out."""
        turn, scale, across, down = uniform((4, len(pictures)), random)
        angle, size = turn * np.deg2rad(TURN), 1 + scale * SCALE
        cos, sin, shift = angle.cos() / size, angle.sin() / size, 2 * SHIFT
        affine = torch.stack([cos, -sin, across * shift, sin, cos, down * shift], 1).view(-1, 2, 3)
        grid = functional.affine_grid(affine, list(pictures.shape), align_corners=False)
        warped: Tensor = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        return warped

    def _pick(self, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
        """Pictures (*shape, 3, side, side) drawn at random."""
        return self.pixels[torch.randint(len(self.pixels), shape, generator=random)].float()

    def _blanks(self, n: int, random: torch.Generator) -> Tensor:
        """Pictures of one colour each, which some pixel of the world has."""
        pictures = self._pick((n,), random).flatten(2)
        pixel = torch.randint(pictures.shape[-1], (n, 1, 1), generator=random).expand(-1, 3, 1)
        return pictures.gather(2, pixel)[..., None].expand(-1, -1, *self.pixels.shape[-2:]).clone()

    def _jumbles(self, n: int, random: torch.Generator) -> Tensor:
        """Pictures cut into cells, which are shuffled."""
        side = self.pixels.shape[-1]
        cell = side // CELLS
        order = torch.rand(n, CELLS**2, generator=random).argsort(dim=1)
        cells = functional.unfold(self._pick((n,), random)[..., : cell * CELLS, : cell * CELLS], cell, stride=cell)
        cells = cells.gather(2, order[:, None].expand_as(cells))
        jumbled = functional.fold(cells, cell * CELLS, cell, stride=cell)
        return functional.interpolate(jumbled, size=side) if cell * CELLS != side else jumbled
