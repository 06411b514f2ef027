"""Every metric of a pool, from what the judge said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unpaint.evaluate import accuracy, distribution, statistics
from unpaint.evaluate.accuracy import Targets
from unpaint.evaluate.judgements import Judgements


def score(
    found: Judgements, before: Judgements, targets: Targets, reference: statistics.Floats
) -> dict[str, statistics.Score]:
    """Every metric of a pool, with intervals and the paired difference from another pool at the same prompts and seeds.

    Args:
        before: the other pool: the base model's, or that of another unlearned model.
        reference: the judge's features (n, d) of held-out real pictures.
    """
    forget, retain = found.rows("forget"), found.rows("retain")

    def each(measure: Callable[..., Any], judged: Judgements, rows: list[int]) -> list[Any]:
        return [measure(judged.answers[row], judged.asked[row], targets) for row in rows]

    return {
        "UA": statistics.proportion(each(accuracy.forgotten, found, forget), each(accuracy.forgotten, before, forget)),
        "RA": statistics.proportion(each(accuracy.retained, found, retain), each(accuracy.retained, before, retain)),
        "attributes": statistics.mean(
            each(accuracy.attributes, found, retain), each(accuracy.attributes, before, retain)
        ),
        "AS": statistics.mean([found.alignment[row] for row in retain], [before.alignment[row] for row in retain]),
        "FD": distribution.distance(found.features[retain], before.features[retain], reference),
    }
