"""Withdrawing data: a tombstone is written, what is stale by it is told, and what need not be made again is kept."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow import parquet

from unpaint import folder, tombstones
from unpaint.audit import data
from unpaint.audit.data import Match
from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.lineage import note
from unpaint.lineage.engines import outdated
from unpaint.lineage.manifest import sha256
from unpaint.lineage.rows import listed
from unpaint.params import Params, load
from unpaint.rendered import Rendered
from unpaint.tombstones import Tombstone

ANY = "*"
"""In a pattern it stands for any text."""
SETS = ("forget", "retain")
NOT_OWN = ("render", "world")
WORLD, WORLD_ROWS = "results/world.parquet", "results/world.rows.tsv"
BASE = "results/base/base.json"
CORPORA = ("world.parquet", "images/forget.parquet", "images/retain.parquet")
SHOWN = 5
SHA256 = 64
PAIR = re.compile(r"(train|test)-\d+\.\d+|own-\d+")
Found = dict[Path, list[Tombstone]]
"""Tombstones by the file that they belong into."""


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did.

    Attributes:
        written: new tombstones, by file.
        stale: the files that are out of date by it, and were not before.
        before: those that were out of date, or not made, before.
        kept: pictures that are not rendered again where they were rendered before.
    """

    written: Found
    stale: list[str]
    before: list[str]
    kept: int


def withdraw(query: str | None, why: str, concept: str | None, database: sqlite3.Connection) -> Withdrawal:
    """Write the tombstones of what `query` finds; no job runs.

    Args:
        query: what `unpaint audit data` takes, or a pattern of prompts; with none, nothing is written, and what is out
            of date already, by another clone's tombstones say, is told and its pictures are kept.
        concept: the one concept to withdraw it from; from every corpus, if there is none.

    Raises:
        UserError: no corpus here has it, or it is withdrawn already; a pair of several concepts, or a picture of the
            world of one; nothing would be left of a set; the lists of prompts are newer than the sets; an engine
            refuses.
    """
    params, before = load(Path("params.yaml")), outdated()
    if concept not in (None, *params.concepts):
        raise UserError(f"--concept: {concept} is none of {', '.join(params.concepts)}")
    written = _new(query, partial(Tombstone, why, date.today().isoformat()), concept, params, database) if query else {}
    every = {path: [*tombstones.read(path), *new] for path, new in written.items()}
    _refuse_emptying(every, params)
    for path, stones in every.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        tombstones.write(path, stones)
    stale = [path for path in outdated() if path not in before] if query else before
    # all of them, as DVC's stages of other concepts see the same folder of tombstones, and run to the same bytes
    corpora = [] if BASE in stale else _rendered(params)
    kept = {path.as_posix(): _keep(path, path.as_posix() in before) for path in corpora}
    return Withdrawal(written, stale, before if query else [], sum(kept.get(path, 0) for path in {*stale, *before}))


def as_text(done: Withdrawal) -> str:
    """For people: what was withdrawn, what is stale by it, and the command that makes exactly that anew."""
    lines = []
    for path, new in done.written.items():
        lines.append(f"withdrawn; commit {path}:")
        lines += [f"  {_told(one)}" for one in new[:SHOWN]]
        lines += [f"  and {len(new) - SHOWN} more"] if len(new) > SHOWN else []
    if not done.stale and not done.before:
        return "\n".join([*lines, "nothing that was made is out of date by it"])
    if done.stale:
        lines.append(f"out of date: {len(done.stale)} files (--json names them all), among them")
        lines += [f"  {path}" for path in done.stale if Path(path).name in data.MADE or path.endswith(CORPORA)]
    else:
        lines.append(f"no more is out of date by it than was before: {some(done.before, SHOWN)}")
    if done.kept:
        lines.append(
            f"{done.kept} pictures are kept in scratch/; they are rendered again only where device, processor or "
            "packages are others than those that rendered them"
        )
    lines.append("make exactly that anew: unpaint warm snakemake --cores all, and then unpaint record")
    if done.stale and done.before:
        lines.append(f"it also makes {some(done.before, SHOWN)}, which were not up to date before")
    lines.append("git's history and DVC's cache keep what was withdrawn, until they are cleaned (docs/withdraw.md)")
    return "\n".join(lines)


