"""Every metric of a pool, from what the judge said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unpaint.evaluate import accuracy, distribution, statistics
from unpaint.evaluate.accuracy import Targets
from unpaint.evaluate.judgements import Judgements


def score(
    found: Judgements, before: Judgements, targets: Targets, reference: statistics.Floats, pools: int = 1
) -> dict[str, statistics.Score]:
    """Every metric of a pool, with intervals and the paired difference from another pool at the same prompts and seeds.

    Args:
        before: the other pool: the base model's, or that of another unlearned model.
        reference: the judge's features (n, d) of held-out real pictures.
        pools: how many pools of equal prompts and seeds `found` and `before` each consist of.
    """
    one, other = outcomes(found, targets), outcomes(before, targets)
    retain = found.rows("retain")
    return {
        "UA": statistics.proportion(one["UA"], other["UA"]),
        "RA": statistics.proportion(one["RA"], other["RA"]),
        "attributes": statistics.mean(one["attributes"], other["attributes"]),
        "AS": statistics.mean(one["AS"], other["AS"]),
        "FD": distribution.distance(found.features[retain], before.features[retain], reference, pools),
    }


def outcomes(judged: Judgements, targets: Targets) -> dict[str, list[Any]]:
    """What each metric but FD is a mean of: for UA one entry per forget picture, for the others per retain picture."""
    forget, retain = judged.rows("forget"), judged.rows("retain")

    def each(measure: Callable[..., Any], rows: list[int]) -> list[Any]:
        return [measure(judged.answers[row], judged.asked[row], targets) for row in rows]

    return {
        "UA": each(accuracy.forgotten, forget),
        "RA": each(accuracy.retained, retain),
        "attributes": each(accuracy.attributes, retain),
        "AS": [judged.alignment[row] for row in retain],
    }
