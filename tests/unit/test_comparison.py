"""Comparisons of planted pools, whose differences are known."""

import numpy as np
import pytest

from unpaint.errors import UserError
from unpaint.evaluate import comparison
from unpaint.evaluate.judgements import Judgements

TARGETS = [("digit", "seven")]
N, WIDTH = 400, 4
VALUES = ["one", "two", "three", "four"]


def pool(ua=1.0, ra=1.0, shift=0.0, seed=0, wrong=None):
    """N forget and N retain pictures, a share of which the judge answers as said; `wrong` is a value always missed."""
    random = np.random.default_rng(seed)
    forget = [None if number < ua * N else "seven" for number in range(N)]
    asked = [VALUES[number % 4] for number in range(N)]
    retain = [value if number < ra * N and value != wrong else None for number, value in enumerate(asked)]
    return Judgements(
        sets=["forget"] * N + ["retain"] * N,
        prompts=["a seven"] * N + [f"a {value}" for value in asked],
        seeds=[*range(N), *range(N)],
        asked=[{"digit": "seven"}] * N + [{"digit": value} for value in asked],
        answers=[{"digit": answer} for answer in forget + retain],
        alignment=[0.5] * (2 * N),
        features=shift + random.normal(size=(2 * N, WIDTH)),
    )


REAL = np.random.default_rng(99).normal(size=(N, WIDTH))


def test_a_difference_is_the_one_that_was_planted():
    found = comparison.difference([pool(ua=0.9, ra=0.75)], [pool(ua=0.5, ra=1.0)], pool(), TARGETS, REAL)
    assert found["UA"]["delta"] == pytest.approx(0.4)
    assert found["RA"]["delta"] == pytest.approx(-0.25)
    assert found["RA"]["low"] < -0.25 < found["RA"]["high"] < 0
    assert found["AS"]["delta"] == 0
    # nothing but the concept is asked for
    assert "attributes" not in found
    assert (found["UA"]["n"], found["RA"]["n"]) == (N, N)


def test_seeds_are_pooled():
    found = comparison.difference([pool(ua=1), pool(ua=0.5)], [pool(ua=0), pool(ua=0)], pool(), TARGETS, REAL)
    assert found["UA"]["delta"] == pytest.approx(0.75)
    assert found["UA"]["n"] == N


def test_a_seed_that_repeats_another_narrows_no_interval():
    one, other = pool(ua=0.9, ra=0.8, shift=0.1), pool(ua=0.5, ra=0.9, seed=1)
    alone = comparison.difference([one], [other], pool(), TARGETS, REAL)
    twice = comparison.difference([one, one], [other, other], pool(), TARGETS, REAL)
    for name, found in twice.items():
        assert found["n"] == alone[name]["n"]
        # but for Student's quantile and the divisor n - 1
        assert (found["low"], found["high"]) == pytest.approx((alone[name]["low"], alone[name]["high"]), abs=1e-3)


def test_a_further_seed_narrows_no_interval_where_every_picture_is_right():
    alone, five = (comparison.difference([pool()] * n, [pool()] * n, pool(), TARGETS, REAL) for n in (1, 5))
    for name in ("UA", "RA"):
        assert five[name] == alone[name]
        assert alone[name]["high"] > 0.004  # 3 of N pictures would be 0.0075


def test_pools_of_other_prompts_are_refused():
    other = pool()
    other.prompts[3] = "another"
    with pytest.raises(UserError, match="row 3"):
        comparison.difference([pool()], [other], pool(), TARGETS, REAL)
    with pytest.raises(UserError, match="row 3"):
        comparison.difference([pool()], [pool()], other, TARGETS, REAL)


def test_over_concepts_that_differ_alike_there_is_no_interval():
    given = {name: {"UA": {"delta": 0.0}} for name in "abc"}
    found = comparison.over_concepts(given, {name: [("digit", name)] for name in given})
    assert found["UA"] == {"delta": 0.0, "low": None, "high": None, "n": 3}


