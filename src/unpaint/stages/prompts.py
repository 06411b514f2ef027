"""prompts: expand a concept's grammar into paired forget and retain prompts, for training and for testing."""

from __future__ import annotations

from unpaint.diversify.grammar import Grammar, as_fields, expand, targets_of
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.rows import write_rows
from unpaint.lineage.stage import Out, Settings


def prompts(settings: Settings, manifest: Manifest, *, train: Out, test: Out) -> None:
    """Write the lists of both splits, with the concept, the values to ask for and the coverage."""
    concept, grammar = settings["concept"], Grammar(**settings["grammar"])
    targets = targets_of(concept["forget"])
    lists = expand(grammar, targets, {split: concept[split] for split in ("train", "test")}, settings["seed"])
    vocabulary = {name: [*given["train"], *given["test"]] for name, given in grammar.values.items()}
    for path, split in ((train, "train"), (test, "test")):
        found = lists[split]
        head = {"split": split, "concept": targets, "values": vocabulary, "coverage": found.coverage}
        write_rows(path, manifest, head, {"forget": as_fields(found.forget), "retain": as_fields(found.retain)})
