"""What is to be made again: the stages of a model, as the dvc.lock of a commit names them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from unpaint.audit import copies, lock
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry, ancestry, maker, makers
from unpaint.audit.model import roots_of
from unpaint.errors import UserError

RESULTS = "results/"
NOTE = ".run.json"
"""How run notes end: they tell of one run, and are never compared."""


@dataclass(frozen=True)
class Target:
    """What a commit's dvc.lock says of a model.

    Attributes:
        stages: all that it was made from and itself, each after those that it reads.
        own: those that are its own: what made it, and what it was scored by; in the same order.
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


def targets(name: str, database: sqlite3.Connection) -> Iterator[Target]:
    """A model in every commit whose dvc.lock names its hashes; the nearest to its making first.

    Those are first whose dvc.lock names its run notes as well, if this project's does, and then the oldest.

    Args:
        name: as of an audit; or a file elsewhere, which is looked for in every commit by its content.

    Raises:
        UserError: no dvc.lock names it, or only one that is not committed.
    """
    books = copies.books()
    outs = {path: digest for entry in _own(name, books, database) for path, digest in entry.outs.items()}
    wanted = {path: digest for path, digest in outs.items() if not path.endswith(NOTE)}
    if not wanted:
        raise UserError(f"{name}: dvc.lock names no output of it; `unpaint record` what was made")
    # to parse a dvc.lock takes a hundred times as long as to see whether a hash is in it
    naming, noting = copies.naming(wanted.values(), books.values()), copies.naming(outs.values(), books.values())
    order = sorted((commit for commit in books if books[commit] in naming), key=lambda one: books[one] not in noting)
    if not order:
        raise unnamed(name)
    return _fitting(order, books, wanted, database)


def unnamed(name: str) -> UserError:
    """What is said of a model that no commit has."""
    return UserError(f"{name}: no commit's dvc.lock names its hash; git add dvc.lock results, and commit them first")


def _fitting(
    order: Iterable[str], books: Mapping[str, str], wanted: Mapping[str, str], database: sqlite3.Connection
) -> Iterator[Target]:
    for commit in order:
        entries = copies.load(books[commit], database)
        if wanted.items() <= {out for entry in entries for out in entry.outs.items()}:
            yield _target(commit, entries, wanted)


def _own(name: str, books: Mapping[str, str], database: sqlite3.Connection) -> list[Entry]:
    """The stages of a model, by this project's dvc.lock; of a copy of one, by any."""
    place = Path(name).absolute()
    if place.is_file() and not place.is_relative_to(Path.cwd() / RESULTS):
        return _by_content(name, books, database)
    entries = lock.read(database)
    return roots_of(entries, name)


def _by_content(name: str, books: Mapping[str, str], database: sqlite3.Connection) -> list[Entry]:
    """The stages of the model that a file is a copy of."""
    found = copies.find(name, books, database)
    if found is None:
        raise UserError(
            f"{name}: no dvc.lock of this clone names such content (md5 {Hashes(database).of(Path(name)).md5}), in no "
            "commit; if its commit is elsewhere, `git fetch` it"
        )
    if found.path not in found.entry.outs:
        return [found.entry]
    beside = f"{Path(found.path).parent.as_posix()}/"
    return [entry for entry in found.entries if any(out.startswith(beside) for out in entry.outs)]


def _target(commit: str, entries: Iterable[Entry], wanted: Mapping[str, str]) -> Target:
    made = makers(entries)
    own = {made[path].name for path in wanted}
    line = {name: entry for name, (entry, _) in ancestry([made[path] for path in wanted], made).items()}
    graph = {
        name: [one.name for path in entry.deps if (one := maker(path, made)) and one.name in line]
        for name, entry in line.items()
    }
    stages = [line[name] for name in TopologicalSorter(graph).static_order()]
    return Target(commit, stages, [entry for entry in stages if entry.name in own])
