"""Every metric of a pool, from what the judge said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unpaint.evaluate import accuracy, distribution, statistics
from unpaint.evaluate.accuracy import Targets
from unpaint.evaluate.judgements import Judgements


def score(
    found: Judgements,
    before: Judgements,
    base: Judgements,
    targets: Targets,
    reference: statistics.Floats,
    pools: int = 1,
) -> dict[str, statistics.Score]:
    """Every metric of a pool, with intervals and the paired difference from another pool at the same prompts and seeds.

    Args:
        before: the other pool: the base model's, or that of another unlearned model.
        base: the base model's pool, from which drift is measured.
        reference: the judge's features (n, d) of held-out real pictures; without any there is no FD, as there is no
            attribute accuracy where the judge is asked of nothing but the concept.
        pools: how many pools of equal prompts and seeds each of the three consists of.
    """
    one, other = outcomes(found, targets), outcomes(before, targets)
    retain = found.rows("retain")
    scores = {
        "UA": statistics.proportion(one["UA"], other["UA"], pools),
        "RA": statistics.proportion(one["RA"], other["RA"], pools),
    }
    concept = {dimension for dimension, _ in targets}
    if any(value for row in retain for name, value in found.asked[row].items() if name not in concept):
        scores["attributes"] = statistics.share(one["attributes"], other["attributes"], pools)
    scores["AS"] = statistics.mean(one["AS"], other["AS"], pools)
    if found.rows("table"):
        scores["table"] = statistics.proportion(one["table"], other["table"], pools)
    if len(reference):
        scores["FD"] = distribution.distance(found.features[retain], before.features[retain], reference, pools)
    return {**scores, "drift": statistics.mean(drift(found, base), drift(before, base), pools)}


def drift(judged: Judgements, base: Judgements) -> list[float]:
    """How far a retain picture is from the base model's of the same prompt and seed, by the judge's features: 0 to 2.

    It sees what RA and FD cannot, once every picture is still right: how much a picture that was to stay has changed.
    """
    rows = judged.rows("retain")
    return np.linalg.norm(judged.features[rows] - base.features[rows], axis=1).tolist()  # type: ignore[no-any-return]


def outcomes(judged: Judgements, targets: Targets) -> dict[str, list[Any]]:
    """What UA (an entry per forget picture), RA, attributes and AS (an entry per retain picture) are means of.

    And `table`, the UA of a table of prompts.
    """
    forget, retain = judged.rows("forget"), judged.rows("retain")

    def each(measure: Callable[..., Any], rows: list[int]) -> list[Any]:
        return [measure(judged.answers[row], judged.asked[row], targets) for row in rows]

    return {
        "UA": each(accuracy.forgotten, forget),
        "RA": each(accuracy.retained, retain),
        "attributes": each(accuracy.attributes, retain),
        "AS": [judged.alignment[row] for row in retain],
        "table": each(accuracy.forgotten, judged.rows("table")),
    }
