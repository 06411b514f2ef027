"""CMMD against its formula, and planted distances."""

import numpy as np
import pytest

from unpaint.evaluate.cmmd import distance
from unpaint.evaluate.statistics import Z


def sample(seed, n, shift=0.0, width=8):
    given = np.random.default_rng(seed).normal(size=(n, width))
    given[:, 0] += shift
    return given / np.linalg.norm(given, axis=1, keepdims=True)


def published(x, y):
    """As in the code of the paper: means over all pairs, a picture with itself among them."""

    def kernel(a, b):
        return np.exp(-np.array([[((one - two) ** 2).sum() for two in b] for one in a]) / (2 * 10.0**2)).mean()

    return 1000 * (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))


@pytest.mark.parametrize(("n", "m"), [(40, 80), (57, 43)])
def test_it_is_the_published_value(n, m):
    pool, base, real = sample(0, n, 1.0), sample(1, n, 0.2), sample(2, m)
    found = distance(pool, base, real)
    assert found.value == pytest.approx(published(pool, real))
    assert found.delta == pytest.approx(published(pool, real) - published(base, real))
    assert found.low < found.value < found.high
    assert found.n == n


def test_a_sample_is_no_distance_from_itself():
    real = sample(0, 80)
    found = distance(real, real, real)
    assert found.value == pytest.approx(0, abs=1e-9)
    assert (found.delta, found.delta_low, found.delta_high) == (0, 0, 0)


def test_its_interval_covers_the_mean_of_replications():
    """The published value is biased upwards, as FD is, so it is the mean of such values that is to be covered."""
    scores = [distance(sample(seed, 160, 1.5), sample(seed, 160), sample(1000 + seed, 160)) for seed in range(80)]
    values, halves = np.array([(score.value, score.high - score.value) for score in scores]).T
    assert 0.88 <= (np.abs(values - values.mean()) <= halves).mean() <= 1
    assert values.std() == pytest.approx(halves.mean() / Z, rel=0.3)
    # what was moved away is told from what was not
    assert np.mean([score.delta_low > 0 for score in scores]) > 0.9
