"""prompts: expand a concept's grammar into paired forget and retain prompts, for training and for testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from unpaint.diversify import table as tables
from unpaint.diversify.grammar import Grammar, as_fields, expand, targets_of
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.rows import write_rows
from unpaint.lineage.stage import Maybe, Out, Settings


def prompts(settings: Settings, manifest: Manifest, *, table: Maybe = None, train: Out, test: Out) -> None:
    """Write the lists of both splits, with the concept, the values to ask for and the coverage.

    The rows of the user's own `table`, if any, are a third list of the test split.
    """
    concept, grammar = settings["concept"], Grammar(**settings["grammar"])
    targets = targets_of(concept["forget"])
    lists = expand(grammar, targets, {split: concept[split] for split in ("train", "test")}, settings["seed"])
    vocabulary = {name: [*given["train"], *given["test"]] for name, given in grammar.values.items()}
    for path, split in ((train, "train"), (test, "test")):
        found = lists[split]
        head = {"split": split, "concept": targets, "values": vocabulary, "coverage": found.coverage}
        rows: dict[str, Sequence[Any]] = {"forget": as_fields(found.forget), "retain": as_fields(found.retain)}
        if table and split == "test":
            rows["table"] = [asdict(row) for row in tables.read(table, grammar, targets)]
        write_rows(path, manifest, head, rows)
