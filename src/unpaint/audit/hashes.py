"""Hashes of files, kept from audit to audit: a file is read again once anything of it has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unpaint.errors import UserError
from unpaint.lineage.stage import hash_of_folder

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

INDEX = Path(".dvc/tmp/unpaint-audit-2.sqlite")
"""In DVC's own folder for what may be lost at any time, which git does not see; the number is that of its tables."""
PATIENCE = 5.0
"""Seconds to wait for another command that has the index."""
CHUNK = 2**20
IGNORE = ".dvcignore"
ALWAYS = (".hg/", ".git/", ".git", ".dvc/")
"""What DVC leaves out of a folder, whatever a .dvcignore says."""


class Hash(NamedTuple):
    """A file's hashes, in hex: ours and DVC's."""

    sha256: str
    md5: str


class Hashes:
    """Hashes of files by path; those of unchanged ones come from an index.

    A change is seen by size, time of change of content and of the file's entry (which no program can set back), and
    inode.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, stat TEXT, sha256 TEXT, md5 TEXT)")

    def of(self, path: Path) -> Hash:
        """The hashes of a file."""
        found, name = path.stat(), os.fsencode(path)  # a name need not be a text
        stat = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino} {found.st_dev}"
        row = self._database.execute("SELECT stat, sha256, md5 FROM files WHERE path = ?", (name,)).fetchone()
        if row and row[0] == stat:
            return Hash(*row[1:])
        made = _read(path)
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (name, stat, *made))
        return made

    def digest(self, path: Path) -> str:
        """DVC's hash of a file or of a folder; empty, where there is none."""
        if path.is_dir():
            return self.of_folder(path)
        return self.of(path).md5 if path.is_file() else ""

    def is_rotten(self, kept: Path) -> bool:
        """Whether an object is in DVC's cache, and is not what its name says."""
        return kept.is_file() and self.of(kept).md5 != kept.parent.name + kept.name.removesuffix(".dir")

    @staticmethod
    def files(folder: Path) -> list[Path]:
        """The files of a folder; not what .dvcignore leaves out."""
        leaves_out = ignoring(folder)
        return [path for path in sorted(folder.rglob("*")) if not (path.is_dir() or leaves_out(path))]

    def of_folder(self, folder: Path) -> str:
        """DVC's hash of a folder: of the md5 of each of its files."""
        files = [path for path in self.files(folder) if path.is_file()]
        return hash_of_listed({path.relative_to(folder).as_posix(): self.of(path).md5 for path in files})

    def of_listing(self, folder: Path) -> str:
        """The one hash by which a manifest names a folder of the user's own pictures."""
        return hash_of_folder(folder, lambda path: self.of(path).sha256)


def ignoring(folder: Path) -> Callable[[Path], bool]:
    """Whether a .dvcignore of this project leaves a file out of a folder; the innermost that tells of it decides."""
    specs = [(place, _ignored(place, _changed(place))) for place in folder.parents if not place.is_absolute()]

    def leaves_out(path: Path) -> bool:
        told = (spec.check_file(path.relative_to(place)).include for place, spec in specs)
        return next((one for one in told if one is not None), False)

    return leaves_out


def _changed(folder: Path) -> int:
    """When a folder's .dvcignore changed; 0, if there is none."""
    try:
        return (folder / IGNORE).stat().st_mtime_ns
    except OSError:
        return 0


@cache
def _ignored(folder: Path, changed: int) -> GitIgnoreSpec:
    """What a folder's .dvcignore leaves out, its lines read as DVC reads them."""
    from pathspec import GitIgnoreSpec

    lines = (folder / IGNORE).read_text(encoding="utf-8").splitlines() if changed else []
    return GitIgnoreSpec.from_lines([*ALWAYS, *(line.strip() for line in lines)])


def hash_of_listed(md5: Mapping[str, str]) -> str:
    """DVC's hash of a folder, from the md5 of each of its files by path in it."""
    each = [{"md5": md5[path], "relpath": path} for path in sorted(md5, key=lambda path: path.split("/"))]
    return hashlib.md5(json.dumps(each, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def place_of(cache: Path, digest: str) -> Path:
    """Where DVC's cache keeps the content of an md5."""
    return cache / "files" / "md5" / digest[:2] / digest[2:]


@contextmanager
def index(*, anew: bool = False) -> Iterator[sqlite3.Connection]:
    """The index of this project; one of its own, that is lost, where it cannot be kept.

    One command at a time writes it, from its first question to its last; another that does not get it soon begins
    with what it holds, and keeps nothing.
    """
    database = _own(anew) or _borrowed(anew)
    try:
        yield database
        # one that reads it for long may be in the way: then what was found now is found again, and no more
        with suppress(sqlite3.OperationalError):
            database.commit()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{INDEX}: {error}; delete it, it is made anew") from None
    finally:
        database.close()


def _own(anew: bool) -> sqlite3.Connection | None:
    """The index, for this command alone; None in a read-only checkout, or while another has it."""
    if not INDEX.parents[1].is_dir():
        return None
    database = None
    try:
        INDEX.parent.mkdir(exist_ok=True)
        database = sqlite3.connect(INDEX, timeout=PATIENCE)
        database.execute("BEGIN IMMEDIATE")
        if anew:
            _clear(database)
        return database
    except (OSError, sqlite3.Error) as error:
        if database:
            database.close()
        # another may have it open: what can be read is emptied and not deleted
        if anew and isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            INDEX.unlink(missing_ok=True)
            return _own(anew=False)
        return None


def _borrowed(anew: bool) -> sqlite3.Connection:
    """A copy in memory of what the index holds, if that can be read."""
    database = sqlite3.connect(":memory:")
    if not anew and INDEX.is_file():
        try:
            with closing(sqlite3.connect(f"{INDEX.absolute().as_uri()}?mode=ro", timeout=PATIENCE, uri=True)) as kept:
                kept.execute("BEGIN")
                # that it can be read: a copy would be waited for without end
                kept.execute("SELECT count(*) FROM sqlite_master").fetchone()
                kept.backup(database)
        except (OSError, sqlite3.Error):
            database.close()
            database = sqlite3.connect(":memory:")
    return database


def _clear(database: sqlite3.Connection) -> None:
    """Drop all of it; of an index that was handed over also a view that stands as a table."""
    held = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    for kind, name in database.execute(held).fetchall():
        quoted = name.replace('"', '""')
        database.execute(f'DROP {kind} "{quoted}"')


def _read(path: Path) -> Hash:
    one, other = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            one.update(chunk)
            other.update(chunk)
    return Hash(one.hexdigest(), other.hexdigest())
