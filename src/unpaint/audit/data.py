"""Which models a piece of data made: in the tree, in every commit, and in DVC's experiments.

The lists of rows (`rows.tsv`) are in git, so this needs no data. What was read of a commit once is kept in an index.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path

from unpaint.audit import lock
from unpaint.audit.lock import Entry, blob_of, descent
from unpaint.errors import UserError
from unpaint.lineage.git import GIT, commits, git, here
from unpaint.lineage.rows import LIST, listed, unreadable

TREE = ""
"""Stands for the working tree among the commits; `COMMIT:FOLDER/` for a project elsewhere in the repository."""
MADE = ("model.safetensors", "base.json", "open_clip_model.safetensors", "samples.parquet", "metrics.json")
"""What is told of what was made: models and the judge, pools, scores."""
READERS = {"base": {"base", "retrain", "images"}, "judge": {"judge"}, "reference": {"judge"}}
"""The rules that read a split of the world."""
COLUMNS = ("pair", "image_sha256", "prompt_sha256", "file_sha256", "split")
SHA256 = 64
PICTURES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2"),
)
HASH = re.compile(r"(?:sha256:\s*|SHA256 \(.+\) = )?\\?([0-9a-f]{12,})(?: [ *].+)?", re.IGNORECASE)
"""A hash as programs write it: bare, after its name, or a line of `sha256sum`."""
PLACE = re.compile(r"(/|\./|\.\./|~/)\S*")
"""What is plainly the path of a file."""
KEPT = re.compile(rf"(|.*?/)(results/.+{re.escape(LIST)}|{re.escape(str(lock.PATH))})", re.DOTALL)
"""What matters of a repository: the folder of a project, and a file of it."""
LARGEST = 2**63
"""SQLite's integers are below."""
TABLES = """
CREATE TABLE IF NOT EXISTS lists (blob TEXT PRIMARY KEY, md5 TEXT);
CREATE TABLE IF NOT EXISTS rows (blob TEXT, row INTEGER, pair TEXT, image TEXT, prompt TEXT, file TEXT, split TEXT);
CREATE INDEX IF NOT EXISTS rows_pair ON rows (pair);
CREATE INDEX IF NOT EXISTS rows_image ON rows (image);
CREATE INDEX IF NOT EXISTS rows_prompt ON rows (prompt);
CREATE INDEX IF NOT EXISTS rows_file ON rows (file);
CREATE TABLE IF NOT EXISTS places (version TEXT, path TEXT, blob TEXT);
CREATE INDEX IF NOT EXISTS places_blob ON places (blob);
CREATE TABLE IF NOT EXISTS locks (blob TEXT PRIMARY KEY, stages TEXT);
CREATE TABLE IF NOT EXISTS versions (version TEXT PRIMARY KEY, lock TEXT);
CREATE TABLE IF NOT EXISTS inside (folder TEXT);
"""


@dataclass(frozen=True)
class Made:
    """A file that the data went into: its md5 in dvc.lock, and whether the working tree's dvc.lock names it."""

    path: str
    md5: str
    now: bool


@dataclass(frozen=True)
class Match:
    """A row of a corpus, where it stands, and what was made of that corpus.

    Attributes:
        corpus: its list of rows, by path; one of a project elsewhere in the repository begins with that folder.
        split: of the world, if it is one of its rows; empty, if not.
        commits: those that have it; newest first.
        now: whether the working tree has it.
        withdrawn: what is to be said of its withdrawal, if it was withdrawn; see `unpaint.audit.withdrawn`.
    """

    corpus: str
    row: int
    pair: str
    split: str
    commits: list[str]
    now: bool
    made: list[Made]
    withdrawn: str = ""


