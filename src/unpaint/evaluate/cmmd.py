"""CMMD: the kernel distance between pictures and held-out real ones (Jayasumana et al. 2024, arXiv 2401.09603).

By that name only on the features that it is defined on, those of one CLIP.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unpaint.evaluate.distribution import GROUPS
from unpaint.evaluate.statistics import Floats, Score, Z, jackknife

REPOSITORY = "timm/vit_large_patch14_clip_336.openai"
"""OpenAI's ViT-L/14 at 336 pixels, where open_clip has it."""
SIGMA, SCALE = 10.0, 1000.0
"""Width of the Gaussian kernel, and the factor of the squared distance, as published."""


def distance(features: Floats, base: Floats, reference: Floats) -> Score:
    """CMMD of a pool's normalised features (n, d) to the reference's (m, d), and its difference from the base model's.

    The value is the published one, which counts each picture against itself as well; the interval around it is the
    jackknife's, of groups of pictures.
    """
    pool, before = _Kernel(features, reference), _Kernel(base, reference)
    everything = np.ones(GROUPS, dtype=bool)
    value = pool.squared(everything)
    delta = value - before.squared(everything)
    half = Z * jackknife(pool.squared, GROUPS)[1]
    delta_half = Z * jackknife(lambda kept: pool.squared(kept) - before.squared(kept), GROUPS)[1]
    return Score(value, value - half, value + half, len(features), delta, delta - delta_half, delta + delta_half)


class _Kernel:
    """Sums of the kernel between the groups of two samples: what is left without a group needs no picture again."""

    def __init__(self, first: Floats, second: Floats) -> None:
        one, two = (_parts(sample) for sample in (first, second))
        self.counts = [np.array([len(part) for part in parts]) for parts in (one, two)]
        self.within, self.there, self.between = _sums(one, one), _sums(two, two), _sums(one, two)

    def squared(self, kept: NDArray[np.bool_]) -> float:
        """The squared distance, times SCALE, of the groups that are kept."""
        n, m = (counts[kept].sum() for counts in self.counts)
        within, there, between = (sums[np.ix_(kept, kept)].sum() for sums in (self.within, self.there, self.between))
        return float(SCALE * (within / n**2 + there / m**2 - 2 * between / (n * m)))


def _parts(sample: Floats) -> list[Floats]:
    return [sample[group::GROUPS] for group in range(GROUPS)]


def _sums(first: list[Floats], second: list[Floats]) -> Floats:
    return np.array([[_kernel(one, two).sum() for two in second] for one in first])


def _kernel(one: Floats, two: Floats) -> Floats:
    squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T
    kernel: Floats = np.exp(-squares / (2 * SIGMA**2))
    return kernel
