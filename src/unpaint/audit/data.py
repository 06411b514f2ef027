"""Which models a piece of data made: in the tree, in every commit, and in DVC's experiments.

The lists of rows (`rows.tsv`) are in git, so this needs no data. What was read of a commit once is kept in an index.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from unpaint.audit import lock
from unpaint.audit.lock import blob_of, descent
from unpaint.audit.model import git
from unpaint.errors import UserError

TREE = ""
"""Stands for the working tree among the commits."""
MADE = ("model.safetensors", "base.json", "samples.parquet", "metrics.json")
"""What is told of what was made: models, pools, scores."""
COLUMNS = {"pair": "pair", "image_sha256": "image", "prompt_sha256": "prompt", "file_sha256": "file"}
TABLES = """
CREATE TABLE IF NOT EXISTS lists (blob TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS rows (blob TEXT, row INTEGER, pair TEXT, image TEXT, prompt TEXT, file TEXT);
CREATE INDEX IF NOT EXISTS rows_pair ON rows (pair);
CREATE INDEX IF NOT EXISTS rows_image ON rows (image);
CREATE INDEX IF NOT EXISTS rows_prompt ON rows (prompt);
CREATE INDEX IF NOT EXISTS rows_file ON rows (file);
CREATE TABLE IF NOT EXISTS places (version TEXT, path TEXT, blob TEXT);
CREATE INDEX IF NOT EXISTS places_blob ON places (blob);
CREATE TABLE IF NOT EXISTS locks (blob TEXT PRIMARY KEY, stages TEXT);
CREATE TABLE IF NOT EXISTS versions (version TEXT PRIMARY KEY, lock TEXT);
"""


@dataclass(frozen=True)
class Made:
    """A file that the data went into: its md5 in dvc.lock, and whether the working tree's dvc.lock names it."""

    path: str
    md5: str
    now: bool


@dataclass(frozen=True)
class Match:
    """A row of a corpus, where it stands, and what was made of it.

    Attributes:
        corpus: its list of rows, by path.
        commits: those that have it; newest first.
        now: whether the working tree has it.
    """

    corpus: str
    row: int
    pair: str
    commits: list[str]
    now: bool
    made: list[Made]


def audit(query: str, database: sqlite3.Connection) -> list[Match]:
    """Every row that is an image, a prompt, a pair or a file of the user's, and what it went into.

    Args:
        query: the sha256 of an image or of a file, a file, the text of a prompt, or the id of a pair.
    """
    database.executescript(TABLES)
    _take_in(database)
    places = _places(query, database)
    order = {commit: number for number, commit in enumerate(git("rev-list", "--all", "HEAD").split())}
    found = []
    for (path, row, pair), versions in sorted(places.items()):
        commits = sorted((version for version in versions if version != TREE), key=lambda one: order.get(one, 0))
        found.append(Match(path, row, pair, commits, TREE in versions, _made(path, versions, database)))
    return found


def _places(query: str, database: sqlite3.Connection) -> dict[tuple[str, int, str], set[str]]:
    """The versions of the project that have a row, by list, number and pair."""
    file = Path(query)
    if file.is_file():
        keys = ["image", "file"]
        wanted = hashlib.sha256(file.read_bytes()).hexdigest()
    elif re.fullmatch(r"[0-9a-f]{64}", query):
        keys, wanted = ["image", "file", "prompt"], query
    else:
        keys, wanted = ["prompt"], hashlib.sha256(query.encode()).hexdigest()
    found: dict[tuple[str, int, str], set[str]] = {}
    for key, value in [*((key, wanted) for key in keys), ("pair", query)]:
        text = f"SELECT path, row, pair, version FROM rows JOIN places USING (blob) WHERE {key} = ?"  # noqa: S608
        for path, row, pair, version in database.execute(text, (value,)):
            found.setdefault((path, row, pair), set()).add(version)
    return found


def _made(path: str, versions: Iterable[str], database: sqlite3.Connection) -> list[Made]:
    """What the corpus of a list went into, in each version, what stands in the tree first."""
    found: dict[tuple[str, str], bool] = {}
    seen = set()
    for version in sorted(versions):  # the tree comes first
        (book,) = database.execute("SELECT lock FROM versions WHERE version = ?", (version,)).fetchone()
        if book in seen:
            continue
        seen.add(book)
        entries = lock.load(book, database) if book else {}
        written = next((entry.outs for entry in entries.values() if path in entry.outs), {})
        for entry in descent(written, entries):
            for out, digest in entry.outs.items():
                if Path(out).name in MADE:
                    found.setdefault((out, digest), version == TREE)
    return [Made(out, digest, now) for (out, digest), now in found.items()]


def _take_in(database: sqlite3.Connection) -> None:
    """Read what the index does not have yet: new commits, and the tree as it is."""
    known = {version for (version,) in database.execute("SELECT version FROM versions")}
    commits = dict.fromkeys(git("rev-list", "--all", "HEAD").split())
    for commit in [commit for commit in commits if commit not in known]:
        _place(database, commit, _listed(commit))
    for gone in known - set(commits) - {TREE}:  # an experiment that was removed
        database.execute("DELETE FROM versions WHERE version = ?", (gone,))
        database.execute("DELETE FROM places WHERE version = ?", (gone,))
    database.execute("DELETE FROM versions WHERE version = ?", (TREE,))
    database.execute("DELETE FROM places WHERE version = ?", (TREE,))
    files = [path for path in [lock.PATH, *sorted(Path("results").rglob("*.rows.tsv"))] if path.is_file()]
    here = {path.as_posix(): path.read_bytes() for path in files}
    blobs = {path: blob_of(content) for path, content in here.items()}
    _place(database, TREE, blobs)
    own = {blobs[path]: content for path, content in here.items()}
    _read(database, own)


def _listed(commit: str) -> dict[str, str]:
    """The blobs of a commit that matter, by path."""
    found = {}
    for line in git("ls-tree", "-r", "-z", "--full-tree", commit, "--", "results", str(lock.PATH)).split("\0"):
        head, _, path = line.partition("\t")
        if path == str(lock.PATH) or path.endswith(".rows.tsv"):
            found[path] = head.split()[2]
    return found


def _place(database: sqlite3.Connection, version: str, blobs: dict[str, str]) -> None:
    book = blobs.get(str(lock.PATH), "")
    database.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (version, book))
    lists = [(version, path, blob) for path, blob in blobs.items() if path != str(lock.PATH)]
    database.executemany("INSERT INTO places VALUES (?, ?, ?)", lists)


