"""Lists of rows, one row a line, so that git shows what changed: JSON artefacts, and the rows.tsv beside a corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unpaint.lineage.manifest import KEY, Manifest, write_text


def write_rows(path: Path, manifest: Manifest, head: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> None:
    """Write the manifest, the keys of `head` and the lists as one JSON object."""
    head = {KEY: manifest.as_dict(), **head}
    parts = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    for name, rows in lists.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


def listed(text: str) -> list[dict[str, str]]:
    """The rows of a rows.tsv, by column.

    Raises:
        ValueError: it has no header, or a row of another length.
    """
    head, *lines = (line.split("\t") for line in text.splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]
