"""Planted pools: pictures whose answers are known have known scores."""

from dataclasses import replace

import numpy as np
import pytest

from unpaint.errors import UserError
from unpaint.evaluate import accuracy, judgements
from unpaint.evaluate.judgements import Judgements
from unpaint.lineage.manifest import Manifest
from unpaint.stages.evaluate import score

SEVEN = [("digit", "seven")]
ASKED = {"digit": "seven", "ink": "red"}
KEPT = {"digit": "two", "ink": "red"}


def pool(forget, retain, asked=(ASKED, KEPT)):
    """Judgements with the given answers, all asked for the same."""
    answers = [*forget, *retain]
    random = np.random.default_rng(0)
    return Judgements(
        sets=["forget"] * len(forget) + ["retain"] * len(retain),
        prompts=[f"p{row}" for row in range(len(answers))],
        seeds=list(range(len(answers))),
        asked=[asked[0]] * len(forget) + [asked[1]] * len(retain),
        answers=answers,
        alignment=[0.5] * len(answers),
        features=random.normal(size=(len(answers), 2)),
    )


def of(digit, ink="red"):
    return {"digit": digit, "ink": ink}


REFERENCE = np.random.default_rng(1).normal(size=(80, 2))
FORGET = [of("seven")] * 30 + [of("one")] * 50 + [of(None)] * 20
RETAIN = [of("two")] * 40 + [of("two", "blue")] * 20 + [of("one", None)] * 10 + [of(None)] * 10
BASE = pool([of("seven")] * 100, [of("two")] * 80)


def test_a_planted_pool_has_its_planted_scores():
    """The forget set is larger than a batch of the judge, and the retain set another size than it (field, defect 5)."""
    scores = score(pool(FORGET, RETAIN), BASE, BASE, SEVEN, REFERENCE)
    assert (scores["UA"].value, scores["UA"].n, scores["UA"].delta) == (0.7, 100, 0.7)
    assert (scores["RA"].value, scores["RA"].n, scores["RA"].delta) == (0.75, 80, -0.25)
    assert scores["attributes"].value == pytest.approx(50 / 80)


def test_a_perfect_model_scores_1_in_both():
    before = pool([of("seven")] * 50, [of("two")] * 50)
    scores = score(pool([of("one")] * 50, [of("two")] * 50), before, before, SEVEN, REFERENCE)
    assert (scores["UA"].value, scores["RA"].value) == (1, 1)


def test_a_base_model_scores_0_and_1():
    scores = score(BASE, BASE, BASE, SEVEN, REFERENCE)
    assert (scores["UA"].value, scores["RA"].value, scores["attributes"].value) == (0, 1, 1)
    assert all(value.delta == 0 for value in scores.values())


def test_drift_is_the_planted_distance_of_retain_pictures_from_the_base_models():
    """One model 0.5 away in every retain picture, the other 0.2; what becomes of forget pictures is no drift."""
    near, far = (
        replace(BASE, features=BASE.features + np.array([shift, 0.0]) + np.array([[9.0, 0]] * 100 + [[0.0, 0]] * 80))
        for shift in (0.2, 0.5)
    )
    found = score(far, near, BASE, SEVEN, REFERENCE)["drift"]
    assert (found.value, found.delta, found.n) == (pytest.approx(0.5), pytest.approx(0.3), 80)
    assert score(far, BASE, BASE, SEVEN, REFERENCE)["drift"].delta == pytest.approx(0.5)


def test_scores_do_not_depend_on_the_order_of_the_rows():
    order = np.random.default_rng(2).permutation(180).tolist()
    whole = pool(FORGET, RETAIN)
    shuffled, before = (
        Judgements(
            **{name: [getattr(one, name)[row] for row in order] for name in vars(one) if name != "features"},
            features=one.features[order],
        )
        for one in (whole, BASE)
    )
    found, expected = score(shuffled, before, before, SEVEN, REFERENCE), score(whole, BASE, BASE, SEVEN, REFERENCE)
    for name in ("UA", "RA", "attributes", "AS", "drift"):
        assert found[name].as_fields() == pytest.approx(expected[name].as_fields())


