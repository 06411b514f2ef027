"""Pictures that are rendered already, in `scratch/`: of a job that was stopped, or of a corpus that a row goes from.

What determines a picture is in the name of its file: the settings, the base model, the code and where it ran. The list
of prompts is not, so that of another list only what is new is rendered.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from unpaint import corpus
from unpaint.corpus import Row
from unpaint.errors import UserError
from unpaint.lineage import note
from unpaint.lineage.manifest import Manifest

Key = tuple[str, int]
"""A prompt and an image seed."""
SCRATCH = Path("scratch")


class Rendered:
    """The pictures that one set's job need not render."""

    def __init__(self, manifest: Manifest, place: Path, environment: Mapping[str, Any], sources: str) -> None:
        """Name what determines them.

        Args:
            place: the folder of the set, so that no two concepts share a file.
            environment: where they are rendered, as `note.environment` has it.
            sources: the hash of the code that renders them.
        """
        self.manifest = replace(manifest, inputs={"base": manifest.inputs["base"]})
        stamp = json.dumps([self.manifest.as_dict(), environment, sources], sort_keys=True)
        self._set = "rendered-" + _short(f"{place} {manifest.settings['set']}")
        self._stem = f"{self._set}-{_short(stamp)}"

    @classmethod
    def here(cls, manifest: Manifest, place: Path, device: str) -> Rendered:
        """Those of this code, on a device of this machine."""
        return cls(manifest, place, note.environment(device), note.sources_hash())

    @classmethod
    def of_corpus(cls, path: Path, said: Mapping[str, Any], sources: str) -> Rendered:
        """Those of a corpus, by its run note."""
        made = said["manifest"]
        manifest = Manifest(made["stage"], made["settings"], made["inputs"])
        return cls(manifest, path.parent, {key: said.get(key) for key in note.RAN_ON}, sources)

    def load(self) -> dict[Key, Row]:
        """What is there, by prompt and seed; a file that cannot be read is passed over."""
        found: dict[Key, Row] = {}
        for path in self._files():
            with suppress(UserError):
                found |= {(row.prompt, row.seed): row for row in corpus.read(path)}
        return found

    def add(self, rows: Sequence[Row]) -> None:
        """Keep more of them; atomic."""
        path = self._next()
        partial = path.with_suffix(f".{os.getpid()}.partial")
        corpus.write(partial, rows, self.manifest)
        os.replace(partial, path)

    def take(self, path: Path) -> None:
        """Keep those of a whole corpus, which an engine is about to delete."""
        target = self._next()
        try:
            os.link(path.resolve(), target)
        except OSError:  # another disk
            shutil.copyfile(path, target)

    def clear(self) -> None:
        """Delete all of this set, also what is of other code or settings by now, or half written."""
        _delete(self._set)

    def _files(self) -> list[Path]:
        return sorted(SCRATCH.glob(f"{self._stem}-*.parquet"))

    def _next(self) -> Path:
        SCRATCH.mkdir(exist_ok=True)
        return SCRATCH / f"{self._stem}-{len(self._files()):06d}.parquet"


def clear_all() -> None:
    """Delete those of every set."""
    _delete("rendered")


def _delete(stem: str) -> None:
    for path in SCRATCH.glob(f"{stem}-*"):
        path.unlink(missing_ok=True)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
