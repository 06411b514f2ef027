"""Withdrawing data: tombstones are written, what is stale by them is told, and what need not be made again is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import parquet

from unpaint import tombstones
from unpaint.audit import withdrawn
from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.lineage import note
from unpaint.lineage.engines import outdated, refuse_running
from unpaint.lineage.manifest import write_text
from unpaint.lineage.rows import read_listed
from unpaint.params import Params, load
from unpaint.rendered import Rendered
from unpaint.withdraw.query import SETS, Found, find, source_of

BASE = "results/base/base.json"


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
            refuses, or runs.
    """
    if query:
        refuse_running("nothing can be withdrawn")
    params, before = load(Path("params.yaml")), outdated()
    if concept not in (None, *params.concepts):
        raise UserError(f"--concept: {concept} is none of {', '.join(params.concepts)}")
    written = find(query, why, concept, params, database) if query else {}
    database.commit()  # else no audit could keep its index while the engine is asked
    every = {path: [*tombstones.read(path), *new] for path, new in written.items()}
    _refuse_emptying(every, params)
    with _undone_on_failure(every):
        for path, stones in every.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            tombstones.write(path, stones)
        stale = [path for path in outdated() if path not in before] if query else before
        # all of them, as DVC's stages of other concepts see the same folder of tombstones, and run to the same bytes
        changed = {*stale, *before}
        corpora = [] if BASE in changed else _rendered(params)
        kept = {path.as_posix(): _keep(path, path.as_posix() in before) for path in corpora}
    return Withdrawal(written, stale, before if query else [], sum(kept.get(path, 0) for path in changed))


@contextmanager
def _undone_on_failure(paths: Iterable[Path]) -> Iterator[None]:
    """Files as they were, unless all went well: what was not told of must not be in force."""
    were = {path: path.read_bytes().decode() if path.is_file() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, text in were.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                write_text(path, text)
        raise


def _refuse_emptying(every: Found, params: Params) -> None:
    """Refuse to leave nothing of a set: its job would fail."""
    for name, which in ((name, which) for name in params.concepts for which in SETS):
        stones, path = every.get(tombstones.of_concept(name), []), Path("results", name, "images", f"{which}.rows.tsv")
        if not stones or not path.is_file():
            continue
        lists = read_json(path.parents[1] / "prompts" / "train.json")
        pairs = tombstones.pairs([*lists["forget"], *lists["retain"]], stones)
        gone = withdrawn.hashes(stones)
        if all(row["pair"] in pairs or withdrawn.covered(row, gone) for row in read_listed(path)):
            raise UserError(
                f"nothing would be left of the {which} set of {name}, so nothing is withdrawn: ask for more pictures, "
                "or take the concept out of params.yaml"
            )


def _rendered(params: Params) -> list[Path]:
    """The corpora that are here and rendered."""
    sets = [(name, which) for name in params.concepts for which in SETS if source_of(name, which, params) == "render"]
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
