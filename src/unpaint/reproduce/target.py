"""What is to be made again: the stages of a model, as the dvc.lock of a commit names them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from unpaint.audit import data, lock
from unpaint.audit.books import Books
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry, ancestry, maker, makers
from unpaint.audit.model import roots_of
from unpaint.errors import UserError
from unpaint.lineage.git import commits, git

MATTERS = ("dvc.lock", "dvc.yaml", "params.yaml", "Snakefile", "src", "workflow", "data", "requirements.lock")
"""What tells two commits apart, to a stage."""
RESULTS = "results/"
NOTE = ".run.json"
"""How run notes end: they tell of one run, and are never compared."""


@dataclass(frozen=True)
class Target:
    """What a commit's dvc.lock says of a model.

    Attributes:
        stages: all that it was made from and itself, each after those that it reads.
        own: those that are its own: what made it, and what it was scored by.
    """

    commit: str
    stages: list[Entry]
    own: list[Entry]

    @property
    def read(self) -> list[Entry]:
        """The stages whose outputs its own stages read."""
        mine = {entry.name for entry in self.own}
        made = makers(self.stages)
        found = (maker(path, made) for entry in self.own for path in entry.deps)
        return list({one.name: one for one in found if one and one.name not in mine}.values())

    @property
    def broken(self) -> list[str]:
        """Where its dvc.lock says that a stage read other content than the stage before it made."""
        made = makers(self.stages)
        found = []
        for entry in self.stages:
            for path, digest in entry.deps.items():
                before = maker(path, made)
                if path.startswith(RESULTS) and (before is None or before.outs.get(path, digest) != digest):
                    found.append(f"{entry.name} read another {path} than any stage of dvc.lock made")
        return found


def targets(name: str, database: sqlite3.Connection) -> list[Target]:
    """A model in every commit whose dvc.lock names its hashes; the oldest first, as that is nearest to its making.

    Args:
        name: as of an audit; or a file elsewhere, which is looked for in every commit by its content.

    Raises:
        UserError: no dvc.lock names it, or only one that is not committed.
    """
    data.take_in(commits(), database)
    wanted = _wanted(name, database)
    books = dict(database.execute("SELECT version, lock FROM versions").fetchall())
    fit: dict[str, list[Entry]] = {}
    for blob in _naming(next(iter(wanted.values())), database):
        entries = lock.load(blob, database)
        if wanted.items() <= {out for entry in entries.values() for out in entry.outs.items()}:
            fit[blob] = list(entries.values())
    order = git("log", "--all", "HEAD", "--full-history", "--reverse", "--format=%H", "--", *MATTERS).split()
    found = [_target(commit, fit[books[commit]], wanted) for commit in order if books.get(commit) in fit]
    if not found:
        raise UserError(f"{name}: no commit's dvc.lock names its hash; git add dvc.lock results, and commit them first")
    return found


def _wanted(name: str, database: sqlite3.Connection) -> dict[str, str]:
    """The md5 of each output of a model, by path; of no run note."""
    place = Path(name).absolute()
    if place.is_file() and not place.is_relative_to(Path.cwd() / RESULTS):
        own = _by_content(name, database)
    else:
        entries = lock.read(database)
        own = roots_of(entries, Books(makers(entries.values()), database), name)
    outs = {path: digest for entry in own for path, digest in entry.outs.items()}
    wanted = {path: digest for path, digest in outs.items() if not path.endswith(NOTE)}
    if not wanted:
        raise UserError(f"{name}: dvc.lock names no output of it; `unpaint record` what was made")
    return wanted


def _by_content(name: str, database: sqlite3.Connection) -> list[Entry]:
    """The stages of the model that a file is a copy of, by any dvc.lock of the clone."""
    digest = Hashes(database).of(Path(name)).md5
    for blob in _naming(digest, database):
        entries = lock.load(blob, database)
        for path in (path for entry in entries.values() for path, md5 in entry.outs.items() if md5 == digest):
            beside = f"{Path(path).parent.as_posix()}/"
            return [entry for entry in entries.values() if any(out.startswith(beside) for out in entry.outs)]
    raise UserError(
        f"{name}: no dvc.lock of this clone names such content (md5 {digest}), in no commit; if its commit is "
        "elsewhere, `git fetch` it"
    )


def _naming(digest: str, database: sqlite3.Connection) -> Iterator[str]:
    """Every dvc.lock, by its blob, that has a hash somewhere."""
    query = "SELECT blob FROM locks WHERE instr(stages, ?) ORDER BY blob"
    return (blob for (blob,) in database.execute(query, (digest,)).fetchall())


def _target(commit: str, entries: Iterable[Entry], wanted: Mapping[str, str]) -> Target:
    made = makers(entries)
    own = list({made[path].name: made[path] for path in wanted}.values())
    line = {name: entry for name, (entry, _) in ancestry(own, made).items()}
    graph = {
        name: [one.name for path in entry.deps if (one := maker(path, made)) and one.name in line]
        for name, entry in line.items()
    }
    return Target(commit, [line[name] for name in TopologicalSorter(graph).static_order()], own)