def test_over_concepts_the_unit_is_the_concept():
    deltas = [0.1, 0.2, 0.3]
    given = {f"c{number}": {"RA": {"delta": delta}} for number, delta in enumerate(deltas)}
    found = comparison.over_concepts(given, {name: [("digit", name)] for name in given})["RA"]
    half = 4.302652729911275 * np.std(deltas, ddof=1) / np.sqrt(3)  # Student's 97.5 % quantile, two degrees of freedom
    assert found == {
        "delta": pytest.approx(0.2),
        "low": pytest.approx(0.2 - half, abs=1e-5),
        "high": pytest.approx(0.2 + half, abs=1e-5),
        "n": 3,
    }


def test_entries_that_forget_the_same_are_one_concept():
    """Else an ablation's many entries of one concept would pass for many concepts."""
    given = {name: {"RA": {"delta": delta}} for name, delta in (("a", 0.1), ("b", 0.2), ("b-uniform", 0.4))}
    targets = {"a": [("digit", "a")], "b": [("digit", "b")], "b-uniform": [("digit", "b")]}
    merged = {"a": {"RA": {"delta": 0.1}}, "b": {"RA": {"delta": 0.3}}}
    assert comparison.over_concepts(given, targets) == comparison.over_concepts(merged, targets)
    assert comparison.over_concepts(given, targets)["RA"]["n"] == 2


def test_one_concept_has_no_interval_and_still_is_json():
    found = comparison.over_concepts({"only": {"RA": {"delta": 0.1}}}, {"only": TARGETS})["RA"]
    assert (found["delta"], found["low"], found["high"]) == (0.1, None, None)


def test_the_value_that_lost_most_is_found():
    lost = comparison.worst_value([pool(wrong="three")], pool(), TARGETS)
    assert (lost["dimension"], lost["value"], lost["delta"], lost["n"]) == ("digit", "three", -1, N // 4)


def test_a_dropped_concept_has_no_worst_value():
    dropped = pool()
    for row in dropped.rows("retain"):
        dropped.asked[row]["digit"] = ""
    assert comparison.worst_value([dropped], dropped, TARGETS) == {}


def test_distances_to_oracles_are_the_planted_ones():
    oracles = [pool(ua=1.0, ra=0.9, seed=1), pool(ua=0.8, ra=0.7, seed=2)]
    found = comparison.to_oracles(pool(ua=0.7, ra=0.6, shift=0.5, seed=3), oracles, TARGETS)
    assert found["UA"] == pytest.approx(0.7 - 0.9)
    assert found["RA"] == pytest.approx(0.6 - 0.8)
    assert found["FD"] == pytest.approx(WIDTH * 0.5**2, abs=0.2)


def test_two_pools_of_one_distribution_are_no_distance_apart():
    assert comparison.spread([pool(seed=1), pool(seed=2), pool(seed=3)]) == pytest.approx(0, abs=0.03)
    assert comparison.floor(pool())["delta"] == pytest.approx(0, abs=0.05)
    assert comparison.spread([pool()]) is None


def test_the_halves_of_the_noise_floor_are_of_the_same_prompts():
    """One prompt has an odd number of pictures, and each prompt's lie far from the others': the halves still agree."""
    base = pool()
    for row in base.rows("retain"):
        base.features[row] += 50 * VALUES.index(base.asked[row]["digit"])
    odd = [row for row in range(2 * N) if row != N]
    kept = Judgements(
        **{name: [held[row] for row in odd] for name, held in vars(base).items() if name != "features"},
        features=base.features[odd],
    )
    found = comparison.floor(kept)
    assert found["n"] == N // 2 - 1
    assert found["delta"] == pytest.approx(0, abs=0.1)


def test_prompts_of_one_picture_each_have_no_noise_floor():
    base = pool()
    base.prompts[:] = [f"{prompt} {row}" for row, prompt in enumerate(base.prompts)]
    assert comparison.floor(base) is None


def test_a_score_that_some_concepts_have_has_no_mean_over_all():
    both = {"UA": {"delta": 0.5}, "table": {"delta": 0.1}}
    overall = comparison.over_concepts(
        {"seven": both, "eight": {"UA": {"delta": 0.25}}}, {"seven": TARGETS, "eight": [("digit", "eight")]}
    )
    assert set(overall) == {"UA"}
    assert overall["UA"]["delta"] == 0.375
