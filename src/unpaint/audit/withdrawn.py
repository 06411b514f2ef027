"""What was withdrawn, and whether it is still in what was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unpaint import tombstones
from unpaint.audit import data
from unpaint.audit.data import Match
from unpaint.errors import UserError
from unpaint.lineage.rows import LIST, read_listed
from unpaint.tombstones import REBUILD, Tombstone

if TYPE_CHECKING:
    from unpaint.audit.books import Found

KEYS = ("image_sha256", "file_sha256", "prompt_sha256")


def pending(path: Path, listing: Path) -> list[str]:
    """The pairs of the rows of a corpus that tombstones take out of it; all that these name, if its list is not here.

    Raises:
        UserError: the tombstones, or the list, cannot be read.
    """
    stones = tombstones.read(path)
    if not listing.is_file():
        return [one.told for one in stones]
    pairs, gone, of = _pairs(listing, stones), hashes(stones), "the world" if path == tombstones.WORLD else path.stem
    return [f"{row['pair']} of {of}" for row in read_listed(listing) if row["pair"] in pairs or covered(row, gone)]


def learnt(line: Sequence[Found]) -> list[Found]:
    """An ancestry in which each stage that was made from what was withdrawn since is marked."""
    if not any(one.withdrawn for one in line):
        return list(line)
    held = {one.entry.name: dict(one.withdrawn) for one in line}
    before = 0
    while before != (before := sum(map(len, held.values()))):
        for one in reversed(line):
            for name in one.reads:
                held[one.entry.name] |= held.get(name, {})
    return [replace(one, withdrawn=held[one.entry.name]) for one in line]


def told(query: str, found: Sequence[Match]) -> list[Match]:
    """Rows that a query found, with what is said of each that was withdrawn."""
    return [replace(one, withdrawn=_told(query, one)) for one in found]


def _told(query: str, match: Match) -> str:
    place = _place(Path(match.corpus))
    stone = next((one for one in tombstones.read(place) if _of(one, query, match)), None)
    if stone is None:
        return ""
    done = not match.now and not any(one.now for one in match.made)
    then = "and what was made of it was made anew" if done else f"what was made of it is not made anew yet; {REBUILD}"
    return f"withdrawn on {stone.on} ({stone.why}), {then}"


def _place(listing: Path) -> Path | None:
    """The tombstones of a corpus, by its list of rows; none of a pool, which nothing learns."""
    if listing == Path(f"results/world{LIST}"):
        return tombstones.WORLD
    return tombstones.of_concept(listing.parts[-3]) if listing.match("results/*/images/*") else None


def _of(stone: Tombstone, query: str, match: Match) -> bool:
    """Whether a tombstone is of a row, by what was asked and by what the tree still has of it."""
    listing, asked = Path(match.corpus), {query, query.strip(), data.plain(query)}
    if (content := data.file_content(query)) is not None:
        asked.add(hashlib.sha256(content).hexdigest())
    if asked & {stone.picture, stone.was} - {""} or (stone.seed is None and stone.prompt in asked - {""}):
        return True
    rows = read_listed(listing)[match.row : match.row + 1] if match.now and listing.is_file() else []
    return match.pair in _pairs(listing, [stone]) or bool(rows and covered(rows[0], hashes([stone])))


def hashes(stones: Sequence[Tombstone]) -> set[str]:
    """The pictures and files that tombstones name, and the prompts that they withdraw with all their pictures."""
    prompts = {data.digest_of(one.prompt) for one in stones if one.prompt and one.seed is None}
    return prompts | {one.picture for one in stones if one.picture}


def covered(row: Mapping[str, str], gone: Collection[str]) -> bool:
    """Whether a listed row is withdrawn by its picture, the user's file, or its prompt; see `hashes`."""
    return any(row.get(key) in gone for key in KEYS)


def _pairs(listing: Path, stones: Sequence[Tombstone]) -> set[str]:
    """The pairs of a concept of which a prompt was withdrawn."""
    path = listing.parent.with_name("prompts") / "train.json"
    if listing.parent.name != "images" or not path.is_file():
        return set()
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        return tombstones.pairs([*lists["forget"], *lists["retain"]], stones)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: no lists of prompts that can be read; git checkout -- {path}") from None
