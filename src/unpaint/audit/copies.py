"""What a file that lies elsewhere is: a copy of what some dvc.lock names, or what its own header says.

It is sought by its content: in today's dvc.lock, in every commit's, and then in the folders that they name.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint.audit import data, lock
from unpaint.audit.books import Books, Found
from unpaint.audit.data import TREE
from unpaint.audit.hashes import Hashes, place_of
from unpaint.audit.lock import Entry
from unpaint.errors import UserError
from unpaint.lineage import manifest
from unpaint.lineage.git import content, git
from unpaint.lineage.manifest import Manifest

MATTERS = ("dvc.lock", "dvc.yaml", "params.yaml", "Snakefile", "src", "workflow", "data", "requirements.lock")
"""What tells two commits apart, to a stage."""
UNKNOWN = "unknown here"


@dataclass(frozen=True)
class Copy:
    """What a file is a copy of: the path of it, the stage that made it, and the dvc.lock that names it.

    Attributes:
        path: of an output, or of a file in one that is a folder.
        entries: all stages of that dvc.lock.
        commit: whose dvc.lock it is; empty, if it is the working tree's.
    """

    path: str
    entry: Entry
    entries: list[Entry]
    commit: str


def books() -> dict[str, str]:
    """The blob of each commit's dvc.lock, the oldest first; of those that differ in what matters to a stage.

    Raises:
        UserError: git does not answer.
    """
    order = git("log", "--all", "--full-history", "--reverse", "--format=%H", "--", *MATTERS).split()
    found = {commit: git("ls-tree", commit, "--", str(lock.PATH)).split() for commit in order}
    return {commit: told[2] for commit, told in found.items() if told}


def naming(digests: Iterable[str], blobs: Iterable[str]) -> set[str]:
    """The dvc.locks, by their blobs, in which each of some hashes stands somewhere."""
    wanted = [digest.encode() for digest in digests]
    return {blob for blob, held in data.contents(set(blobs), {}) if all(digest in held for digest in wanted)}


def load(blob: str, database: sqlite3.Connection) -> list[Entry]:
    """The stages of a dvc.lock of git; none of one that cannot be read."""
    try:
        return list(lock.load(lock.take_in(content("cat-file", "blob", blob), database), database).values())
    except UserError:  # one with the marks of a merge, say
        return []


def find(name: str, books: Mapping[str, str], database: sqlite3.Connection) -> Copy | None:
    """What a file is a copy of, by its md5; none, if no dvc.lock of this clone names such content.

    Args:
        books: as `books` gives them.
    """
    hashes = Hashes(database)
    digest = hashes.of(Path(name)).md5
    for commit, entries in _locks([digest], books, database):
        for entry in entries:
            for path, md5 in entry.outs.items():
                if md5 == digest:
                    return Copy(path, entry, entries, commit)
    return _find_within(digest, books, hashes, database)


def _find_within(digest: str, books: Mapping[str, str], hashes: Hashes, database: sqlite3.Connection) -> Copy | None:
    """A file in a folder that a dvc.lock names."""
    here = _here(database)
    for entry in here:
        for path in (path for path, md5 in entry.outs.items() if md5.endswith(".dir")):
            for file in (file for file in hashes.files(Path(path)) if file.exists()):
                if hashes.of(file).md5 == digest:
                    return Copy(str(file), entry, here, TREE)
    for folder, within in _folders(digest, hashes, _cache(database)).items():
        for commit, entries in _locks([folder], books, database):
            for entry in entries:
                for path, md5 in entry.outs.items():
                    if md5 == folder:
                        return Copy(f"{path}/{within}", entry, entries, commit)
    return None


def _folders(digest: str, hashes: Hashes, cache: Path | None) -> dict[str, str]:
    """Of the folders that DVC's cache lists, those that have a content: where in them, by their hash."""
    found: dict[str, str] = {}
    for kept in sorted((cache / "files" / "md5").glob("*/*.dir")) if cache else []:
        if digest in kept.read_text(encoding="utf-8", errors="replace") and not hashes.is_rotten(kept):
            with suppress(ValueError, TypeError, KeyError, StopIteration):  # none of DVC's, or a file of that name
                listed = json.loads(kept.read_bytes())
                within = next(str(one["relpath"]) for one in listed if one["md5"] == digest)
                found[kept.parent.name + kept.name] = within
    return found


def _locks(
    digests: Iterable[str], books: Mapping[str, str], database: sqlite3.Connection
) -> Iterator[tuple[str, list[Entry]]]:
    """Today's stages, and those of each other dvc.lock of git in which some hashes stand, with a commit of it."""
    yield TREE, _here(database)
    # to parse a dvc.lock takes a hundred times as long as to see whether a hash is in it
    wanted = naming(digests, books.values())
    firsts = {blob: commit for commit, blob in reversed(list(books.items())) if blob in wanted}
    yield from ((commit, load(blob, database)) for commit, blob in books.items() if firsts.get(blob) == commit)


def _here(database: sqlite3.Connection) -> list[Entry]:
    return list(lock.read(database).values()) if lock.PATH.is_file() else []


def _cache(database: sqlite3.Connection) -> Path | None:
    """DVC's cache, if this is a project."""
    with suppress(UserError):
        return Books({}, database).cache
    return None


