"""dvc.lock held against git: its own newest commit, and the code that commits have."""

from __future__ import annotations

import hashlib
import os
import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from unpaint.audit import lock, template
from unpaint.audit.data import TREE, contents
from unpaint.audit.hashes import Hashes, hash_of_listed, ignoring
from unpaint.audit.lock import Entry
from unpaint.audit.template import Template, kind_of
from unpaint.errors import UserError, some
from unpaint.lineage.git import commits, content, git, newest

if TYPE_CHECKING:
    from unpaint.audit.books import Found

OWN = 3
"""So many parts at least has a folder that is one model's, or one set's: results/CONCEPT/... ."""
ALONE = "dvc.lock has it otherwise than the newest commit; nothing but this file vouches for it until that is committed"
NEW = "dvc.lock names it, and the newest commit does not; nothing but this file vouches for it until that is committed"


class History:
    """What git says of the stages of dvc.lock."""

    def __init__(self, made: Mapping[str, Entry], database: sqlite3.Connection, hashes: Hashes) -> None:
        """Take the stage that makes each path, and the index."""
        self.made, self.database, self.hashes = made, database, hashes
        self.commits = set(commits())
        self.templates = cache(_templates)
        self.code = cache(self._code)

    @cached_property
    def committed(self) -> dict[str, Entry]:
        """dvc.lock as git's newest commit has it."""
        if not newest(str(lock.PATH)):
            return {}
        held = content("show", f"HEAD:./{lock.PATH}")
        try:
            return lock.load(lock.take_in(held, self.database), self.database)
        except UserError:  # one with the marks of a merge, say: as good as none
            return {}

    @cached_property
    def makers(self) -> dict[str, Entry]:
        """The stage that writes each path, by the newest commit."""
        return lock.makers(self.committed.values())

    @cached_property
    def unnamed(self) -> dict[str, list[str]]:
        """What is here, and the newest commit's dvc.lock names, and this one does not; by the stage that made it."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.makers.keys() - self.made.keys()):
            if os.path.lexists(path):
                found.setdefault(self.makers[path].name, []).append(path)
        return found

    def hold(self, found: Found, chosen: Mapping[str, Path] | None) -> None:
        """A stage in dvc.lock against the same in git's newest commit; a stage is known by what it writes.

        Args:
            found: takes what is found.
            chosen: where what a user chooses for the stage stands, by role; None, if nobody here can tell.
        """
        entry = found.entry
        before = next((self.makers[path] for path in entry.outs if path in self.makers), None)
        self._hold_unnamed(found, before)
        if before == entry:
            return
        found.remarks.append(NEW if before is None else ALONE)
        self._hold_names(found, before)
        self._hold_code(found, before)
        if before and _read(before, chosen) == _read(entry, chosen):
            for path, digest in entry.outs.items():
                if not path.endswith(".run.json") and before.outs.get(path, digest) != digest:
                    found.contradictions.append(
                        f"dvc.lock: names another {path} than the newest commit does, of equal data, code and settings"
                    )

    def _hold_unnamed(self, found: Found, before: Entry | None) -> None:
        """What the newest commit names of a stage, or of others of the same model, and dvc.lock does not."""
        for name, paths in list(self.unnamed.items()):
            maker = self.committed[name]
            told = self._dropped(maker, found.entry, paths) if maker is before else self._is_gone(maker, found.entry)
            if told:
                del self.unnamed[name]  # told once
                found.contradictions.append(
                    f"dvc.lock: does not name {some(paths, 3)}, which is here, and which the newest commit's names as "
                    f"made by {name}; git checkout -- {lock.PATH} (or, if it was taken out for good, rm "
                    f"{shlex.join(paths)})"
                )

    def _dropped(self, before: Entry, entry: Entry, paths: Iterable[str]) -> bool:
        """Whether a stage still writes what it is not named for any more; an update may have changed that."""
        now = self.templates(TREE).get(kind_of(before))
        return not now or any(map(now.writes, paths)) or before.code == entry.code

    def _is_gone(self, maker: Entry, entry: Entry) -> bool:
        """Whether dvc.lock has nothing more of a stage of the same model as another's."""
        place = PurePosixPath(entry.note).parent
        return (
            PurePosixPath(maker.note).parent == place
            and len(place.parts) >= OWN
            and kind_of(maker) != kind_of(entry)  # of the same kind it is another's
            and kind_of(maker) in (self.templates("HEAD") or {kind_of(maker)})
            and self.made.keys().isdisjoint(maker.outs)
        )

    def _hold_names(self, found: Found, before: Entry | None) -> None:
        """What an entry is of, against dvc.yaml, here or in the commit of its run; as an update may have changed it."""
        entry = found.entry
        if before and _names(before) == _names(entry):
            return
        said = str(found.note.get("commit"))
        due = [self.templates(version) for version in (TREE, "HEAD", *({said} & self.commits))]
        known = [one[kind_of(entry)] for one in due if kind_of(entry) in one]
        if known and all(one.unlike(entry) for one in known):
            found.contradictions.append(f"dvc.lock: {entry.name} is not as dvc.yaml has it: {known[0].unlike(entry)}")
        elif not known and any(due):
            found.contradictions.append(f"dvc.lock: {entry.name} is no stage of dvc.yaml")

    def _hold_code(self, found: Found, before: Entry | None) -> None:
        """The code that an entry names against what is here, and what commits have."""
        entry, said = found.entry, str(found.note.get("commit"))
        versions = (TREE, *({said} & self.commits), *(["HEAD"] if self.committed else []))
        known = before.sources if before else {}
        odd = [
            path
            for path, digest in entry.sources.items()
            if known.get(path) != digest and not any(self.code(version, path) == digest for version in versions)
        ]
        if odd and said in self.commits and found.note.get("dirty") is False:
            found.contradictions.append(
                f"dvc.lock: names code of {entry.name} that is neither here nor in a commit: {odd[0]}"
            )
        elif odd:
            found.remarks.append("dvc.lock names code that is neither here nor in a commit that its run names")

    def _code(self, version: str, path: str) -> str:
        """DVC's hash of a file or folder of code, here or in a commit; empty, where there is none."""
        if version == TREE:
            return self.hashes.digest(Path(path))
        listed = dict(_blobs(version, path))
        md5 = {
            blob: hashlib.md5(held, usedforsecurity=False).hexdigest() for blob, held in contents(listed.values(), {})
        }
        if path in listed:
            return md5[listed[path]]
        leaves_out = ignoring(Path(path))
        kept = (name for name in listed if not leaves_out(Path(name)))
        each = {PurePosixPath(name).relative_to(path).as_posix(): md5[listed[name]] for name in kept}
        return hash_of_listed(each) if each else ""


def _read(entry: Entry, chosen: Mapping[str, Path] | None) -> tuple[Mapping[str, str], str, Mapping[str, object]]:
    """Data, code and settings; but for folders of a user's of which nothing was chosen, so that nothing was read."""
    data = {
        path: digest
        for path, digest in entry.deps.items()
        if path.startswith("results/")
        or not digest.endswith(".dir")
        or chosen is None
        or any(place.is_relative_to(path) for place in chosen.values())
    }
    return data, entry.code, entry.params


def _names(entry: Entry) -> tuple[set[str], ...]:
    return set(entry.deps), set(entry.sources), set(entry.params), set(entry.outs)


def _templates(version: str) -> dict[str, Template]:
    """The stages of dvc.yaml, here or in a commit; none, where there is none."""
    try:
        if version == TREE:
            return template.templates(template.PATH.read_bytes())
        return template.templates(content("show", f"{version}:./{template.PATH}"))
    except (OSError, UserError):
        return {}


def _blobs(commit: str, path: str) -> Iterator[tuple[str, str]]:
    for line in git("ls-tree", "-r", "-z", commit, "--", path).split("\0"):
        head, _, name = line.partition("\t")
        if name:
            yield name, head.split()[2]