def as_fields(done: Withdrawal) -> dict[str, Any]:
    """For machines."""
    written = {path.as_posix(): [asdict(one) for one in new] for path, new in done.written.items()}
    return {**asdict(done), "written": written}


def _told(one: Tombstone) -> str:
    if one.picture:
        return f"picture {one.picture}"
    return f"prompt {one.prompt!r}" + ("" if one.seed is None else f", image seed {one.seed}")


def _new(
    query: str, stone: Callable[..., Tombstone], concept: str | None, params: Params, database: sqlite3.Connection
) -> Found:
    """The tombstones that are not there yet."""
    found: Found = {}
    for path, one in [*_of_texts(query, stone, concept, params)] or _of_rows(query, stone, concept, params, database):
        found.setdefault(path, []).append(one)
    if not found:
        _refuse_again(query, params)
        raise UserError(f"{query}: no corpus here has it; `unpaint audit data` searches history as well")
    known = {path: [_told(one) for one in tombstones.read(path)] for path in found}
    new = {path: [one for one in dict.fromkeys(each) if _told(one) not in known[path]] for path, each in found.items()}
    if not any(new.values()):
        raise UserError(f"{query}: it is withdrawn already; `unpaint withdraw` says what is out of date")
    return {path: each for path, each in new.items() if each}


def _refuse_again(query: str, params: Params) -> None:
    """Name the tombstone of what is out of every corpus already."""
    path = Path(query) if len(query) < SHA256 else None
    told = {query.lower(), sha256(path) if path and path.is_file() else query}
    for place in (tombstones.WORLD, *map(tombstones.of_concept, params.concepts)):
        for one in tombstones.read(place):
            if one.prompt == query or told & {one.picture, one.was}:
                raise UserError(f"{query}: was withdrawn on {one.on} ({one.why}); {place}")


def _refuse_emptying(every: Found, params: Params) -> None:
    """Refuse to leave nothing of a set: its job would fail."""
    for name, which in ((name, which) for name in params.concepts for which in SETS):
        stones, path = every.get(tombstones.of_concept(name), []), Path("results", name, "images", f"{which}.rows.tsv")
        if not stones or not path.is_file():
            continue
        prompts = {hashlib.sha256(one.prompt.encode()).hexdigest() for one in stones if one.seed is None}
        lists = read_json(path.parents[1] / "prompts" / "train.json")
        pairs = tombstones.pairs([*lists["forget"], *lists["retain"]], stones)
        gone = prompts | {one.picture for one in stones}
        keys = ("prompt_sha256", "image_sha256", "file_sha256")
        rows = listed(path.read_text(encoding="utf-8"))
        if all(row["pair"] in pairs or gone & {row.get(key) for key in keys} for row in rows):
            raise UserError(
                f"nothing would be left of the {which} set of {name}, so nothing is withdrawn: ask for more pictures, "
                "or take the concept out of params.yaml"
            )


def _of_texts(
    query: str, stone: Callable[..., Tombstone], concept: str | None, params: Params
) -> Iterator[tuple[Path, Tombstone]]:
    """Tombstones of prompts, and of captions."""
    wanted = re.compile(".*".join(map(re.escape, query.split(ANY))))
    for name in [concept] if concept else params.concepts:
        for text in sorted(filter(wanted.fullmatch, _prompts(name, params))):
            yield tombstones.of_concept(name), stone(prompt=text)
    for text in [] if concept else _captions(query, wanted):
        yield tombstones.WORLD, stone(prompt=text)


def _prompts(name: str, params: Params) -> set[str]:
    """The prompts of a concept's training pictures, of own ones the captions."""
    path = Path("results", name, "prompts", "train.json")
    lists = read_json(path) if path.is_file() else {}
    found = {row["prompt"] for which in SETS for row in lists.get(which, [])}
    own = [source for which in SETS if (source := _source(name, which, params)) not in NOT_OWN]
    return found | {row.caption for source in own for row in folder.listing(Path(source))}