def hold(name: str, copy: Copy, found: Found, database: sqlite3.Connection) -> None:
    """Hold a copy's sha256 against the run note of what it is a copy of: files of one md5 can be made."""
    hashes = Hashes(database)
    digest = hashes.of(Path(name)).sha256
    outputs = _outputs(run_note(copy.entry, hashes, _cache(database)))
    where = f"{copy.path} of commit {copy.commit[:12]}" if copy.commit else copy.path
    if not outputs:
        found.remarks.append(f"{name} is {where} by its md5 alone: its run note, which has the sha256, is not here")
    elif digest not in outputs.values():
        found.contradictions.append(
            f"{name}: has the md5 of {where}, and another content: its sha256 {digest[:12]}... is none that the run "
            "note names"
        )
    elif copy.commit or copy.path not in copy.entry.outs:
        found.remarks.append(f"{name} is {where}, by its md5 and by its run note's sha256")


def itself(name: str, books: Mapping[str, str], database: sqlite3.Connection) -> Found:
    """What a file says of itself that no dvc.lock names, and which of its inputs are known here.

    Raises:
        UserError: it says nothing that can be read.
    """
    hashes = Hashes(database)
    held, unnamed = hashes.of(Path(name)), "no dvc.lock here names such content"
    unnamed = (
        f"{unnamed}, in no commit (md5 {held.md5})" if books or lock.PATH.is_file() else "there is no dvc.lock here"
    )
    try:
        said = manifest.read(Path(name))
    except UserError as error:
        raise UserError(f"{error}; and {unnamed}, so nothing is known of it") from None
    if not _printable(said):
        raise UserError(f"{name}: its manifest cannot be read; and {unnamed}")
    known, alike = _known(said, books, hashes, database)
    remedy = f"unpaint audit model {Path(name).absolute()}"
    found = Found(Entry(said.stage, {}, "", {name: held.md5}, {}), files={name: held.sha256})
    found.missing[name] = f"git fetch, or in a clone that has its commit: {remedy}"
    found.origins = {role: known.get(digest, UNKNOWN) for role, digest in said.inputs.items()}
    found.note = {"manifest": said.as_dict()}
    found.remarks.append(f"{unnamed}; above is what {name} says of itself, and no book holds it")
    if alike:
        found.remarks.append(f"its header is that of {alike}; an export has the same, and so has whatever copies it")
    return found


def _printable(said: Manifest) -> bool:
    """Whether a manifest from anywhere is of the kind that stages write, and can be shown: no line or colour in it."""
    if not isinstance(said.settings, dict) or not _texts(said.inputs) or not isinstance(said.stage, str):
        return False
    return all(text.isprintable() for text in (said.stage, *said.settings, *said.inputs, *said.inputs.values()))


def _known(
    said: Manifest, books: Mapping[str, str], hashes: Hashes, database: sqlite3.Connection
) -> tuple[dict[str, str], str]:
    """Which files the inputs of a manifest are, by sha256; and which output has the same manifest, if one has."""
    cache, fields = _cache(database), said.as_dict()
    found: dict[str, str] = {}
    alike, seen = "", set()
    history = ((commit, load(blob, database)) for commit, blob in books.items())
    for commit, entries in itertools.chain([(TREE, _here(database))], history):
        where = f" in commit {commit[:12]}" if commit else ""
        for entry in (entry for entry in entries if entry.note and entry.outs[entry.note] not in seen):
            seen.add(entry.outs[entry.note])
            note = run_note(entry, hashes, cache)
            outputs = _outputs(note)
            for role, digest in outputs.items():
                if digest in said.inputs.values() and digest not in found:
                    path = _path(entry, digest, hashes, cache) or f"the {role} of {entry.name}"
                    found[digest] = f"{path}{where}"
            if outputs and not alike and note.get("manifest") == fields:
                alike = f"{entry.note.removesuffix('.run.json')}{where}"
        if alike and set(said.inputs.values()) <= found.keys():
            break
    return found, alike


def _path(entry: Entry, digest: str, hashes: Hashes, cache: Path | None) -> str:
    """The output of a stage that has a sha256, if its content is here."""
    held = ((path, _place(path, md5, hashes, cache)) for path, md5 in entry.outs.items())
    return next((path for path, place in held if place and hashes.of(place).sha256 == digest), "")


def run_note(entry: Entry, hashes: Hashes, cache: Path | None) -> Any:
    """The run note of a stage as its dvc.lock names it, from the tree or DVC's cache; empty, if it is not here."""
    place = _place(entry.note, entry.outs.get(entry.note, ""), hashes, cache)
    with suppress(ValueError, RecursionError):
        return json.loads(place.read_bytes()) if place else {}
    return {}


def _place(path: str, md5: str, hashes: Hashes, cache: Path | None) -> Path | None:
    """Where a content is: in the tree, or in DVC's cache."""
    if not md5 or md5.endswith(".dir"):
        return None
    kept = [Path(path), *([place_of(cache, md5)] if cache else [])]
    return next((file for file in kept if file.is_file() and hashes.of(file).md5 == md5), None)


def _outputs(note: Any) -> dict[str, str]:
    """The sha256 of what a run wrote, by role."""
    held: Any = note.get("outputs") if isinstance(note, dict) else None
    return dict(held) if _texts(held) else {}


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
