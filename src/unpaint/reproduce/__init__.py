"""Proving that a model is what the books say: it is made again in a clone, and compared.

No result is needed, and nothing of the project is changed: git has the code, the settings and the hashes.
The books that count are dvc.lock of one commit, whose own code and settings are those that it says made the model.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from unpaint import tombstones
from unpaint.audit.hashes import Hashes
from unpaint.reproduce import clone as clones
from unpaint.reproduce import comparison, environment, text
from unpaint.reproduce.agreement import agreeing
from unpaint.reproduce.comparison import ScorePair, Scores, Stage
from unpaint.reproduce.environment import Environment
from unpaint.reproduce.target import Target

METRICS = "metrics.json"


@dataclass(frozen=True)
class Reproduction:
    """What came of making a model again.

    Attributes:
        scores: recorded and made again, by name; empty where the model was asked for without them, or they are not in
            the commit.
        kept: the folder of the clone, if it was to be kept.
    """

    name: str
    verdict: str
    commit: str
    stages: Sequence[Stage]
    scores: Mapping[str, ScorePair]
    environment: Environment
    kept: Path | None


def reproduce(name: str, cores: int, *, last: bool, keep: Path | None) -> Reproduction:
    """Make a model again, with all that it was made from, and compare each file with what dvc.lock names.

    Args:
        name: CONCEPT/METHOD/seedN with its scores; a file of results/ or a stage without; or a copy of a model, from
            any commit.
        last: make only its own stages again (the unlearning, its pool, its scores), from what is in DVC's cache.
        keep: a new folder for the clone; else it is deleted.

    Raises:
        UserError: no commit names it, or none with the code and settings that made it; what it is made from is not
            here; a stage failed.
    """
    # an index that was handed over could name other books than git has
    with closing(sqlite3.connect(":memory:")) as database, agreeing(name, database, last=last, keep=keep) as agreed:
        target, folder, cache = agreed
        hashes = Hashes(database)
        wanted = target.own if last else target.stages
        recorded = _scores(target, folder, hashes)
        known = environment.compare(wanted, folder, cache, hashes)
        print(text.before(name, target.commit, wanted, known, _withdrawn_since(folder, target)), file=sys.stderr)
        clones.prepare(folder, target, cache, hashes, last=last)
        clones.make(folder, target, cores, last=last)
        compared = comparison.stages(wanted, folder, hashes)
        scores = comparison.pair_scores(recorded, _scores(target, folder)) if recorded else {}
        verdict = comparison.verdict(compared, scores, due=known.due)
        return Reproduction(name, verdict, target.commit, compared, scores, known, keep and folder)


def _withdrawn_since(folder: Path, target: Target) -> int:
    """How many tombstones of the world and of a target's concepts its commit does not have, and so does not heed."""
    concepts = {Path(out).parts[1] for entry in target.stages for out in entry.outs}
    places = [path for path in tombstones.places() if path == tombstones.WORLD or path.stem in concepts]
    here, there = (
        {(path, one.told) for path in places for one in tombstones.read(root / path)} for root in (Path(), folder)
    )
    return len(here - there)


def _scores(target: Target, folder: Path, hashes: Hashes | None = None) -> Scores:
    """The scores in a clone; with `hashes`, only if they are those that the commit's dvc.lock names."""
    outs = [out for entry in target.own for out in entry.outs.items() if Path(out[0]).name == METRICS]
    paths = [path for path, digest in outs if hashes is None or hashes.digest(folder / path) == digest]
    return {name: score for path in paths for name, score in comparison.read_scores(folder / path).items()}
