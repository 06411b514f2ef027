"""prompts: expand a concept's grammar into paired forget and retain prompts, for training and for testing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unpaint.diversify.grammar import Grammar, Lists, as_fields, expand, targets_of
from unpaint.lineage.manifest import KEY, Manifest, write_text
from unpaint.lineage.stage import Out, Settings


def prompts(settings: Settings, manifest: Manifest, *, train: Out, test: Out) -> None:
    """Write the lists of both splits, with the concept, the values to ask for and the coverage."""
    concept, grammar = settings["concept"], Grammar(**settings["grammar"])
    targets = targets_of(concept["forget"])
    lists = expand(grammar, targets, {split: concept[split] for split in ("train", "test")}, settings["seed"])
    vocabulary = {name: [*given["train"], *given["test"]] for name, given in grammar.values.items()}
    for path, split in ((train, "train"), (test, "test")):
        _write(path, {"split": split, "concept": targets, "values": vocabulary}, lists[split], manifest)


def _write(path: Path, head: dict[str, Any], lists: Lists, manifest: Manifest) -> None:
    """JSON with one row a line, so that git shows what changed."""
    head = {KEY: manifest.as_dict(), **head, "coverage": lists.coverage}
    parts = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    for name, rows in (("forget", lists.forget), ("retain", lists.retain)):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in as_fields(rows))
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")
