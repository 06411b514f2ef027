"""retrain: the base recipe on the world without a concept, the gold standard of unlearning (the oracle)."""

from __future__ import annotations

from unpaint.corpus import read, without
from unpaint.diversify.grammar import targets_of
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, OutDir, Settings
from unpaint.stages.base import train


def retrain(settings: Settings, manifest: Manifest, *, world: In, base: Out, pipeline: OutDir) -> None:
    """Train on the rows in which no value of the concept stands in any dimension, as in the retain prompts."""
    forgotten = {value for _, value in targets_of(settings["forget"])}
    rows = [row for row in read(world) if row.attributes["split"] == "base"]
    train(settings, manifest, rows, without(rows, forgotten), base, pipeline)
