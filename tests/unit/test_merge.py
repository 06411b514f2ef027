"""dvc.lock of a merge: each stage from the side that changed it."""

from __future__ import annotations

import itertools

from unpaint.lineage.merge import merged


def test_each_stage_comes_from_the_side_that_changed_it():
    base = {"world": 1, "rg": 1, "rgd": 1, "report": 1, "gone": 1}
    ours = {"world": 1, "rg": 2, "rgd": 1, "report": 2, "first": 2, "gone": 1}
    theirs = {"world": 1, "rg": 1, "rgd": 3, "report": 3, "second": 3}
    taken, both = merged(base, ours, theirs)
    assert taken == {"world": 1, "rg": 2, "rgd": 3, "report": 2, "first": 2, "second": 3}
    assert both == ["report"]


def test_no_entry_is_made_up_and_none_that_only_one_side_changed_is_lost():
    for was, mine, other in itertools.product((None, 1, 2, 3), repeat=3):
        base, ours, theirs = ({} if value is None else {"stage": value} for value in (was, mine, other))
        taken, both = merged(base, ours, theirs)
        changed = [value for value in (mine, other) if value != was]
        assert taken.get("stage") == (changed[0] if changed else was)
        assert bool(both) is (len(set(changed)) == 2)
