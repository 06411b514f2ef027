"""anchors: what each forget prompt of training can be led to; the base model says which when the set is encoded."""

from __future__ import annotations

import json

from unpaint.corpus import read_json
from unpaint.diversify.anchor import choices
from unpaint.diversify.grammar import Grammar, targets_of
from unpaint.lineage.manifest import KEY, Manifest, write_text
from unpaint.lineage.stage import In, Out, Settings


def anchors(settings: Settings, manifest: Manifest, *, prompts: In, anchors: Out) -> None:
    """Write JSON with one forget prompt, and one retain prompt, a line, so that git shows what changed."""
    lists = read_json(prompts)
    grammar, targets = Grammar(**settings["grammar"]), targets_of(settings["forget"])
    asked = {row["prompt"]: row["attributes"] for row in lists["forget"]}
    given = [
        {"prompt": prompt, **choices(grammar, targets, values, settings["anchor"])} for prompt, values in asked.items()
    ]
    retain = [{"pair": row["pair"], "prompt": row["prompt"]} for row in lists["retain"]]
    parts = [f"{json.dumps(KEY)}: {json.dumps(manifest.as_dict(), ensure_ascii=False)}"]
    for name, rows in (("forget", given), ("retain", retain)):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    write_text(anchors, "{\n" + ",\n".join(parts) + "\n}\n")
