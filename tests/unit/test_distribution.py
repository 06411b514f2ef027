"""FD on planted normal distributions, whose Fréchet distance is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from unpaint.errors import UserError
from unpaint.evaluate.distribution import distance, frechet

WIDTH, SHIFT, SCALE = 6, 0.25, 1.2
TRUE = WIDTH * SHIFT**2 + WIDTH * (SCALE - 1) ** 2
N = 240


def planted(random, n=N, shift=SHIFT, scale=SCALE):
    return shift + scale * random.normal(size=(n, WIDTH))


def test_frechet_is_the_formula_with_the_matrix_square_root():
    random = np.random.default_rng(0)
    mix = random.normal(size=(WIDTH, WIDTH))
    one, two = planted(random), planted(random) @ mix
    c1, c2 = np.cov(one.T), np.cov(two.T)
    means = one.mean(0) - two.mean(0)
    expected = means @ means + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet(one, two) == pytest.approx(expected)
    assert frechet(two, one) == pytest.approx(expected)


def test_frechet_of_a_sample_with_itself_is_nothing():
    one = planted(np.random.default_rng(0))
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


@pytest.fixture(scope="module")
def replications():
    found = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        one, reference = planted(random), planted(random, shift=0, scale=1)
        score = distance(one, one, reference)
        rows = random.integers(N, size=(2, 20, N))
        naive = np.quantile([frechet(one[a], reference[b]) for a, b in zip(*rows, strict=True)], [0.025, 0.975])
        found.append((score.value, score.low, score.high, frechet(one, reference), *naive))
    return np.array(found).T


def test_the_interval_covers_the_true_distance_in_19_of_20_replications(replications):
    _, low, high, *_ = replications
    assert 0.9 <= ((low <= TRUE) & (high >= TRUE)).mean() <= 0.99


def test_a_naive_bootstrap_would_not(replications):
    *_, low, high = replications
    assert ((low <= TRUE) & (high >= TRUE)).mean() < 0.8


def test_the_jackknife_takes_most_of_the_plug_in_s_bias(replications):
    value, _, _, plug_in, *_ = replications
    assert plug_in.mean() - TRUE > 0.05
    assert abs(value.mean() - TRUE) < 0.25 * (plug_in.mean() - TRUE)


def test_equal_distributions_have_nothing_between_them_within_the_interval():
    inside = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        score = distance(planted(random), planted(random), planted(random))
        inside.append(score.low <= 0 <= score.high)
    assert np.mean(inside) >= 0.8


def test_the_difference_from_the_base_model_is_nothing_for_the_base_model_itself():
    random = np.random.default_rng(0)
    one, reference = planted(random), planted(random)
    score = distance(one, one, reference)
    assert (score.delta, score.delta_low, score.delta_high, score.n) == (0, 0, 0, N)


def test_the_difference_from_the_base_model_is_seen_where_there_is_one():
    random = np.random.default_rng(0)
    base, reference = planted(random, shift=0, scale=1), planted(random, shift=0, scale=1)
    assert distance(base + 1, base, reference).delta_low > 3


@pytest.mark.parametrize(("pool", "real"), [(11, 40), (40, 11)])
def test_too_few_pictures_are_refused_with_both_numbers(pool, real):
    random = np.random.default_rng(0)
    one, reference = planted(random, pool), planted(random, real)
    message = f"^FD: {pool} retain pictures and {real} reference pictures; features of width 6 need at least 12 of each"
    with pytest.raises(UserError, match=message):
        distance(one, one, reference)
