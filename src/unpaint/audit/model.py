"""Which data made a model: its whole ancestry, every file held against every book that names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from unpaint.audit import copies, lock, withdrawn
from unpaint.audit.books import Books, Found
from unpaint.audit.lock import Entry, ancestry, maker, makers
from unpaint.errors import UserError

MODEL = "/model.safetensors"
Examine = Callable[[Entry], Found]


def audit(name: str | None, database: sqlite3.Connection) -> list[Found]:
    """Audit a model, with all that it was made from: see `audits`."""
    (found,) = audits([name], database)
    return found


def audits(names: Sequence[str | None], database: sqlite3.Connection) -> list[list[Found]]:
    """Audit models, each with all that it was made from; what several share is looked at once.

    Args:
        names: CONCEPT/METHOD/seedN, a folder above it (a concept's, a method's), a stage, a file of results/, or one
            elsewhere, which is sought by its content; all that dvc.lock names, if it is None.

    Raises:
        UserError: dvc.lock has no such model, or nothing at all; git does not answer.
    """
    if not lock.PATH.is_file() and names and all(name and Path(name).is_file() for name in names):
        return [_of_file(str(name), {}, None, database) for name in names]
    entries = lock.read(database)
    books = Books(makers(entries.values()), database)
    examined: dict[str, Found] = {}

    def examine(entry: Entry) -> Found:
        if entry.name not in examined:
            examined[entry.name] = books.examine(entry)
        return examined[entry.name]

    found = []
    for name in names:
        every = name is None or lock.path_of(name) == "results"
        roots = [one for one in entries.values() if one.outs] if every else _named(entries, books.made, str(name))
        if not roots and name and Path(name).is_file():
            found.append(_of_file(name, entries, examine, database))
        elif not roots and name:
            raise _unknown(books.made, name)
        elif not roots:
            raise UserError("dvc.lock names no result; `unpaint record` what Snakemake made, or `dvc repro`")
        else:
            found.append(_line(roots, books.made, examine))
    return found


def _line(roots: Iterable[Entry], made: Mapping[str, Entry], examine: Examine) -> list[Found]:
    """What is found of each stage of an ancestry; the roots first."""
    return withdrawn.learnt(
        [
            replace(examine(entry), depth=depth, reads=[one.name for one in lock.reads(entry, made)])
            for entry, depth in ancestry(roots, made).values()
        ]
    )


def _of_file(
    name: str, entries: Mapping[str, Entry], examine: Examine | None, database: sqlite3.Connection
) -> list[Found]:
    """Of a file that lies elsewhere: the ancestry of what it is a copy of; else what it says of itself."""
    history: dict[str, str] = {}
    with suppress(UserError):  # no git here
        history = copies.books()
    copy = copies.find(name, history, database)
    if copy is None:
        return [copies.itself(name, history, database)]

    def of_then(entry: Entry) -> Found:
        now = entries.get(entry.name)
        if now and examine and (now.deps, now.outs) == (entry.deps, entry.outs):
            return examine(now)
        bring = f"git checkout {copy.commit[:12]} && unpaint restore"
        return Found(entry, missing=dict.fromkeys(entry.outs, bring))

    line = _line([copy.entry], makers(copy.entries), of_then)
    # of a stage that others share nothing is changed
    line[0] = replace(line[0], contradictions=[*line[0].contradictions], remarks=[*line[0].remarks])
    copies.hold(name, copy, line[0], database)
    return line


def roots_of(entries: Mapping[str, Entry], name: str) -> list[Entry]:
    """The stages of a model: what made it, and what it was scored by. Of a file or a stage, that one.

    Raises:
        UserError: dvc.lock has no such model.
    """
    made = makers(entries.values())
    if found := _named(entries, made, name):
        return found
    raise _unknown(made, name)


def _named(entries: Mapping[str, Entry], made: Mapping[str, Entry], name: str) -> list[Entry]:
    """The stages of what is called so; none, if dvc.lock has none."""
    if name in entries:
        return [entries[name]]
    path = lock.path_of(name)
    path = path if path.startswith("results/") else f"results/{path}"
    if (found := maker(path, made)) and (path in made or Path(path).suffix):
        return [found]
    return [entry for entry in entries.values() if any(out.startswith(f"{path}/") for out in entry.outs)]


def _unknown(made: Mapping[str, Entry], name: str) -> UserError:
    models = sorted(out.removeprefix("results/").removesuffix(MODEL) for out in made if out.endswith(MODEL))
    return UserError(f"{name}: dvc.lock names no such model; they are {', '.join(models) or 'none'}")
