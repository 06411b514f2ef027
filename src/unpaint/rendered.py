"""Pictures that are rendered already, in `scratch/`: of a job that was stopped, or of a corpus that a row goes from.

What determines a picture is in the name of its file: the settings, the base model, the code, the device and torch. The
list of prompts is not, so that of another list only what is new is rendered.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unpaint import corpus
from unpaint.corpus import Row
from unpaint.errors import UserError
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.note import sources_hash

Key = tuple[str, int]
"""A prompt and an image seed."""


class Rendered:
    """The pictures that a job of this manifest need not render."""

    def __init__(self, manifest: Manifest, device: str, torch: str | None = None, sources: str | None = None) -> None:
        """Name what determines them; torch's version and the hash of the code are those of here, if left out."""
        self.manifest = replace(manifest, inputs={"base": manifest.inputs["base"]})
        stamp = f"{self.manifest.dumps()} {sources or sources_hash()} {device} {torch or version('torch')}"
        self._stem = f"rendered-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"

    @classmethod
    def of_note(cls, note: Mapping[str, Any], sources: str | None = None) -> Rendered:
        """Those of a corpus, by its run note."""
        said = note["manifest"]
        manifest = Manifest(said["stage"], said["settings"], said["inputs"])
        return cls(manifest, note["device"], note["packages"]["torch"], sources)

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
        """Delete them."""
        for path in self._files():
            path.unlink()

    @staticmethod
    def clear_all() -> None:
        """Delete those of every job."""
        for path in Path("scratch").glob("rendered-*.parquet"):
            path.unlink()

    def _files(self) -> list[Path]:
        return sorted(Path("scratch").glob(f"{self._stem}-*.parquet"))

    def _next(self) -> Path:
        Path("scratch").mkdir(exist_ok=True)
        return Path("scratch") / f"{self._stem}-{len(self._files()):06d}.parquet"
