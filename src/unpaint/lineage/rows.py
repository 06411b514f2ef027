"""Lists of rows, one row a line, so that git shows what changed: JSON artefacts, and the rows.tsv beside a corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest, write_text


def write_rows(path: Path, manifest: Manifest, head: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> None:
    """Write the manifest, the keys of `head` and the lists as one JSON object."""
    head = {KEY: manifest.as_dict(), **head}
    parts = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    for name, rows in lists.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


LIST = ".rows.tsv"
"""How the name of a corpus's list of rows ends."""
NAMED = {"row", "pair", "image_sha256", "prompt_sha256"}
"""Columns that every list has; others, such as the split, are of some."""


def listed(content: bytes, name: str) -> list[dict[str, str]]:
    """The rows of a rows.tsv, by column.

    Raises:
        UserError: its header lacks a column, a row is of another length, or is no text; it is called `name`.
    """
    try:
        head, *lines = (line.removesuffix("\r").split("\t") for line in lines_of(content.decode()))
        if not set(head) >= NAMED:  # also of an empty file
            raise unreadable(name)
        return [dict(zip(head, line, strict=True)) for line in lines]
    except ValueError:
        raise unreadable(name) from None


def lines_of(text: str) -> list[str]:
    """The lines of a text: a cell may hold characters that end a line to `str.splitlines`."""
    return text.removesuffix("\n").split("\n")


def unreadable(name: str) -> UserError:
    """What is said of a rows.tsv that is none."""
    return UserError(f"{name}: not a list of rows that can be read; git checkout -- {name}, or make its corpus again")


def read_listed(path: Path) -> list[dict[str, str]]:
    """The rows of a rows.tsv of the tree; see `listed`."""
    return listed(path.read_bytes(), str(path))
