"""Models against each other: methods over concepts, unlearned models and oracles, one training set and another.

Seeds of unlearning are pooled within a concept. Their pools share prompts and noise, so a further seed is no further
picture: intervals are as wide as one seed's. Over concepts the unit is the concept: the interval is Student's over
their differences, so that many pictures of few concepts claim nothing about further ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import combinations, groupby
from typing import Any

import numpy as np

from unpaint.evaluate import distribution, statistics
from unpaint.evaluate.accuracy import Targets
from unpaint.evaluate.judgements import Judgements, paired
from unpaint.evaluate.scores import outcomes, score

Difference = dict[str, Any]
"""`delta` with `low` and `high` (None: no interval), and `n`, the pictures or concepts behind it."""


def pooled(parts: Sequence[Judgements]) -> Judgements:
    """The pictures of several pools as one."""
    joined: dict[str, Any] = {
        field.name: [entry for part in parts for entry in getattr(part, field.name)]
        for field in fields(Judgements)
        if field.name != "features"
    }
    return Judgements(**joined, features=np.concatenate([part.features for part in parts]))


def difference(
    first: Sequence[Judgements],
    second: Sequence[Judgements],
    base: Judgements,
    targets: Targets,
    reference: statistics.Floats,
) -> dict[str, Difference]:
    """Every metric of `first` minus that of `second`, paired by prompt, image seed and place in the lists.

    `base` is the base model's pool; a drift is how far from it a pool is.

    Raises:
        UserError: the pools are not of the same prompts and seeds.
    """
    seeds = len(first)
    one, other, start = pooled(first), pooled(second), pooled([base] * seeds)
    paired(one, other)
    paired(one, start)
    scores = score(one, other, start, targets, reference, seeds)
    return {
        name: _difference(found.delta, found.delta_low, found.delta_high, found.n) for name, found in scores.items()
    }


def over_concepts(
    found: Mapping[str, Mapping[str, Difference]], targets: Mapping[str, Targets]
) -> dict[str, Difference]:
    """The mean of each metric's difference over concepts, with Student's interval; the concept is the unit.

    Differences that are all the same, as 0 where nothing is left to gain, tell no spread, and so no interval. Entries
    with the same `targets` are one concept, trained on other data: their mean counts once.
    """
    same: dict[frozenset[tuple[str, str]], list[str]] = {}
    for name in found:
        same.setdefault(frozenset(targets[name]), []).append(name)
    overall = {}
    # a score that only some concepts have, such as that of a prompt table, has no mean over all
    for metric in (name for name in next(iter(found.values())) if all(name in each for each in found.values())):
        deltas = [np.mean([found[name][metric]["delta"] for name in names]) for names in same.values()]
        mean, low, high = statistics.student(np.asarray(deltas))
        if low == high:
            low, high = -math.inf, math.inf
        overall[metric] = _difference(mean, low, high, len(deltas))
    return overall


def worst_value(found: Sequence[Judgements], base: Judgements, targets: Targets) -> dict[str, Any]:
    """The retained value of the concept's dimensions that lost most accuracy against the base model.

    It is picked among many, so it has no interval. An empty mapping where the retain prompts name no value there (the
    concept was dropped).
    """
    retain = base.rows("retain")
    lost = []
    for dimension in dict.fromkeys(name for name, _ in targets):
        for value in sorted({base.asked[row][dimension] for row in retain} - {""}):
            rows = [row for row in retain if base.asked[row][dimension] == value]
            after = [judged.answers[row][dimension] == value for judged in found for row in rows]
            before = [base.answers[row][dimension] == value for row in rows]
            delta = round(float(np.mean(after) - np.mean(before)), 6)
            lost.append({"dimension": dimension, "value": value, "delta": delta, "n": len(rows)})
    return min(lost, key=lambda each: each["delta"], default={})


def floor(base: Judgements) -> Difference | None:
    """FD between two halves of the base model's retain pool: the same prompts, other image seeds, nothing else.

    Of a prompt with an odd number of pictures the last is left out. None where too few are left for an FD.
    """
    rows = sorted(base.rows("retain"), key=lambda row: (base.prompts[row], base.seeds[row]))
    pairs: list[tuple[int, int]] = []
    for _, same in groupby(rows, lambda row: base.prompts[row]):
        held = list(same)
        pairs += zip(held[::2], held[1::2], strict=False)
    if len(pairs) < 2 * base.features.shape[1]:
        return None
    halves = (base.features[list(half)] for half in zip(*pairs, strict=True))
    return _difference(*distribution.between(*halves), len(pairs))


def spread(oracles: Sequence[Judgements]) -> float | None:
    """The mean FD between the retain pools of oracles of different seeds; None for fewer than two."""
    pairs = list(combinations(oracles, 2))
    return float(np.mean([_apart(one, other) for one, other in pairs])) if pairs else None


def to_oracles(found: Judgements, oracles: Sequence[Judgements], targets: Targets) -> dict[str, float]:
    """How far a model is from the oracles: UA and RA minus theirs, FD between the retain pools; means over oracles."""
    own = outcomes(found, targets)
    each = []
    for oracle in oracles:
        paired(found, oracle)
        theirs = outcomes(oracle, targets)
        each.append([*(np.mean(own[name]) - np.mean(theirs[name]) for name in ("UA", "RA")), _apart(found, oracle)])
    return dict(zip(("UA", "RA", "FD"), np.mean(each, axis=0).tolist(), strict=True))


def _apart(first: Judgements, second: Judgements) -> float:
    """FD between the retain pools of two models, its bias removed; rounded like every difference."""
    value, _, _ = distribution.between(first.features[first.rows("retain")], second.features[second.rows("retain")])
    return round(value, 6)


def _difference(delta: float, low: float, high: float, n: int) -> Difference:
    ends = [round(bound, 6) if math.isfinite(bound) else None for bound in (low, high)]
    return {"delta": round(delta, 6), "low": ends[0], "high": ends[1], "n": n}
