"""FID: the Fréchet distance on Inception's features (Heusel et al. 2017, arXiv 1706.08500, equation 6).

By that name only on the weights that it is defined on, see `unpaint.evaluate.inception`.
"""

from __future__ import annotations

import math

import numpy as np

from unpaint.evaluate.distribution import refuse_few
from unpaint.evaluate.statistics import Floats, Score, Z


def distance(features: Floats, base: Floats, reference: Floats) -> Score:
    """FID of a pool's features (n, d) to the reference's (m, d), and its difference from the base model's.

    The value is the published one, the plug-in, which is biased upwards by the order of d/n: compare it at equal
    numbers of pictures. The interval around it is of what such a value would be with other pictures, by the delta
    method: each picture's influence has a closed form, where a jackknife would need a matrix root per group.

    Raises:
        UserError: too few pictures for the width of the features.
    """
    refuse_few("FID", features, reference)
    value, own, there = influences(features, reference)
    before, own_before, there_before = influences(base, reference)
    half, delta = Z * _error(own, there), value - before
    delta_half = Z * _error(own - own_before, there - there_before)
    return Score(value, value - half, value + half, len(features), delta, delta - delta_half, delta + delta_half)


def influences(sample: Floats, reference: Floats) -> tuple[float, Floats, Floats]:
    """The Fréchet distance of two samples, and the influence of each of their pictures, (n,) and (m,).

    The distance's gradient with respect to a mean is twice the difference of the means, and to a covariance the
    identity less the optimal transport map to the other normal distribution; an influence is that at one picture.
    What has no variance in either sample, as a unit that never fires, counts as nothing.
    """
    shift = sample.mean(axis=0) - reference.mean(axis=0)
    own, there = sample - sample.mean(axis=0), reference - reference.mean(axis=0)
    root, inverse = _roots(np.cov(reference, rowvar=False))
    values, vectors = np.linalg.eigh(root @ np.cov(sample, rowvar=False) @ root)
    cross = np.sqrt(values.clip(min=0))
    value = shift @ shift + _variance(own) + _variance(there) - 2 * cross.sum()
    # the map from the sample to the reference is root V cross^-1 V' root, its inverse the same with both inverted
    one = 2 * own @ shift + (own**2).sum(axis=1) - (own @ (root @ vectors)) ** 2 @ _inverse(cross)
    other = -2 * there @ shift + (there**2).sum(axis=1) - (there @ (inverse @ vectors)) ** 2 @ cross
    return float(value), one - one.mean(), other - other.mean()


def _roots(covariance: Floats) -> tuple[Floats, Floats]:
    """The symmetric square root of a covariance, and its pseudo-inverse."""
    values, vectors = np.linalg.eigh(covariance)
    scale = np.sqrt(values.clip(min=0))
    return (vectors * scale) @ vectors.T, (vectors * _inverse(scale)) @ vectors.T


def _inverse(scale: Floats) -> Floats:
    """Of square roots of eigenvalues, 0 where the eigenvalue is 0 but for rounding."""
    least = scale.max() * math.sqrt(len(scale) * np.finfo(np.float64).eps)
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale > least)


def _variance(centred: Floats) -> float:
    return float((centred**2).sum() / (len(centred) - 1))


def _error(one: Floats, other: Floats) -> float:
    """The standard error of a statistic of two independent samples from its influences."""
    return math.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
