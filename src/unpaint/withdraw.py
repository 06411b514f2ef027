"""Withdrawing data: a tombstone is written, what is stale by it is told, and what need not be made again is kept."""

from __future__ import annotations

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
from unpaint.lineage.rows import listed
from unpaint.params import Params, load
from unpaint.rendered import Rendered
from unpaint.tombstones import Tombstone

ANY = "*"
"""In a pattern it stands for any text."""
SETS = ("forget", "retain")
NOT_OWN = ("render", "world")
WORLD_ROWS = "results/world.rows.tsv"
CORPORA = ("world.parquet", "images/forget.parquet", "images/retain.parquet")
SHOWN = 5
PAIR = re.compile(r"(train|test)-\d+\.\d+")
Found = dict[Path, list[Tombstone]]
"""Tombstones by the file that they belong into."""


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did.

    Attributes:
        written: new tombstones, by file.
        stale: the files that are out of date by it, and were not before.
        before: those that were out of date, or not made, before.
        kept: pictures that will not be rendered again.
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
        concept: the one concept to withdraw it from; from all, if there is none.

    Raises:
        UserError: no corpus here has it, or it is withdrawn already; a pair of several concepts; an engine refuses.
    """
    params, before = load(Path("params.yaml")), outdated()
    if concept not in (None, *params.concepts):
        raise UserError(f"--concept: {concept} is none of {', '.join(params.concepts)}")
    written = _new(query, partial(Tombstone, why, date.today().isoformat()), concept, params, database) if query else {}
    for path, new in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        tombstones.write(path, [*tombstones.read(path), *new])
    # all of them, as DVC's stages of other concepts see the same folder of tombstones, and run to the same bytes
    kept = {path.as_posix(): _keep(path, path.as_posix() in before) for path in _rendered(params)}
    stale = [path for path in outdated() if path not in before] if query else before
    return Withdrawal(written, stale, before if query else [], sum(kept.get(path, 0) for path in stale))


def as_text(done: Withdrawal) -> str:
    """For people: what was withdrawn, what is stale by it, and the command that makes exactly that anew."""
    lines = []
    for path, new in done.written.items():
        lines.append(f"withdrawn, {len(new)} tombstones in {path}; commit it:")
        lines += [f"  {_told(one)}" for one in new[:SHOWN]]
        lines += [f"  and {len(new) - SHOWN} more"] if len(new) > SHOWN else []
    if not done.stale:
        return "\n".join([*lines, "nothing that was made is out of date by it"])
    lines.append(f"out of date: {len(done.stale)} files (--json names them all), among them")
    lines += [f"  {path}" for path in done.stale if Path(path).name in data.MADE or path.endswith(CORPORA)]
    lines.append(f"{done.kept} pictures need not be rendered again; they are in scratch/")
    lines.append("make exactly that anew: unpaint warm snakemake --cores all, and then unpaint record")
    if done.before:
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
    names = [concept] if concept else list(params.concepts)
    wanted = re.compile(".*".join(map(re.escape, query.split(ANY))))
    texts = {name: sorted(filter(wanted.fullmatch, _prompts(name, params))) for name in names}
    found: Found = {tombstones.of_concept(name): [stone(prompt=text) for text in texts[name]] for name in names}
    if not any(found.values()):
        for path, one in _of_rows(query, stone, names, database):
            found.setdefault(path, []).append(one)
    if not any(found.values()):
        raise UserError(f"{query}: no corpus here has it; `unpaint audit data` searches history as well")
    known = {path: [_told(one) for one in tombstones.read(path)] for path in found}
    new = {path: [one for one in dict.fromkeys(each) if _told(one) not in known[path]] for path, each in found.items()}
    if not any(new.values()):
        raise UserError(f"{query}: it is withdrawn already; `unpaint withdraw` says what is out of date")
    return {path: each for path, each in new.items() if each}


def _prompts(name: str, params: Params) -> set[str]:
    """The prompts of a concept's training pictures, of own ones the captions."""
    sources = params.concepts[name].images
    listed = Path("results", name, "prompts", "train.json")
    lists = read_json(listed) if listed.is_file() else {}
    found = {row["prompt"] for which in SETS for row in lists.get(which, [])}
    own = [source for which in SETS if (source := getattr(sources, which)) not in NOT_OWN]
    return found | {row.caption for source in own for row in folder.listing(Path(source))}


def _of_rows(
    query: str, stone: Callable[..., Tombstone], names: list[str], database: sqlite3.Connection
) -> Iterator[tuple[Path, Tombstone]]:
    """Tombstones of the rows of corpora that the query finds."""
    matches = [match for match in data.audit(query, database)[0] if match.now]
    world = [match for match in matches if match.corpus == WORLD_ROWS]
    yield from ((tombstones.WORLD, stone(picture=_cells(match)["image_sha256"])) for match in world)
    # without its picture the world has none to draw for a set
    sets = {} if world else {name: _of_set(matches, name) for name in names}
    concepts = [name for name, found in sets.items() if found]
    if len(concepts) > 1 and PAIR.fullmatch(query):
        raise UserError(f"{query}: a pair of {', '.join(concepts)}; give --concept")
    if matches and not world and not concepts:
        pools = some([match.corpus for match in matches], 3)
        raise UserError(
            f"{query}: no data of a concept asked for, but in {pools}, which models made; nothing learnt it"
        )
    for name in concepts:
        lists = read_json(Path("results", name, "prompts", "train.json"))
        for pair, match in {match.pair: match for match in reversed(sets[name])}.items():
            which = Path(match.corpus).name.partition(".")[0]
            if row := next((row for row in lists[which] if row["pair"] == pair), None):
                yield tombstones.of_concept(name), stone(prompt=row["prompt"], seed=row["seed"])
            else:
                yield tombstones.of_concept(name), stone(picture=_cells(match)["file_sha256"])


def _of_set(matches: list[Match], name: str) -> list[Match]:
    """The rows of a concept's forget and retain set."""
    return [match for match in matches if match.corpus in {f"results/{name}/images/{which}.rows.tsv" for which in SETS}]


def _cells(match: Match) -> dict[str, str]:
    """The row of a list."""
    return listed(Path(match.corpus).read_text(encoding="utf-8"))[match.row]


def _rendered(params: Params) -> list[Path]:
    """The corpora that are here and rendered."""
    sets = [(name, which) for name, concept in params.concepts.items() for which in SETS]
    found = [
        Path("results", name, "images", f"{which}.parquet")
        for name, which in sets
        if getattr(params.concepts[name].images, which) == "render"
    ]
    return [path for path in found if path.is_file() and path.with_name(f"{path.name}.run.json").is_file()]


def _keep(path: Path, stale: bool) -> int:
    """Keep a corpus' pictures from being rendered again, and count them."""
    said = read_json(path.with_name(f"{path.name}.run.json"))
    # of one that is up to date the engines have looked at the code already
    Rendered.of_note(said, said["sources"] if stale else note.sources_hash()).take(path)
    return parquet.read_metadata(path).num_rows  # type: ignore[no-any-return]
