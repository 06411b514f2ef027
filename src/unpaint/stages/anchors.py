"""anchors: what each forget prompt of training can be led to; the base model says which when the set is encoded."""

from __future__ import annotations

from unpaint.corpus import read_json
from unpaint.diversify.anchor import choices
from unpaint.diversify.grammar import Grammar, targets_of
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.rows import write_rows
from unpaint.lineage.stage import In, Out, Settings


def anchors(settings: Settings, manifest: Manifest, *, prompts: In, anchors: Out) -> None:
    """Write the choices of each forget prompt, and the retain prompt of each pair."""
    lists = read_json(prompts)
    grammar, targets = Grammar(**settings["grammar"]), targets_of(settings["forget"])
    asked = {row["prompt"]: row["attributes"] for row in lists["forget"]}
    forget = [
        {"prompt": prompt, **choices(grammar, targets, values, settings["anchor"])} for prompt, values in asked.items()
    ]
    retain = [{"pair": row["pair"], "prompt": row["prompt"]} for row in lists["retain"]]
    write_rows(anchors, manifest, {}, {"forget": forget, "retain": retain})