@pytest.mark.parametrize(("answer", "expected"), [("seven", False), ("one", True), (None, True)])
def test_a_picture_of_none_of_these_shows_no_concept(answer, expected):
    assert accuracy.forgotten(of(answer), ASKED, SEVEN) is expected


@pytest.mark.parametrize(("answer", "expected"), [("two", True), ("one", False), ("seven", False), (None, False)])
def test_a_retain_picture_must_show_what_was_asked_for(answer, expected):
    assert accuracy.retained(of(answer), KEPT, SEVEN) is expected


@pytest.mark.parametrize(("answer", "expected"), [("seven", False), ("one", True), (None, True)])
def test_where_the_concept_was_dropped_it_must_not_show(answer, expected):
    assert accuracy.retained(of(answer), {"digit": "", "ink": "red"}, SEVEN) is expected


def test_of_several_targets_only_the_one_asked_for_must_be_gone():
    targets = [("digit", "seven"), ("ink", "red")]
    assert accuracy.forgotten(of("seven", "blue"), {"digit": "two", "ink": "red"}, targets)
    assert not accuracy.forgotten(of("two", "red"), {"digit": "two", "ink": "red"}, targets)
    assert not accuracy.forgotten(of("one", "red"), {"digit": "seven", "ink": "red"}, targets)


def test_another_forgotten_value_in_the_same_dimension_is_not_forgotten():
    targets = [("digit", "three"), ("digit", "eight")]
    assert not accuracy.forgotten(of("eight"), of("three"), targets)
    assert not accuracy.forgotten(of("three"), of("three"), targets)
    assert accuracy.forgotten(of("two"), of("three"), targets)


def test_several_targets_must_all_be_kept():
    targets = [("digit", "seven"), ("ink", "red")]
    assert accuracy.retained(of("two", "blue"), {"digit": "two", "ink": "blue"}, targets)
    assert not accuracy.retained(of("two", "red"), {"digit": "two", "ink": "blue"}, targets)


def test_attributes_are_the_share_of_the_other_dimensions():
    asked = {"digit": "two", "ink": "red", "ground": "blue", "place": ""}
    answers = {"digit": "one", "ink": "red", "ground": "green", "place": "top"}
    assert accuracy.attributes(answers, asked, SEVEN) == 0.5
    assert accuracy.attributes({"digit": "one"}, {"digit": "two"}, SEVEN) == 1


def test_pools_of_other_prompts_or_seeds_are_refused_with_the_row():
    other = replace(BASE, seeds=[*BASE.seeds[:7], 99, *BASE.seeds[8:]])
    message = r"^row 7: the pool has \('forget', 'p7', 99\), the base model's pool \('forget', 'p7', 7\); sample both"
    with pytest.raises(UserError, match=message):
        judgements.paired(other, BASE)


def test_a_missing_picture_is_refused_and_never_skipped():
    short = pool([of("seven")] * 100, [of("two")] * 79)
    with pytest.raises(UserError, match=r"^the pool has 179 pictures, the base model's pool 180; sample both again$"):
        judgements.paired(short, BASE)
    first = pool([of("seven")] * 99, [of("two")] * 80)
    with pytest.raises(UserError, match=r"^row 99: "):
        judgements.paired(first, BASE)
    judgements.paired(BASE, BASE)


def test_judgements_round_trip(tmp_path):
    path, whole = tmp_path / "judged.parquet", pool(FORGET, RETAIN)
    judgements.write(path, whole, Manifest("evaluate", {}, {}))
    found = judgements.read(path)
    assert [getattr(found, name) for name in vars(whole) if name != "features"] == [
        getattr(whole, name) for name in vars(whole) if name != "features"
    ]
    np.testing.assert_allclose(found.features, whole.features, rtol=1e-6)


def test_a_truncated_file_of_judgements_is_refused(tmp_path):
    path = tmp_path / "judged.parquet"
    judgements.write(path, BASE, Manifest("evaluate", {}, {}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"not a readable file of judgements; restore it or make it again$"):
        judgements.read(path)