def audit(query: str, database: sqlite3.Connection) -> tuple[list[Match], list[str]]:
    """Every row that is an image, a prompt, a pair or a file of the user's, and what its corpus went into.

    Args:
        query: the sha256 of an image or of a file, a file, the text of a prompt, or the id of a pair.

    Returns:
        The rows, and remarks; where there is no row, on what could not be searched alone.

    Raises:
        UserError: the query is none, or no project is here; a list or dvc.lock of the tree cannot be read; git does not
            answer.
    """
    order = {version: number for number, version in enumerate(commits())}
    remarks = take_in(order, database)
    own = "SELECT lock FROM versions WHERE lock <> '' AND version NOT LIKE '%:%'"
    if not database.execute(f"{own} UNION SELECT blob FROM places WHERE version NOT LIKE '%:%'").fetchone():  # noqa: S608
        raise UserError("no dvc.lock here, in no commit, nor any list of rows; go to the project's folder")
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        remarks.append("this clone is shallow, and its older commits were not searched; `git fetch --unshallow`")
    read = cache(partial(lock.load, database=database))
    found = []
    for (path, row, pair, split), versions in sorted(_places(query, database).items()):
        past = (_commit(version) for version in versions if version != TREE)
        having = sorted(past, key=lambda one: order.get(one, 0))
        made = _made(path, split, versions, read, database)
        found.append(Match(path, row, pair, split, having, TREE in versions, made))
    if found and not lock.PATH.is_file():
        remarks.append("nothing is recorded here: there is no dvc.lock; `unpaint record` what was made")
    return found, remarks


def _places(query: str, database: sqlite3.Connection) -> dict[tuple[str, int, str, str], dict[str, str]]:
    """The versions of the project that have a row, by list, number, pair and split, with the blob of the list."""
    _refuse_odd(query)
    if (held := file_content(query)) is not None:
        keys, wanted = ["image", "file"], {hashlib.sha256(held).hexdigest()}
    elif HASH.fullmatch(digest := plain(query)):
        keys, wanted = ["image", "file", "prompt"], {digest}
    else:  # a caption may have blanks around it
        keys, wanted = ["prompt"], {digest_of(query), digest_of(digest)}
    found: dict[tuple[str, int, str, str], dict[str, str]] = {}
    for key, value in [*product(keys, sorted(wanted)), ("pair", query.strip())]:
        text = f"SELECT path, row, pair, split, version, blob FROM rows JOIN places USING (blob) WHERE {key} = ?"  # noqa: S608
        for *row, version, blob in database.execute(text, (value,)):
            found.setdefault((row[0], row[1], row[2], row[3]), {})[version] = blob
    return found


def _refuse_odd(query: str) -> None:
    """Refuse what asks for nothing: else "nowhere" would be an answer to another question.

    Raises:
        UserError: a file that is not there, a folder, part of a hash, no text.
    """
    if not query.strip():
        raise UserError("give a picture, its sha256, the text of a prompt, or the id of a pair")
    if file_content(query) is not None:
        return
    refuse_bytes(query)
    text = plain(query)
    if HASH.fullmatch(text) and len(text) != SHA256:
        raise UserError(f"{query}: a sha256 has {SHA256} digits, this has {len(text)}; give it whole")
    if not HASH.fullmatch(text) and re.search(rf"(?i)^sha256:|[0-9a-f]{{{SHA256}}}", text):
        raise UserError(f"{query}: not one sha256, of {SHA256} digits of 0 to 9 and a to f; give it alone")
    if not HASH.fullmatch(text) and os.path.isdir(text):  # noqa: PTH112 (of a text too long for a name as well)
        raise UserError(f"{query}: a folder; give one picture")
    if text.lower().endswith(PICTURES) or PLACE.fullmatch(text):
        raise UserError(f"{query}: no such file")


