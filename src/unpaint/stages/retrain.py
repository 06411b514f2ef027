"""retrain: the base recipe on the world without a concept, the gold standard of unlearning (the oracle)."""

from __future__ import annotations

from unpaint.corpus import TRACE, Row, read
from unpaint.diversify.grammar import targets_of
from unpaint.errors import UserError
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, OutDir, Settings
from unpaint.stages.base import train


def retrain(settings: Settings, manifest: Manifest, *, world: In, base: Out, pipeline: OutDir) -> None:
    """Train on the rows in which no value of the concept stands in any dimension, as in the retain prompts."""
    forgotten = {value for _, value in targets_of(settings["forget"])}
    rows = [row for row in read(world) if row.attributes["split"] == "base"]
    train(settings, manifest, rows, without(rows, forgotten), base, pipeline)


def without(rows: list[Row], forgotten: set[str]) -> list[Row]:
    """The rows that show none of the values, in whatever column.

    Raises:
        UserError: none is left.
    """
    kept = [
        row for row in rows if not forgotten & {value for name, value in row.attributes.items() if name not in TRACE}
    ]
    if not kept:
        raise UserError(f"the world shows nothing without {', '.join(sorted(forgotten))}; no oracle can be trained")
    return kept
