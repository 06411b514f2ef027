"""FID against two other ports' formula, planted distances, and its pictures' influences against leaving each out."""

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from unpaint.errors import UserError
from unpaint.evaluate.distribution import frechet
from unpaint.evaluate.fid import distance, influences
from unpaint.evaluate.statistics import Z

WIDTH = 6


def sample(seed, n, width=WIDTH, shift=0.0):
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(n, width)) @ np.random.default_rng(9).normal(size=(width, width))
    return np.maximum(mixed + random.normal(size=width), 0) + shift


def ports(one, other):
    """The published number, by torch-fidelity and by pytorch-fid."""
    statistics = [fid_features_to_statistics(torch.from_numpy(given)) for given in (one, other)]
    moments = [part for given in statistics for part in (given["mu"], given["sigma"])]
    return fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID], calculate_frechet_distance(*moments)


@pytest.mark.parametrize("width", [WIDTH, 40])
def test_it_is_the_published_value(width):
    pool, base, real = sample(0, 150, width), sample(1, 150, width), sample(2, 230, width)
    found = distance(pool, base, real)
    assert ports(pool, real) == pytest.approx((found.value,) * 2)
    assert found.delta == pytest.approx(ports(pool, real)[0] - ports(base, real)[0])
    assert found.value == pytest.approx(frechet(pool, real))
    assert found.low < found.value < found.high
    assert found.n == 150


def test_pictures_in_another_order_give_the_same():
    pool, base, real = sample(0, 150), sample(1, 150), sample(2, 230)
    order = np.random.default_rng(0).permutation(150)
    one, other = distance(pool, base, real), distance(pool[order], base[order], real[::-1])
    assert one.as_fields() == other.as_fields()


def test_a_pool_is_no_distance_from_itself_and_a_moved_one_as_far_as_it_was_moved():
    real = sample(0, 200)
    found = distance(real + 0.5, real, real)
    assert found.value == pytest.approx(WIDTH * 0.25)
    assert found.delta == pytest.approx(WIDTH * 0.25)
    same = distance(real, real, real)
    assert same.value == pytest.approx(0, abs=1e-9)
    assert (same.delta, same.delta_low, same.delta_high) == (0, 0, 0)


def test_a_pool_of_another_spread_is_as_far_as_its_deviations_differ():
    real = sample(0, 200)
    centre = real.mean(axis=0)
    expected = 0.2**2 * np.trace(np.cov(real.T))
    assert distance(centre + 1.2 * (real - centre), real, real).value == pytest.approx(expected)


def test_an_influence_is_the_derivative_of_the_distance_in_a_picture_s_weight():
    one, other = sample(0, 300), sample(1, 250)
    value, own, there = influences(one, other)

    def weighted(row, first):
        """The distance once a picture weighs a little more among the sums of its sample."""
        moments, step = [], 1e-5
        for given, here in ((one, first), (other, not first)):
            n = len(given)
            weights = (1 - step * here) * np.full(n, 1 / n)
            weights[row] += step * here
            mean = weights @ given
            spread = (given - mean).T @ ((given - mean) * weights[:, None]) * n / (n - 1)
            moments += [mean, spread]
        return (calculate_frechet_distance(*moments, eps=0) - value) / step

    # an influence on a covariance with n - 1 for n is as much larger
    assert own[:8] == pytest.approx([weighted(row, True) for row in range(8)], rel=0.03, abs=0.02)
    assert there[:8] == pytest.approx([weighted(row, False) for row in range(8)], rel=0.03, abs=0.02)


def test_the_error_is_that_of_leaving_each_picture_out():
    one, other = sample(0, 240), sample(1, 200)
    score = distance(one, one, other)
    variance = 0.0
    for given, without in (
        (one, lambda row: frechet(np.delete(one, row, 0), other)),
        (other, lambda row: frechet(one, np.delete(other, row, 0))),
    ):
        n = len(given)
        left = np.array([without(row) for row in range(n)])
        variance += (n - 1) / n * ((left - left.mean()) ** 2).sum()
    assert (score.high - score.value) / Z == pytest.approx(np.sqrt(variance), rel=0.03)


def test_what_never_fires_counts_as_nothing():
    pool, base, real = sample(0, 150), sample(1, 150), sample(2, 230)
    dead = [np.hstack([given, np.zeros((len(given), 3))]) for given in (pool, base, real)]
    expected, found = distance(pool, base, real).as_fields(), distance(*dead).as_fields()
    assert found == pytest.approx(expected, abs=2e-6)


def test_a_unit_that_fires_in_one_sample_alone_leaves_the_interval_finite():
    pool, real = np.hstack([sample(0, 150), np.zeros((150, 1))]), sample(2, 230, WIDTH + 1)
    found = distance(pool, pool, real)
    assert found.value == pytest.approx(ports(pool, real)[0])
    assert 0 < found.high - found.value < found.value


@pytest.mark.parametrize(("width", "n"), [(4, 160), (16, 32), (16, 160)])
def test_its_interval_covers_the_mean_of_replications(width, n):
    """The published value is biased upwards, so it is the mean of such values that is to be covered."""
    scores = []
    for seed in range(80):
        random = np.random.default_rng(seed)
        base, real = random.normal(size=(n, width)), random.normal(size=(n, width))
        # paired with the base model's: most of a picture is the same
        pool = 1.1 * (0.9 * base + np.sqrt(0.19) * random.normal(size=(n, width))) + 0.3
        scores.append(distance(pool, base, real))
    values, halves = np.array([(score.value, score.high - score.value) for score in scores]).T
    deltas, delta_halves = np.array([(score.delta, score.delta_high - score.delta) for score in scores]).T
    for found, half in ((values, halves), (deltas, delta_halves)):
        assert 0.9 <= (np.abs(found - found.mean()) <= half).mean() <= 1
        # where a feature has two pictures alone it is too wide, never too narrow
        assert 0.85 < half.mean() / Z / found.std() < 1.8
    # paired, the difference is told more sharply than either
    assert delta_halves.mean() < halves.mean()
    assert np.mean([score.delta_low > 0 for score in scores]) > 0.8


@pytest.mark.parametrize(("pool", "real"), [(11, 40), (40, 11)])
def test_too_few_pictures_for_fid_are_refused_with_both_numbers(pool, real):
    one, other = sample(0, pool), sample(1, real)
    message = f"^FID: {pool} retain pictures and {real} reference pictures; features of width 6 need at least 12 of"
    with pytest.raises(UserError, match=message):
        distance(one, one, other)
