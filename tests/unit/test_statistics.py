"""Intervals against scipy, a published example and simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unpaint.evaluate.statistics import Z, jackknife, mean, paired_proportions, proportion, share, wilson


def cells(both, first, second, neither):
    """Two lists of hits with the given counts in the four cells."""
    pairs = [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither
    return [a for a, _ in pairs], [b for _, b in pairs]


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipy_s(n, data):
    hits = data.draw(st.integers(0, n))
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high, abs=1e-12))


def test_the_quantile_is_that_of_95_percent():
    assert pytest.approx(stats.norm.ppf(0.975), abs=1e-12) == Z


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        ((18, 12, 2, 18), (0.0562, 0.3290)),
        ((35, 14, 0, 1), (0.1461, 0.4175)),
        ((1, 97, 1, 1), (0.8736, 0.9850)),
        ((54, 0, 0, 0), (-0.0664, 0.0664)),
        ((30, 0, 0, 24), (-0.0358, 0.0358)),
    ],
)
def test_paired_intervals_are_those_of_newcombe_s_table_3_method_10(table, expected):
    """Statistics in Medicine 17, 1998, page 2635."""
    delta, *interval = paired_proportions(*cells(*table))
    assert delta == pytest.approx((table[1] - table[2]) / sum(table))
    assert tuple(interval) == pytest.approx(expected, abs=1e-4)


@given(*[st.integers(0, 30)] * 4)
def test_the_paired_interval_holds_its_difference_and_turns_with_its_sides(both, first, second, neither):
    one, other = cells(both, first, second, neither + 1)
    delta, low, high = paired_proportions(one, other)
    assert -1 <= low <= delta + 1e-12
    assert delta - 1e-12 <= high <= 1
    assert paired_proportions(other, one) == pytest.approx((-delta, -high, -low), abs=1e-12)


@pytest.mark.parametrize("shares", [(0.6, 0.25, 0.05, 0.1), (0.05, 0.9, 0.01, 0.04), (0.3, 0.2, 0.2, 0.3)])
def test_the_paired_interval_covers_the_true_difference(shares):
    random = np.random.default_rng(0)
    covered = []
    for table in random.multinomial(60, shares, size=600):
        _, low, high = paired_proportions(*cells(*(int(count) for count in table)))
        covered.append(low <= shares[1] - shares[2] <= high)
    assert 0.93 <= np.mean(covered) <= 0.99


def test_lists_of_different_length_cannot_be_paired():
    with pytest.raises(ValueError, match=r"2 and 1 pictures cannot be paired"):
        paired_proportions([True, False], [True])


def test_proportion_of_the_base_model_against_itself_differs_by_nothing():
    hits = [True, False, True, True]
    score = proportion(hits, hits)
    assert (score.value, score.n, score.delta) == (0.75, 4, 0)
    assert score.delta_low <= 0 <= score.delta_high


def test_mean_is_student_s_interval_and_its_difference_is_paired():
    values, base = [0.5, 0.75, 0.25, 1.0], [0.25, 0.25, 0.25, 0.25]
    score = mean(values, base)
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (score.low, score.high) == pytest.approx(expected)
    paired = stats.ttest_rel(values, base).confidence_interval(0.95)
    assert (score.delta, score.delta_low, score.delta_high) == pytest.approx((0.375, paired.low, paired.high))


@given(st.lists(st.tuples(*[st.sampled_from([0, 1 / 3, 2 / 3, 1])] * 2), min_size=1, max_size=60))
def test_shares_have_intervals_that_hold_them_and_never_vanish(pairs):
    score = share(*zip(*pairs, strict=True))
    assert 0 <= score.low <= score.value + 1e-12
    assert score.value - 1e-12 <= score.high <= 1
    assert score.high - score.low > 1 / len(pairs) / 4
    assert -1 <= score.delta_low <= score.delta + 1e-12
    assert score.delta - 1e-12 <= score.delta_high <= 1
    assert score.delta_high - score.delta_low > 1 / len(pairs)


@given(*[st.integers(0, 40)] * 4)
def test_of_hits_shares_are_the_adjusted_wald_intervals(both, first, second, neither):
    """Agresti and Coull (1998), The American Statistician 52; Bonett and Price (2012), JEBS 37, 479."""
    one, other = cells(both, first, second, neither + 1)
    n = len(one)
    score = share([float(hit) for hit in one], [float(hit) for hit in other])
    p = (sum(one) + 2) / (n + 4)
    half = Z * math.sqrt(p * (1 - p) / (n + 4))
    assert (score.low, score.high) == pytest.approx((max(0, p - half), min(1, p + half)))
    p12, p21 = (first + 1) / (n + 2), (second + 1) / (n + 2)
    half = Z * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    ends = max(-1, p12 - p21 - half), min(1, p12 - p21 + half)
    assert (score.delta_low, score.delta_high) == pytest.approx(ends)


@pytest.mark.parametrize(("n", "right"), [(60, 0.98), (300, 0.995), (1080, 0.999), (60, 0.7)])
def test_intervals_of_shares_cover_the_true_share_and_difference(n, right):
    random = np.random.default_rng(0)
    covered = []
    for _ in range(600):
        values, base = (random.binomial(3, right, size=n) / 3 for _ in range(2))
        score = share(values, base)
        covered.append((score.low <= right <= score.high, score.delta_low <= 0 <= score.delta_high))
    assert (np.mean(covered, axis=0) >= 0.93).all()


@pytest.mark.parametrize("measure", [proportion, share])
def test_pools_that_repeat_the_first_change_no_interval(measure):
    values, base = [True] * 30 + [False] * 3, [True] * 33
    alone, four = measure(values, base), measure(values * 4, base * 4, 4)
    assert [*four.as_fields().values()] == pytest.approx([*alone.as_fields().values()])


def test_one_picture_has_an_infinite_interval():
    score = mean([0.5], [0.25])
    assert (score.low, score.high, score.delta) == (-math.inf, math.inf, 0.25)


def test_the_jackknife_of_a_mean_is_the_mean_and_its_standard_error():
    values = np.random.default_rng(1).normal(size=40)
    value, error = jackknife(lambda kept: float(values[kept].mean()), 40)
    assert (value, error) == (pytest.approx(values.mean()), pytest.approx(stats.sem(values)))


def test_the_jackknife_takes_the_bias_of_the_plug_in_variance():
    values = np.random.default_rng(2).normal(size=12)
    assert jackknife(lambda kept: float(values[kept].var()), 12)[0] == pytest.approx(values.var(ddof=1))


def test_fields_are_plain_numbers_of_six_digits():
    fields = proportion([True, False, False], [True, True, False]).as_fields()
    assert fields["n"] == 3
    assert all(value == round(value, 6) for value in fields.values())
