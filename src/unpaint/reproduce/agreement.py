"""The commit that counts for a model: its own code, data and settings are those that its dvc.lock says made it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from unpaint.errors import UserError, some
from unpaint.lineage.engines import repository
from unpaint.reproduce import clone as clones
from unpaint.reproduce.target import Target, targets, unnamed


class Agreement(NamedTuple):
    """A model in the commit that counts, the clone where that is checked out, and DVC's cache."""

    target: Target
    folder: Path
    cache: Path


@contextmanager
def agreeing(name: str, database: sqlite3.Connection, *, last: bool, keep: Path | None = None) -> Iterator[Agreement]:
    """The first commit whose dvc.lock names a model, and that has what this says it was made with; checked out.

    Args:
        name: as of `targets`.
        database: an index of audits.
        last: hold the model's own stages alone against the commit, and none of those before.
        keep: as of `clone`.

    Raises:
        UserError: no commit names it, or none with the code, data and settings that made it.
    """
    found = targets(name, database)
    with repository() as repo:
        cache = Path(repo.cache.local_cache_dir)
    with clones.clone(keep) as folder:
        yield Agreement(_first(name, found, folder, cache, last=last), folder, cache)


def _first(name: str, found: Iterator[Target], folder: Path, cache: Path, *, last: bool) -> Target:
    told = ""
    for target in found:
        stages = target.own if last else target.stages
        if not (other := clones.check_out(folder, target, stages, cache)):
            return target
        told = told or f"{target.commit[:12]}: {some(other, 5)}"
    if not told:
        raise unnamed(name)
    raise UserError(
        f"{name}: no commit whose dvc.lock names it has the code, data and settings that made it, by that file; in "
        f"the first, {told}. Commit what it was made with, or make it with what is committed (dvc repro)"
    )
