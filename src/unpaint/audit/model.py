"""Which data made a model: its whole ancestry, every file held against every book that names it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from unpaint.audit import lock
from unpaint.audit.books import Books, Found
from unpaint.audit.lock import Entry, ancestry, maker, makers
from unpaint.errors import UserError
from unpaint.lineage import manifest

MODEL = "/model.safetensors"


def audit(name: str | None, database: sqlite3.Connection) -> list[Found]:
    """Audit a model, with all that it was made from.

    Args:
        name: CONCEPT/METHOD/seedN, or a file of results/; all that dvc.lock names, if there is none.

    Raises:
        UserError: dvc.lock has no such model, or nothing at all; git does not answer.
    """
    entries = lock.read(database)
    made = makers(entries.values())
    roots = [entry for entry in entries.values() if entry.outs] if name is None else _roots(entries, made, name)
    if not roots:
        raise UserError("dvc.lock names no result; `unpaint record` what Snakemake made, or `dvc repro`")
    books = Books(made, database)
    return [books.examine(entry, depth) for entry, depth in ancestry(roots, made).values()]


def _roots(entries: Mapping[str, Entry], made: Mapping[str, Entry], name: str) -> list[Entry]:
    """The stages of a model: what made it, and what it was scored by. Of a file or a stage, that one."""
    if name in entries:
        return [entries[name]]
    place, here = Path(name).absolute(), Path.cwd()
    path = place.relative_to(here).as_posix() if place.is_relative_to(here) else name
    path = path if path.startswith("results/") else f"results/{path}"
    if (found := maker(path, made)) and (path in made or Path(path).suffix):
        return [found]
    inside = [entry for entry in entries.values() if any(out.startswith(f"{path}/") for out in entry.outs)]
    return inside or _elsewhere(entries, made, name)


def _elsewhere(entries: Mapping[str, Entry], made: Mapping[str, Entry], name: str) -> list[Entry]:
    """The stage that made a file which lies elsewhere, a copy of its output."""
    if Path(name).is_file():
        with Path(name).open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
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
    models = sorted(out.removeprefix("results/").removesuffix(MODEL) for out in made if out.endswith(MODEL))
    raise UserError(f"{name}: dvc.lock names no such model; they are {', '.join(models) or 'none'}")