def _captions(query: str, wanted: re.Pattern[str]) -> list[str]:
    """The captions of the world that are asked for."""
    rows = listed(Path(WORLD_ROWS).read_text(encoding="utf-8")) if Path(WORLD_ROWS).is_file() else []
    if ANY not in query:
        digest = hashlib.sha256(query.encode()).hexdigest()
        return [query] if any(row["prompt_sha256"] == digest for row in rows) else []
    if rows and not Path(WORLD).is_file():
        raise UserError(f"{WORLD}: not here, and its captions may be of that form; dvc pull {WORLD}, or give --concept")
    texts = parquet.read_table(WORLD, columns=["prompt"])["prompt"].to_pylist() if rows else []
    return sorted(filter(wanted.fullmatch, set(texts)))


def _of_rows(
    query: str, stone: Callable[..., Tombstone], concept: str | None, params: Params, database: sqlite3.Connection
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
        sets = [(name, which) for name, which in sets if _source(name, which, params) != "world"]
    places = {f"results/{name}/images/{which}.rows.tsv": (name, which) for name, which in sets}
    held = [(*places[match.corpus], match) for match in matches if match.corpus in places]
    if matches and not world and not held:
        pools = some([match.corpus for match in matches], 3)
        raise UserError(
            f"{query}: no data of a concept asked for, but in {pools}, which models made; nothing learnt it"
        )
    names = list(dict.fromkeys(name for name, _, _ in held))
    if len(names) > 1 and PAIR.fullmatch(query):
        raise UserError(f"{query}: a pair of {', '.join(names)}; give --concept")
    done = set()
    for name, which, match in held:
        one = _of_row(name, which, match, stone)
        # a pair is in both sets, and one tombstone takes it out of them
        if one.picture or (name, match.pair) not in done:
            done.add((name, match.pair))
            yield tombstones.of_concept(name), one


def _of_row(name: str, which: str, match: Match, stone: Callable[..., Tombstone]) -> Tombstone:
    """The tombstone of a row of a set: of the user's own picture, or of the prompt and the image seed of its pair."""
    cells, path = _cells(match), Path("results", name, "prompts", "train.json")
    asked = [row for row in read_json(path)[which] if row["pair"] == match.pair]
    if not asked and cells.get("file_sha256"):
        return stone(picture=cells["file_sha256"])
    if not asked or hashlib.sha256(asked[0]["prompt"].encode()).hexdigest() != cells["prompt_sha256"]:
        raise UserError(f"{path}: not the prompts that {match.corpus} was made of; make the sets first: dvc repro")
    return stone(prompt=asked[0]["prompt"], seed=asked[0]["seed"], was=cells["image_sha256"])


def _cells(match: Match) -> dict[str, str]:
    """The row of a list."""
    return listed(Path(match.corpus).read_text(encoding="utf-8"))[match.row]


def _source(name: str, which: str, params: Params) -> str:
    return str(getattr(params.concepts[name].images, which))


def _rendered(params: Params) -> list[Path]:
    """The corpora that are here and rendered."""
    sets = [(name, which) for name in params.concepts for which in SETS if _source(name, which, params) == "render"]
    found = [Path("results", name, "images", f"{which}.parquet") for name, which in sets]
    return [path for path in found if path.is_file() and path.with_name(f"{path.name}.run.json").is_file()]


def _keep(path: Path, stale: bool) -> int:
    """Keep a corpus' pictures from being rendered again, and count those that are still wanted."""
    said = read_json(path.with_name(f"{path.name}.run.json"))
    # of one that is up to date the engines have looked at the code already
    Rendered.of_corpus(path, said, said["sources"] if stale else note.sources_hash()).take(path)
    name, lists = path.parts[1], read_json(path.parents[1] / "prompts" / "train.json")
    gone = tombstones.pairs([*lists["forget"], *lists["retain"]], tombstones.read(tombstones.of_concept(name)))
    wanted = {(row["prompt"], row["seed"]) for row in lists[path.stem] if row["pair"] not in gone}
    columns = parquet.read_table(path, columns=["prompt", "seed"]).to_pydict()
    return len(wanted & set(zip(columns["prompt"], columns["seed"], strict=True)))
