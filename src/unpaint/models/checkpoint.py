"""base.json: the one file that stands for a base model, with the sha256 of each of its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest, sha256, write_json


@dataclass(frozen=True)
class Checkpoint:
    """A base model on disk: its pipeline folder and the recorded sha256 of each file, by relative path."""

    folder: Path
    files: Mapping[str, str]

    def verified(self, *parts: str) -> Path:
        """The pipeline folder, once every file of the given subfolders (all, if none) is held against its sha256.

        Raises:
            UserError: a file is missing, truncated or another one.
        """
        for name, digest in self.files.items():
            if parts and name.partition("/")[0] not in parts:
                continue
            path = self.folder / name
            if not path.is_file():
                raise UserError(f"{path}: missing, base.json lists it; restore it with `dvc checkout` or make it again")
            if sha256(path) != digest:
                raise UserError(
                    f"{path}: not the file that base.json lists (truncated or changed); restore it with `dvc checkout` "
                    "or make it again"
                )
        return self.folder


def describe(path: Path, folder: Path, manifest: Manifest) -> None:
    """Write base.json for the pipeline in `folder`, which will stand beside it as `pipeline/`."""
    files = {name: sha256(folder / name) for name in sorted(_files(folder))}
    write_json(path, {KEY: manifest.as_dict(), "pipeline": "pipeline", "files": files})


def load(path: Path) -> Checkpoint:
    """Read base.json.

    Raises:
        UserError: missing or broken.
    """
    fields = read_json(path)
    try:
        return Checkpoint(path.parent / fields["pipeline"], fields["files"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: not a base.json of Unpaint; make it again") from None


def strip_paths(folder: Path) -> None:
    """Take `_name_or_path` out of every config: it names a folder of the machine that wrote it."""
    for path in folder.rglob("*.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(fields, dict) and fields.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _files(folder: Path) -> Iterable[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
