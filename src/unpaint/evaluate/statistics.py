"""Intervals: every score has one, and so has its difference from the base model at the same prompts and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval, and its paired difference from the base model's with its own.

    n counts the pictures behind it.
    """

    value: float
    low: float
    high: float
    n: int
    delta: float
    delta_low: float
    delta_high: float

    def as_fields(self) -> dict[str, float]:
        """Plain numbers, rounded to six digits so that files stay readable."""
        return {name: float(round(value, 6)) if name != "n" else value for name, value in asdict(self).items()}


def proportion(hits: Sequence[bool], base: Sequence[bool], pools: int = 1) -> Score:
    """A share of hits: Wilson's interval; the paired difference by Newcombe's (1998) method 10.

    Args:
        pools: here and below, how many pools of the same prompts and seeds there are, one after the other. A further
            one is no further picture, so an interval is as wide as one pool's.
    """
    n = len(hits) // pools
    low, high = wilson(sum(hits) / pools, n)
    return Score(sum(hits) / len(hits), low, high, n, *paired_proportions(hits, base, pools))


def share(values: Sequence[float], base: Sequence[float], pools: int = 1) -> Score:
    """A mean of shares in 0..1, whose interval does not vanish where all of them are 1.

    It is that of Agresti and Coull (1998), of normal theory once two pictures that have all and two that have nothing
    are added; the paired difference by Bonett and Price (2012), once a picture each is added that only one of the two
    has.
    """
    n = len(values) // pools
    given = np.asarray(values, dtype=np.float64)
    difference = given - np.asarray(base, dtype=np.float64)
    low, high = _normal(given, [0, 0, 1, 1], n)
    delta_low, delta_high = _normal(difference, [-1, 1], n)
    value, delta = float(given.mean()), float(difference.mean())
    return Score(value, max(0.0, low), min(1.0, high), n, delta, max(-1.0, delta_low), min(1.0, delta_high))


def mean(values: Sequence[float], base: Sequence[float], pools: int = 1) -> Score:
    """A mean: Student's interval; the paired difference by Student's interval of the differences."""
    given = np.asarray(values, dtype=np.float64)
    difference = given - np.asarray(base, dtype=np.float64)
    value, low, high = student(given, pools)
    return Score(value, low, high, len(values) // pools, *student(difference, pools))


def wilson(hits: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion."""
    share = hits / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, centre - half) if hits else 0.0, min(1.0, centre + half) if hits < n else 1.0


def paired_proportions(first: Sequence[bool], second: Sequence[bool], pools: int = 1) -> tuple[float, float, float]:
    """Difference of two proportions on the same pictures, with its 95 % interval (Newcombe 1998, method 10).

    Of several pools each count is that of a mean pool.
    """
    if len(second) != len(first):
        raise ValueError(f"{len(first)} and {len(second)} pictures cannot be paired")
    n = len(first) / pools
    both = sum(a and b for a, b in zip(first, second, strict=True)) / pools
    hits = sum(first) / pools, sum(second) / pools
    only_first, only_second = hits[0] - both, hits[1] - both
    neither = n - both - only_first - only_second
    p1, p2 = hits[0] / n, hits[1] / n
    (l1, u1), (l2, u2) = wilson(hits[0], n), wilson(hits[1], n)
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    cross = both * neither - only_first * only_second
    corrected = max(cross - n / 2, 0.0) if cross > 0 else float(cross)
    phi = corrected / math.sqrt(margins) if margins else 0.0
    delta = p1 - p2
    below = math.sqrt(max(0.0, (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2))
    above = math.sqrt(max(0.0, (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2))
    return delta, max(-1.0, delta - below), min(1.0, delta + above)


def jackknife(estimate: Callable[[NDArray[np.bool_]], float], groups: int) -> tuple[float, float]:
    """The delete-a-group jackknife of a smooth statistic: its bias-corrected value and standard error.

    Args:
        estimate: the statistic once the groups that the mask (groups,) marks are left in.
        groups: how many groups there are.
    """
    everything = np.ones(groups, dtype=bool)
    whole = estimate(everything)
    without = np.empty(groups)
    for group in range(groups):
        kept = everything.copy()
        kept[group] = False
        without[group] = estimate(kept)
    centre = without.mean()
    error = math.sqrt((groups - 1) / groups * ((without - centre) ** 2).sum())
    return float(groups * whole - (groups - 1) * centre), error


def student(values: Floats, pools: int = 1) -> tuple[float, float, float]:
    """Mean with Student's 95 % interval; an infinite one for a single value."""
    from scipy.stats import t

    n, centre = len(values) // pools, float(values.mean())
    if n < 2:
        return centre, -math.inf, math.inf
    half = float(t.ppf(0.975, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return centre, centre - half, centre + half


def _normal(values: Floats, added: Sequence[float], n: int) -> tuple[float, float]:
    """The 95 % interval of normal theory of a mean of n values, once some are added; as wide for pools of n each."""
    weights = [*np.full(len(values), n / len(values)), *np.ones(len(added))]
    given = np.concatenate([values, added])
    centre = np.average(given, weights=weights)
    half = Z * math.sqrt(np.average((given - centre) ** 2, weights=weights) / (n + len(added)))
    return float(centre) - half, float(centre) + half
