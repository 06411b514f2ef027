"""base.json: the one file that stands for a base model, with the sha256 of each of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest, sha256, write_json


@dataclass(frozen=True)
class Checkpoint:
    """A base model on disk, as its base.json has it.

    Attributes:
        path: base.json.
        place: where the pipeline is: `pipeline`, a folder beside base.json; `folder`, one of the project; or
            `repository` and `revision` of the Hub.
        files: the recorded sha256 of each file, by relative path.
        side: of its pictures, in pixels.
        precision: what it computes in, float32, bfloat16 or float16.
    """

    path: Path
    place: Mapping[str, str]
    files: Mapping[str, str]
    side: int
    precision: str

    @property
    def folder(self) -> Path:
        """The folder of its pipeline.

        Raises:
            UserError: it is of the Hub, and not in the cache on this machine.
        """
        if "pipeline" in self.place:
            return self.path.parent / self.place["pipeline"]
        if "folder" in self.place:
            # results/base/base.json stands three below the project, as results/models/NAME.json does
            return self.path.absolute().parents[2] / self.place["folder"]
        return cached(self.place["repository"], self.place["revision"])

    def verified(self, *parts: str) -> Path:
        """The pipeline folder, once every file of the given subfolders (all, if none) is held against its sha256.

        Raises:
            UserError: a file is missing, truncated or another one.
        """
        folder = self.folder
        for name, digest in self.files.items():
            if parts and name.partition("/")[0] not in parts:
                continue
            path = folder / name
            if not path.is_file():
                raise UserError(f"{path}: missing, base.json lists it; {self._remedy()}")
            if sha256(path) != digest:
                raise UserError(
                    f"{path}: not the file that base.json lists (truncated or changed); {self._remedy(path)}"
                )
        return folder

    def _remedy(self, other: Path | None = None) -> str:
        if "pipeline" in self.place:
            return "restore it with `dvc checkout` or `dvc pull`, or make it again"
        here = "folder" in self.place
        return restored(here, "unpaint pin SOURCE", other)


def restored(here: bool, command: str, other: Path | None = None) -> str:
    """How a file that a pin lists comes back.

    Args:
        here: whether it is in a folder of the project, which cannot be fetched.
        command: what pins its kind.
        other: the file that is there in its place in the Hub's cache; the Hub's client would leave it there.
    """
    if here:
        return f"restore the file, or pin anew what is there (`{command}`)"
    return f"delete {other.resolve()}, then `unpaint fetch` brings it" if other else "`unpaint fetch` brings it"


def describe(path: Path, folder: Path, manifest: Manifest, side: int) -> None:
    """Write base.json for the pipeline in `folder`, which will stand beside it as `pipeline/`.

    Args:
        side: of its pictures, in pixels.
    """
    names = sorted(found.relative_to(folder).as_posix() for found in folder.rglob("*") if found.is_file())
    files = {name: sha256(folder / name) for name in names}
    fields = {"pipeline": "pipeline", "precision": "float32", "side": side, "files": files}
    write_json(path, {KEY: manifest.as_dict(), **fields})


def adopt(path: Path, pin: Path, precision: str, manifest: Manifest) -> Path:
    """Write base.json for the checkpoint that a pin names.

    Returns:
        Its folder, once every file is held against its sha256.

    Raises:
        UserError: it is not here, or another one.
    """
    write_json(path, {KEY: manifest.as_dict(), **read_json(pin), "precision": precision})
    return load(path).verified()


def load(path: Path) -> Checkpoint:
    """Read base.json.

    Raises:
        UserError: missing or broken.
    """
    fields: Any = read_json(path)
    try:
        place = {key: fields[key] for key in ("pipeline", "folder", "repository", "revision") if key in fields}
        if set(place) not in ({"pipeline"}, {"folder"}, {"repository", "revision"}):
            raise KeyError("place")
        return Checkpoint(path, place, fields["files"], fields["side"], fields["precision"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: not a base.json of Unpaint; make it again") from None


def cached(repository: str, revision: str, kind: str = "model") -> Path:
    """The folder of a repository in the Hub's cache on this machine.

    Args:
        kind: what the Hub calls it, model or dataset.

    Raises:
        UserError: it is not there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, repo_type=kind, revision=revision, local_files_only=True))
    except IncompleteSnapshotError as error:  # of files that nobody here asked for; ours are held against their hashes
        return Path(error.snapshot_path)
    except LocalEntryNotFoundError:
        raise UserError(
            f"{repository} at {revision} is not in the Hub's cache on this machine; run `unpaint fetch` where there is "
            "a network and the same HF_HOME"
        ) from None


def strip_paths(folder: Path) -> None:
    """Take `_name_or_path` out of every config: it names a folder of the machine that wrote it."""
    for path in folder.rglob("*.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(fields, dict) and fields.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")
