"""Hashes of files, kept from audit to audit: a file is read again once anything of it has changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from unpaint.errors import UserError
from unpaint.lineage.stage import hash_of_folder

INDEX = Path(".dvc/tmp/unpaint-audit-2.sqlite")
"""In DVC's own folder for what may be lost at any time, which git does not see; the number is that of its tables."""
CHUNK = 2**20
IGNORED = (".pyc", ".snakemake_timestamp")
"""As in .dvcignore."""


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
        database.execute("CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, stat TEXT, sha256 TEXT, md5 TEXT)")

    def of(self, path: Path) -> Hash:
        """The hashes of a file."""
        found = path.stat()
        stat = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino} {found.st_dev}"
        row = self._database.execute("SELECT stat, sha256, md5 FROM files WHERE path = ?", (str(path),)).fetchone()
        if row and row[0] == stat:
            return Hash(*row[1:])
        made = _read(path)
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (str(path), stat, *made))
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
        found = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
        return [path for path in found if not is_ignored(path)]

    def of_folder(self, folder: Path) -> str:
        """DVC's hash of a folder: of the md5 of each of its files."""
        files = [path for path in self.files(folder) if path.exists()]
        return hash_of_listed({path.relative_to(folder).as_posix(): self.of(path).md5 for path in files})

    def of_listing(self, folder: Path) -> str:
        """The one hash by which a manifest names a folder of the user's own pictures."""
        return hash_of_folder(folder, lambda path: self.of(path).sha256)


def is_ignored(path: Path) -> bool:
    """Whether .dvcignore leaves a file out of a folder."""
    return "__pycache__" in path.parts or path.name.endswith(IGNORED)


def hash_of_listed(md5: Mapping[str, str]) -> str:
    """DVC's hash of a folder, from the md5 of each of its files by path in it."""
    each = [{"md5": md5[path], "relpath": path} for path in sorted(md5, key=lambda path: path.split("/"))]
    return hashlib.md5(json.dumps(each, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def place_of(cache: Path, digest: str) -> Path:
    """Where DVC's cache keeps the content of an md5."""
    return cache / "files" / "md5" / digest[:2] / digest[2:]


@contextmanager
def index(*, anew: bool = False) -> Iterator[sqlite3.Connection]:
    """The index of this project; one of its own, that is lost, where it cannot be kept."""
    try:
        if anew:
            INDEX.unlink(missing_ok=True)
        if not INDEX.parents[1].is_dir():
            raise OSError
        INDEX.parent.mkdir(exist_ok=True)
        database = sqlite3.connect(INDEX)
        # can it be written? Not in a read-only checkout, nor while another command has it
        database.execute("BEGIN IMMEDIATE")
        database.rollback()
    except (OSError, sqlite3.Error):
        database = sqlite3.connect(":memory:")
    try:
        yield database
        database.commit()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{INDEX}: {error}; delete it, it is made anew") from None
    finally:
        database.close()


def _read(path: Path) -> Hash:
    one, other = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            one.update(chunk)
            other.update(chunk)
    return Hash(one.hexdigest(), other.hexdigest())
