"""Which data made a model: its whole ancestry, every file held against every book that names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from unpaint.audit import lock
from unpaint.audit.books import Books, Found
from unpaint.audit.lock import Entry, ancestry, maker, makers
from unpaint.errors import UserError
from unpaint.lineage import manifest

MODEL = "/model.safetensors"


def audit(name: str | None, database: sqlite3.Connection) -> list[Found]:
    """Audit a model, with all that it was made from: see `audits`."""
    (found,) = audits([name], database)
    return found


def audits(names: Sequence[str | None], database: sqlite3.Connection) -> list[list[Found]]:
    """Audit models, each with all that it was made from; what several share is looked at once.

    Args:
        names: CONCEPT/METHOD/seedN, or a file of results/; all that dvc.lock names, if it is None.

    Raises:
        UserError: dvc.lock has no such model, or nothing at all; git does not answer.
    """
    entries = lock.read(database)
    made = makers(entries.values())
    books = Books(made, database)
    examined: dict[str, Found] = {}
    found = []
    for name in names:
        roots = [one for one in entries.values() if one.outs] if name is None else roots_of(entries, books, name)
        if not roots:
            raise UserError("dvc.lock names no result; `unpaint record` what Snakemake made, or `dvc repro`")
        line = ancestry(roots, made)
        examined |= {stage: books.examine(entry) for stage, (entry, _) in line.items() if stage not in examined}
        found.append([replace(examined[stage], depth=depth) for stage, (_, depth) in line.items()])
    return found


def roots_of(entries: Mapping[str, Entry], books: Books, name: str) -> list[Entry]:
    """The stages of a model: what made it, and what it was scored by. Of a file or a stage, that one.

    Raises:
        UserError: dvc.lock has no such model.
    """
    if name in entries:
        return [entries[name]]
    path = lock.path_of(name)
    path = path if path.startswith("results/") else f"results/{path}"
    if (found := maker(path, books.made)) and (path in books.made or Path(path).suffix):
        return [found]
    inside = [entry for entry in entries.values() if any(out.startswith(f"{path}/") for out in entry.outs)]
    return inside or _elsewhere(entries, books, name)


def _elsewhere(entries: Mapping[str, Entry], books: Books, name: str) -> list[Entry]:
    """The stage that made a file which lies elsewhere, a copy of its output."""
    if Path(name).is_file():
        digest = books.hashes.of(Path(name)).md5
        if found := [entry for entry in entries.values() if digest in entry.outs.values()]:
            return found[:1]
        try:
            said = manifest.read(Path(name)).dumps()
        except UserError as error:
            said = str(error)
        raise UserError(
            f"{name}: dvc.lock names no such content (md5 {digest}); another commit's may: git log -S {digest} -- "
            f"dvc.lock. The file says of itself: {said}"
        )
    models = sorted(out.removeprefix("results/").removesuffix(MODEL) for out in books.made if out.endswith(MODEL))
    raise UserError(f"{name}: dvc.lock names no such model; they are {', '.join(models) or 'none'}")
