"""FD: the Fréchet distance between pictures and held-out real ones on the judge's features.

It is called FID only with the standard Inception weights, which this is not. A plug-in Fréchet distance is biased
upwards, and a naive bootstrap interval misses its own value; the delete-a-group jackknife removes the leading bias and
gives a standard error that both samples share in.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from unpaint.errors import UserError
from unpaint.evaluate.statistics import Floats, Score, Z, jackknife

GROUPS = 40


def frechet(first: Floats, second: Floats) -> float:
    """Fréchet distance of two samples (n, d) seen as normal distributions (Heusel et al. 2017, equation 6)."""
    difference = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(min=0)).sum()
    return float(difference @ difference + np.trace(one) + np.trace(two) - 2 * cross)


def distance(features: Floats, base: Floats, reference: Floats, pools: int = 1) -> Score:
    """FD of a pool's features (n, d) to the reference's (m, d), and its difference from the base model's FD.

    Args:
        pools: how many pools, one after the other and of the same prompts and seeds, `features` and `base` consist of.

    Raises:
        UserError: too few pictures for the width of the features.
    """
    refuse_few("FD", features, reference)
    value, error = jackknife(lambda groups: _kept(features, reference, groups, pools), GROUPS)
    delta, delta_error = jackknife(
        lambda groups: _kept(features, reference, groups, pools) - _kept(base, reference, groups, pools), GROUPS
    )
    half, delta_half = Z * error, Z * delta_error
    n = len(features) // pools
    return Score(value, value - half, value + half, n, delta, delta - delta_half, delta + delta_half)


def refuse_few(name: str, features: Floats, reference: Floats) -> None:
    """Refuse a distance of samples too small for a covariance of full rank with a margin.

    Raises:
        UserError: fewer than two pictures per feature.
    """
    need = 2 * features.shape[1]
    if min(len(features), len(reference)) < need:
        raise UserError(
            f"{name}: {len(features)} retain pictures and {len(reference)} reference pictures; features of width "
            f"{features.shape[1]} need at least {need} of each: raise test.images_per_prompt.retain or "
            "world.images.reference"
        )


def between(first: Floats, second: Floats) -> tuple[float, float, float]:
    """FD of two samples (n, d), its bias removed, with its 95 % interval."""
    value, error = jackknife(partial(_kept, first, second), GROUPS)
    return value, value - Z * error, value + Z * error


def _kept(features: Floats, reference: Floats, groups: NDArray[np.bool_], pools: int = 1) -> float:
    """FD of the rows whose group (row number in its pool, modulo the number of groups) is left in."""
    rows = np.arange(len(features)) % (len(features) // pools)
    return frechet(features[groups[rows % len(groups)]], reference[groups[np.arange(len(reference)) % len(groups)]])