def refuse_bytes(text: str) -> None:
    """Refuse what a terminal of another encoding gave: no corpus has it, though it may have what was meant.

    Raises:
        UserError: it is no text in UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{text!a}: no text in UTF-8; set the terminal to UTF-8, or give a sha256") from None


def plain(query: str) -> str:
    """A query without blanks around it; of a hash its digits alone, in small letters."""
    text = query.strip()
    found = HASH.fullmatch(text)
    return found[1].lower() if found else text


def file_content(query: str) -> bytes | None:
    """What a file holds, if the query names one."""
    try:
        return Path(query).read_bytes()
    except (OSError, ValueError):  # also of a prompt that is too long for a name, or has what no name has
        return None


def _made(
    path: str,
    split: str,
    versions: Mapping[str, str],
    read: Callable[[str], Mapping[str, Entry]],
    database: sqlite3.Connection,
) -> list[Made]:
    """What the corpus of a list went into, by each version's dvc.lock; what the tree's names first."""
    books = dict(database.execute("SELECT version, lock FROM versions").fetchall())
    here = read(books[TREE]) if books.get(TREE) else {}
    now = {out for entry in here.values() for out in entry.outs.items()}
    found: dict[tuple[str, str], None] = {}
    each = {(books[version], version.partition(":")[2], blob) for version, blob in versions.items() if books[version]}
    for book, folder, blob in sorted(each):
        entries = read(book)
        (md5,) = database.execute("SELECT md5 FROM lists WHERE blob = ?", (blob,)).fetchone()
        # the list as it was recorded: what is newer than dvc.lock went into nothing that it names
        name = path.removeprefix(folder)
        written = next((set(one.outs.items()) for one in entries.values() if one.outs.get(name) == md5), set())
        readers = [entry for entry in entries.values() if not written.isdisjoint(entry.deps.items())]
        if split:
            readers = [entry for entry in readers if entry.name.partition("@")[0] in READERS.get(split, ())]
        for entry in descent(readers, entries):
            found |= {(f"{folder}{out}", md5): None for out, md5 in entry.outs.items() if Path(out).name in MADE}
    return sorted((Made(out, digest, (out, digest) in now) for out, digest in found), key=lambda one: not one.now)


def take_in(commits: Iterable[str], database: sqlite3.Connection) -> list[str]:
    """Read what the index does not have yet: new commits, and the tree as it is. Gives what could not be read.

    Args:
        commits: all that there are.

    Raises:
        UserError: a list or dvc.lock of the tree cannot be read; git does not answer.
    """
    for statement in TABLES.split(";"):  # executescript would commit, and give the index away
        database.execute(statement)
    inside = git("rev-parse", "--show-prefix").removesuffix("\n")
    if database.execute("SELECT folder FROM inside").fetchall() != [(inside,)]:  # the project was moved
        for table in ("inside", "versions", "places"):
            database.execute(f"DELETE FROM {table}")  # noqa: S608
        database.execute("INSERT INTO inside VALUES (?)", (inside,))
    known = {version for (version,) in database.execute("SELECT version FROM versions")}
    for commit in [commit for commit in commits if commit not in known]:
        for folder, blobs in _listed(commit, inside).items():
            _place(database, f"{commit}:{folder}" if folder else commit, blobs, folder)
    whole = set(commits)
    for gone in [one for one in known if one != TREE and _commit(one) not in whole]:  # an experiment that was removed
        database.execute("DELETE FROM versions WHERE version = ?", (gone,))
        database.execute("DELETE FROM places WHERE version = ?", (gone,))
    database.execute("DELETE FROM versions WHERE version = ?", (TREE,))
    database.execute("DELETE FROM places WHERE version = ?", (TREE,))
    files = [path for path in [lock.PATH, *_lists(Path("results"))] if path.is_file()]
    here = {_shown(path.as_posix()): path.read_bytes() for path in files}
    blobs = {path: blob_of(content) for path, content in here.items()}
    _place(database, TREE, blobs)
    return _read(database, {blobs[path]: content for path, content in here.items()})


def _lists(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The lists of rows below a folder, behind links as well, but for those that lead round."""
    place = folder.resolve()
    try:
        held = sorted(folder.iterdir()) if folder.is_dir() and place not in above else []
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}, so it cannot be searched") from None
    for path in held:
        if path.is_dir():
            yield from _lists(path, (*above, place))
        elif path.name.endswith(LIST):
            yield path


