"""The manifest: what determines an artefact, carried inside it.

It holds the stage, its settings and the sha256 of each input by role, and nothing of the run (no time, path, commit or
machine), so equal settings and inputs give equal bytes. Following the hashes leads from a model back to its prompts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint.errors import UserError

KEY = "unpaint"
"""The one key under which formats carry a manifest."""
SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """What determines an artefact: the stage, its settings, and the sha256 of every input by its role."""

    stage: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    schema: int = SCHEMA

    def dumps(self) -> str:
        """Canonical JSON: the same manifest is the same text."""
        fields = {"schema": self.schema, "stage": self.stage, "settings": self.settings, "inputs": self.inputs}
        return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def as_dict(self) -> dict[str, Any]:
        """The manifest as plain JSON values."""
        fields: dict[str, Any] = json.loads(self.dumps())
        return fields

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()

    @classmethod
    def loads(cls, text: str, where: str) -> Manifest:
        """Parse a manifest that was found at `where`.

        Raises:
            UserError: the text is no manifest, or one of another schema.
        """
        try:
            fields = json.loads(text)
            manifest = cls(fields["stage"], fields["settings"], fields["inputs"], fields["schema"])
            manifest.dumps().encode()  # half a character passes for JSON, but for no text
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(f"{where}: its manifest cannot be read; make the file again") from None
        if manifest.schema != SCHEMA:
            raise UserError(f"{where}: manifest schema {manifest.schema}, this Unpaint reads {SCHEMA}; make it again")
        return manifest


def read(path: Path) -> Manifest:
    """The manifest inside a `.safetensors`, `.parquet` or `.json` artefact.

    Raises:
        UserError: the file is missing, broken, or carries no manifest.
    """
    text: str | None
    match path.suffix:
        case ".safetensors":
            text = _safetensors_header(path).get(KEY)
        case ".parquet":
            import pyarrow as arrow
            from pyarrow import parquet

            try:
                found = (parquet.read_schema(path).metadata or {}).get(KEY.encode())
            except (OSError, arrow.ArrowException):
                raise UserError(f"{path}: not a readable Parquet file; restore it or make it again") from None
            text = found.decode(errors="replace") if found else None
        case ".json":
            try:
                held = json.loads(path.read_text(encoding="utf-8")).get(KEY)
            except (OSError, ValueError, AttributeError, RecursionError):
                raise UserError(f"{path}: not a readable JSON file; restore it or make it again") from None
            # metrics.json holds it in a list of one, which `dvc metrics show` passes over
            held = held[0] if isinstance(held, list) and held else held
            text = json.dumps(held) if held else None
        case suffix:
            raise UserError(f"{path}: files of kind {suffix or 'without suffix'} carry no manifest")
    if text is None:
        raise UserError(f"{path}: carries no manifest: made elsewhere, or a part of a pipeline")
    return Manifest.loads(text, str(path))


def sha256(path: Path) -> str:
    """sha256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write JSON for people and machines (two-space indent, UTF-8, final newline), atomically."""
    write_text(path, json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _safetensors_header(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        raise UserError(f"{path}: missing, truncated or no safetensors file; restore it or make it again") from None
