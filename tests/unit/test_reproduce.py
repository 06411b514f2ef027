"""Verdicts on what was made again, from planted numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unpaint.audit.lock import Entry
from unpaint.reproduce import Reproduction, text
from unpaint.reproduce.comparison import BITS, NOT, SCORES, ScorePair, Stage, first, pair_scores, read_scores, verdict
from unpaint.reproduce.environment import Difference, Environment, _facts, _pinned, _versions
from unpaint.reproduce.target import Target

SAME = Stage("world", True, 2, [])
OTHER = Stage("base", True, 2, ["results/base/base.json"])
FOLLOWING = Stage("judge", False, 3, ["results/judge/judge.json"])


def score(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("there", "here", "within"),
    [
        (score(0.9, 0.8, 0.95), score(0.9, 0.8, 0.95), True),
        (score(0.9, 0.8, 0.95), score(0.85, 0.75, 0.92), True),
        # bounds are in
        (score(0.9, 0.8, 1.0), score(1.0, 0.9, 1.0), True),
        # ours in theirs, theirs not in ours; and the other way round
        (score(0.9, 0.8, 1.0), score(0.95, 0.94, 0.96), False),
        (score(0.95, 0.94, 0.96), score(0.9, 0.8, 1.0), False),
        # intervals that overlap without holding the values
        (score(0.9, 0.85, 0.95), score(0.98, 0.93, 0.99), False),
        (score(0.9, 0.8, 1.0), None, False),
        (None, score(0.9, 0.8, 1.0), False),
    ],
)
def test_each_value_must_lie_in_the_other_s_interval(there: Any, here: Any, within: bool) -> None:
    assert ScorePair(there, here).within is within


def test_scores_count_only_where_bits_may_differ_and_then_all_of_them() -> None:
    good, bad = ScorePair(score(0.5, 0.4, 0.6), score(0.5, 0.4, 0.6)), ScorePair(score(0.5, 0.4, 0.6), score(1, 1, 1))
    assert verdict([SAME], {"UA": bad}, due=True) == BITS
    assert verdict([SAME, OTHER], {"UA": good, "RA": good}, due=False) == SCORES
    assert verdict([SAME, OTHER], {"UA": good, "RA": good}, due=True) == NOT
    assert verdict([SAME, OTHER], {"UA": good, "RA": bad}, due=False) == NOT
    assert verdict([SAME, OTHER], {}, due=False) == NOT


def test_the_first_stage_with_equal_inputs_is_named_and_none_that_follows_from_it() -> None:
    assert first([SAME, FOLLOWING, OTHER]) == OTHER
    assert first([SAME, FOLLOWING]) is None


def test_a_score_that_only_one_of_the_two_has_is_no_match(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(
        '{"unpaint": [{}], "UA": {"value": 1, "low": 0.9, "high": 1, "n": 3, "delta": 9}, "judge": {"digit": 0.9}}'
    )
    here = read_scores(path)
    assert here == {"UA": score(1, 0.9, 1)}
    pairs = pair_scores({"UA": score(1, 0.9, 1), "FD": score(0, 0, 0)}, here)
    assert {name: pair.within for name, pair in pairs.items()} == {"UA": True, "FD": False}


def test_the_same_bits_are_due_in_the_same_environment_on_a_cpu_alone() -> None:
    assert Environment([], [], True, "cpu").due
    assert not Environment([], [], True, "cuda").due
    assert not Environment([], ["base"], True, "cpu").due
    assert not Environment([Difference("torch", "1", "2")], [], True, "cpu").due


def test_what_a_note_does_not_tell_is_a_difference_and_what_nobody_asks_for_is_none() -> None:
    here = {"device": "cpu", "processor": "a", "python": "3", "platform": "p"}
    assert _facts(here, here) == []
    assert _facts({"device": "cpu", "python": "4", "platform": "p"}, here) == [
        Difference("processor", "not recorded", "a"),
        Difference("python", "4", "3"),
    ]
    assert _versions({"torch": "1", "peft": None, "gone": "1"}, {"torch": "2", "peft": None, "new": "3"}) == [
        Difference("torch", "1", "2")
    ]


def test_pins_are_found_by_the_names_of_run_notes() -> None:
    lock = "--hash x\nopen-clip-torch==3.3.0 \\\n    --hash=sha256:0\ntorch==2.14.1 ; python_version < '4'\nsix==1\n"
    assert _pinned(lock) == {"torch": "2.14.1", "open_clip_torch": "3.3.0"}


def entry(name: str, deps: dict[str, str], outs: dict[str, str]) -> Entry:
    return Entry(name, deps, "", outs, {})


def test_a_lock_that_is_of_two_minds_is_told() -> None:
    base = entry(
        "base", {"results/world.parquet": "1"}, {"results/base/base.json": "2", "results/base/pipeline": "3.dir"}
    )
    world = entry("world", {"data/worlds": "0.dir"}, {"results/world.parquet": "1"})
    own = entry("unlearn", {"results/base/base.json": "2", "results/base/pipeline/x": "7"}, {"results/model": "4"})
    assert Target("c", [world, base, own], [own]).broken == []
    assert Target("c", [world, base, own], [own]).read == [base]
    other = entry("unlearn", {"results/base/base.json": "9"}, {"results/model": "4"})
    assert Target("c", [world, base, other], [other]).broken == [
        "unlearn read another results/base/base.json than any stage of dvc.lock made"
    ]


def test_each_verdict_is_told_with_its_reasons() -> None:
    scores = {"UA": ScorePair(score(0.5, 0.4, 0.6), score(0.55, 0.45, 0.65))}
    equal, another = Environment([], [], True, "cpu"), Environment([Difference("torch", "1", "2")], [], True, "cpu")

    def told(found: str, stages: list[Stage], known: Environment, pairs: dict[str, ScorePair]) -> str:
        return text.after(Reproduction("seven/rgd/seed0", found, "a" * 40, stages, pairs, known, None))

    assert told(BITS, [SAME], equal, scores) == f"{BITS}: seven/rgd/seed0 of commit {'a' * 12}; 2 files of 1 stages"
    assert told(SCORES, [SAME, OTHER, FOLLOWING], another, scores).splitlines() == [
        f"{SCORES}: seven/rgd/seed0 of commit {'a' * 12}; 2 of 7 files differ",
        "  first other bits from equal inputs: base (results/base/base.json)",
        "  UA: 0.5000 [0.4000, 0.6000] there, 0.5500 [0.4500, 0.6500] here; within the intervals",
        "  the environment it was made in is another, so bits may differ",
        "  torch 1 there, 2 here",
        f"  to have the recorded packages: git show {'a' * 12}:requirements.lock > recorded.lock; then in a new "
        "environment pip install --require-hashes -r recorded.lock; pip install --no-deps -e .",
    ]
    assert "so the same bits were due" in told(NOT, [OTHER], equal, scores)
    assert "a computation on cuda does not promise the same bits" in told(
        NOT, [OTHER], Environment([], [], True, "cuda"), scores
    )
    assert "no scores were compared" in told(NOT, [OTHER], another, {})
