"""What a withdrawal is of: the tombstones of whatever a text, a picture or a pair finds in the corpora here."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

from pyarrow import parquet

from unpaint import folder, tombstones
from unpaint.audit import data
from unpaint.audit.data import Match
from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.lineage.rows import read_listed
from unpaint.params import Params
from unpaint.tombstones import Tombstone

ANY = "*"
"""In a pattern it stands for any text."""
SETS = ("forget", "retain")
NOT_OWN = ("render", "world")
WORLD, WORLD_ROWS = "results/world.parquet", "results/world.rows.tsv"
PAIR = re.compile(r"(train|test)-\d+\.\d+|own-\d+")
Stone = Callable[..., Tombstone]
"""Makes a tombstone of a picture, or of a prompt, with the reason and the day."""
Found = dict[Path, list[Tombstone]]
"""Tombstones by the file that they belong into."""


def find(query: str, why: str, concept: str | None, params: Params, database: sqlite3.Connection) -> Found:
    """The tombstones of what a query finds, that are not there yet.

    Args:
        concept: where it is looked for; in every corpus, if there is none.

    Raises:
        UserError: no corpus here has it, or it is withdrawn already; a pair of several concepts, or a picture of the
            world of one; the lists of prompts are newer than the sets.
    """
    if data.file_content(query) is None:
        data.refuse_bytes(query)
        query = data.plain(query) if data.HASH.fullmatch(query.strip()) else query
    stone = partial(Tombstone, why, date.today().isoformat())
    found: Found = {}
    for path, one in [*_of_texts(query, stone, concept, params)] or _of_rows(query, stone, concept, params, database):
        found.setdefault(path, []).append(one)
    if not found:
        _refuse_again(query, params)
        raise UserError(f"{query}: no corpus here has it; `unpaint audit data` searches history as well")
    known = {path: [one.told for one in tombstones.read(path)] for path in found}
    new = {path: [one for one in dict.fromkeys(each) if one.told not in known[path]] for path, each in found.items()}
    if not any(new.values()):
        raise UserError(f"{query}: it is withdrawn already; `unpaint withdraw` says what is out of date")
    return {path: each for path, each in new.items() if each}


def _refuse_again(query: str, params: Params) -> None:
    """Name the tombstone of what is out of every corpus already."""
    content = data.file_content(query)
    told = {query.lower(), hashlib.sha256(content).hexdigest() if content is not None else query}
    for place in (tombstones.WORLD, *map(tombstones.of_concept, params.concepts)):
        for one in tombstones.read(place):
            if one.prompt == query or told & {one.picture, one.was}:
                raise UserError(f"{query}: was withdrawn on {one.on} ({one.why}); {place}")


def _of_texts(query: str, stone: Stone, concept: str | None, params: Params) -> Iterator[tuple[Path, Tombstone]]:
    """Tombstones of prompts, and of captions."""
    wanted = pattern(query)
    for name in [concept] if concept else params.concepts:
        for text in sorted(filter(wanted.fullmatch, _prompts(name, params))):
            yield tombstones.of_concept(name), stone(prompt=text)
    for text in [] if concept else _captions(query, wanted):
        yield tombstones.WORLD, stone(prompt=text)


def pattern(query: str) -> re.Pattern[str]:
    """A text in which `*` stands for any text, in time that grows with the text alone."""
    first, *others = map(re.escape, query.split(ANY))
    if not others:
        return re.compile(first)
    *middle, last = others
    # each part where it first is, and never sought again (an atomic group): further tries could find no more
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}", re.DOTALL)


def _prompts(name: str, params: Params) -> set[str]:
    """The prompts of a concept's training pictures, of own ones the captions."""
    path = Path("results", name, "prompts", "train.json")
    lists = read_json(path) if path.is_file() else {}
    found = {row["prompt"] for which in SETS for row in lists.get(which, [])}
    own = [source for which in SETS if (source := source_of(name, which, params)) not in NOT_OWN]
    return found | {row.caption for source in own for row in folder.listing(Path(source))}


def _captions(query: str, wanted: re.Pattern[str]) -> list[str]:
    """The captions of the world that are asked for."""
    rows = read_listed(Path(WORLD_ROWS)) if Path(WORLD_ROWS).is_file() else []
    if ANY not in query:
        return [query] if any(row["prompt_sha256"] == data.digest_of(query) for row in rows) else []
    if rows and not Path(WORLD).is_file():
        raise UserError(f"{WORLD}: not here, and its captions may be of that form; dvc pull {WORLD}, or give --concept")
    texts = parquet.read_table(WORLD, columns=["prompt"])["prompt"].to_pylist() if rows else []
    return sorted(filter(wanted.fullmatch, set(texts)))


def _of_rows(
    query: str, stone: Stone, concept: str | None, params: Params, database: sqlite3.Connection
) -> Iterator[tuple[Path, Tombstone]]:
    """Tombstones of the rows of corpora that the query finds."""
    matches = [match for match in data.audit(query, database)[0] if match.now]
    world = [match for match in matches if match.corpus == WORLD_ROWS]
    if world and concept:
        raise UserError(f"{query}: a row of the world, which all learnt from; leave out --concept")
    for match in world:
        cells = _cells(match)
        yield tombstones.WORLD, stone(picture=cells.get("file_sha256") or cells["image_sha256"])
    sets = [(name, which) for name in ([concept] if concept else params.concepts) for which in SETS]
    if world:  # without its picture the world has none to draw for a set
        sets = [(name, which) for name, which in sets if source_of(name, which, params) != "world"]
    places = {f"results/{name}/images/{which}.rows.tsv": (name, which) for name, which in sets}
    held = [(*places[match.corpus], match) for match in matches if match.corpus in places]
    if matches and not world and not held:
        pools = some(list(dict.fromkeys(match.corpus for match in matches)), 3)
        raise UserError(
            f"{query}: no data of a concept asked for, but in {pools}, which models made; nothing learnt it"
        )
    names = list(dict.fromkeys(name for name, _, _ in held))
    if len(names) > 1 and PAIR.fullmatch(query.strip()):
        raise UserError(f"{query}: a pair of {', '.join(names)}; give --concept")
    done = set()
    for name, which, match in held:
        one = _of_row(name, which, match, stone)
        # a pair is in both sets, and one tombstone takes it out of them
        if one.picture or (name, match.pair) not in done:
            done.add((name, match.pair))
            yield tombstones.of_concept(name), one


def _of_row(name: str, which: str, match: Match, stone: Stone) -> Tombstone:
    """The tombstone of a row of a set: of the user's own picture, or of the prompt and the image seed of its pair."""
    cells, path = _cells(match), Path("results", name, "prompts", "train.json")
    asked = [row for row in read_json(path)[which] if row["pair"] == match.pair]
    if not asked and cells.get("file_sha256"):
        return stone(picture=cells["file_sha256"])
    if not asked or data.digest_of(asked[0]["prompt"]) != cells["prompt_sha256"]:
        raise UserError(f"{path}: not the prompts that {match.corpus} was made of; make the sets first: dvc repro")
    return stone(prompt=asked[0]["prompt"], seed=asked[0]["seed"], was=cells["image_sha256"])


def _cells(match: Match) -> dict[str, str]:
    """The row of a list."""
    return next(row for row in read_listed(Path(match.corpus)) if int(row["row"]) == match.row)


def source_of(name: str, which: str, params: Params) -> str:
    """Where a set of a concept comes from."""
    return str(getattr(params.concepts[name].images, which))
