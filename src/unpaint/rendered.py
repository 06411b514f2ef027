"""Pictures that are rendered already, in `scratch/`: of a job that was stopped, or of a corpus that a row goes from.

What determines a picture is in the name of its file: the settings, the models, the code and where it ran. The list of
prompts is not, so that of another list only what is new is rendered.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint import corpus
from unpaint.corpus import Pixels, Row
from unpaint.errors import UserError
from unpaint.lineage import note
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import progress

if TYPE_CHECKING:
    from unpaint.diversify.grammar import Prompt

Key = tuple[str, int]
"""A prompt and an image seed."""
SCRATCH = Path("scratch")
MODELS = ("base", "model")
"""The inputs of a job that determine a picture: the base model, and the unlearned weights."""


class Rendered:
    """The pictures that the job of one set, or of one pool, need not render."""

    def __init__(self, manifest: Manifest, place: Path, environment: Mapping[str, Any], sources: str) -> None:
        """Name what determines them.

        Args:
            place: the folder of the set or pool, so that no two concepts or models share a file.
            environment: where they are rendered, as `note.environment` has it.
            sources: the hash of the code that renders them.
        """
        self.manifest = replace(
            manifest, inputs={role: digest for role, digest in manifest.inputs.items() if role in MODELS}
        )
        stamp = json.dumps([self.manifest.as_dict(), environment, sources], sort_keys=True)
        self._set = "rendered-" + _short(f"{place} {manifest.settings.get('set', 'pool')}")
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

    def pictures(
        self,
        wanted: Sequence[Prompt],
        paint: Callable[[Sequence[Prompt]], Iterable[Pixels]],
        width: int,
        title: str,
        *,
        before: int = 0,
        total: int | None = None,
    ) -> list[bytes]:
        """The picture of each prompt as PNG; those that are there are not painted again, the others are kept.

        Args:
            paint: gives the pictures of prompts, in order.
            width: how many are kept at a time: as many as are painted at once.
            title: what progress is called.
            before: how many of `total` are counted as done already.
        """
        known = self.load()
        lacking = [row for row in wanted if (row.prompt, row.seed) not in known]
        done = len(wanted) - len(lacking)
        if done:
            print(f"{title}: {done} were rendered before", file=sys.stderr)
        # of nothing to paint, no model is loaded
        painted = zip(lacking, paint(lacking), strict=True) if lacking else iter(())
        while batch := list(islice(painted, width)):
            rows = [Row(corpus.encode(pixels), *_said(row)) for row, pixels in batch]
            self.add(rows)
            for row in rows:
                known[row.prompt, row.seed] = row
                progress(title, before + (done := done + 1), total or len(wanted))
        return [known[row.prompt, row.seed].image for row in wanted]

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
        """Delete all of this set or pool, also what is of other code or settings by now, or half written."""
        _delete(self._set)

    def _files(self) -> list[Path]:
        return sorted(SCRATCH.glob(f"{self._stem}-*.parquet"))

    def _next(self) -> Path:
        SCRATCH.mkdir(exist_ok=True)
        return SCRATCH / f"{self._stem}-{len(self._files()):06d}.parquet"


def clear_all() -> None:
    """Delete those of every set and pool."""
    _delete("rendered")


def _delete(stem: str) -> None:
    for path in SCRATCH.glob(f"{stem}-*"):
        path.unlink(missing_ok=True)


def _said(row: Prompt) -> tuple[str, str, int, dict[str, str]]:
    """A prompt's fields in a corpus."""
    return row.prompt, row.pair, row.seed, row.attributes


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