def _commit(version: str) -> str:
    return version.partition(":")[0]


def _listed(commit: str, inside: str) -> dict[str, dict[str, str]]:
    """The blobs of a commit that matter, by path, of the project here and of all that are elsewhere in the repository.

    By folder, as seen from here: a project that was moved has its past elsewhere.
    """
    found: dict[str, dict[str, str]] = {"": {}}
    up = "../" * inside.count("/")
    for line in git("ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        head, _, path = line.partition("\t")
        ours = path.startswith(inside)
        if kept := KEPT.fullmatch(_shown(path.removeprefix(inside) if ours else path)):
            found.setdefault(kept[1] if ours else up + kept[1], {})[kept[2]] = head.split()[2]
    # a book without lists says nothing of data
    return {folder: blobs for folder, blobs in found.items() if not folder or blobs.keys() != {str(lock.PATH)}}


def _shown(path: str) -> str:
    """A path as a text: bytes that are none are written out."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _place(database: sqlite3.Connection, version: str, blobs: dict[str, str], folder: str = "") -> None:
    book = blobs.get(str(lock.PATH), "")
    database.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (version, book))
    lists = [(version, f"{folder}{path}", blob) for path, blob in blobs.items() if path != str(lock.PATH)]
    database.executemany("INSERT INTO places VALUES (?, ?, ?)", lists)


def _read(database: sqlite3.Connection, own: dict[str, bytes]) -> list[str]:
    """Read each list and dvc.lock that is named and not read yet; tell what of history cannot be read."""
    # of history first, so that one that is in the tree is called by its path there
    unread = "SELECT blob, path FROM places WHERE blob NOT IN (SELECT blob FROM lists) ORDER BY version DESC"
    lists = dict(database.execute(unread).fetchall())
    books = {blob for (blob,) in database.execute("SELECT lock FROM versions EXCEPT SELECT blob FROM locks") if blob}
    for blob, content in contents({*lists, *books}, own):
        try:
            if blob in books:
                lock.take_in(content, database)
            else:
                rows = _rows(blob, content, lists[blob])
                database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
                database.execute("INSERT INTO lists VALUES (?, ?)", (blob, md5))
        except UserError:
            if blob in own:
                raise
            table = "locks" if blob in books else "lists"
            database.execute(f"INSERT INTO {table} VALUES (?, NULL)", (blob,))  # noqa: S608
    broken = [
        *database.execute(
            "SELECT version, substr(version, instr(version || ':', ':') + 1) || 'dvc.lock' FROM versions "
            "JOIN locks ON lock = blob WHERE stages IS NULL"
        ),
        *database.execute("SELECT version, path FROM places JOIN lists USING (blob) WHERE md5 IS NULL"),
    ]
    return [f"passed over, as it cannot be read: {path} of commit {version[:12]}" for version, path in sorted(broken)]


def digest_of(prompt: str) -> str:
    """The sha256 of a prompt, as lists of rows have it."""
    return hashlib.sha256(prompt.encode(errors="surrogateescape")).hexdigest()


def _rows(blob: str, content: bytes, path: str) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    try:
        for row in listed(content, path):
            if not 0 <= (number := int(row["row"])) < LARGEST:
                raise unreadable(path)
            found.append((blob, number, *(row.get(name, "") for name in COLUMNS)))
    except (ValueError, KeyError):
        raise unreadable(path) from None
    return found


def contents(blobs: Iterable[str], own: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The content of blobs of git, or of the tree."""
    yield from ((blob, own[blob]) for blob in sorted(blobs) if blob in own)
    wanted = sorted(set(blobs) - set(own))
    if not wanted:
        return
    with subprocess.Popen(  # noqa: S603
        [*GIT, "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=here(),
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