def _read(database: sqlite3.Connection, own: dict[str, bytes]) -> None:
    """The content of each list and dvc.lock that is named and not read yet."""
    lists = {blob for (blob,) in database.execute("SELECT blob FROM places EXCEPT SELECT blob FROM lists")}
    books = {blob for (blob,) in database.execute("SELECT lock FROM versions EXCEPT SELECT blob FROM locks") if blob}
    for blob, content in _contents(lists | books, own):
        if blob in lists:
            database.execute("INSERT INTO lists VALUES (?)", (blob,))
            database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", _rows(blob, content.decode()))
        else:
            lock.take_in(content, database)


def _rows(blob: str, text: str) -> Iterator[tuple[str | int, ...]]:
    head, *lines = text.splitlines()
    columns = head.split("\t")
    for line in lines:
        given = dict(zip(columns, line.split("\t"), strict=True))
        yield (blob, int(given["row"]), *(given.get(name, "") for name in COLUMNS))


def _contents(blobs: Iterable[str], own: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The content of blobs of git, or of the tree."""
    yield from ((blob, own[blob]) for blob in sorted(blobs) if blob in own)
    wanted = sorted(set(blobs) - set(own))
    if not wanted:
        return
    with subprocess.Popen(
        ["git", "cat-file", "--batch"],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as asked:
        assert asked.stdin
        assert asked.stdout
        for blob in wanted:
            asked.stdin.write(f"{blob}\n".encode())
            asked.stdin.flush()
            head = asked.stdout.readline().split()
            if len(head) != 3:
                raise UserError(f"git has no object {blob}; this clone is not whole, fetch it again")
            yield blob, asked.stdout.read(int(head[2]))
            asked.stdout.read(1)
        asked.stdin.close()
