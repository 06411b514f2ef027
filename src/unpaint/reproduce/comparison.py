"""What was made again against what dvc.lock names: bit by bit, and where bits differ, score by score."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry
from unpaint.reproduce.target import NOTE, RESULTS

BITS, SCORES, NOT = "reproduced bit by bit", "reproduced in its scores", "not reproduced"
NUMBERS = ("value", "low", "high")
"""What a score is compared by. Its difference from the base model is none of it: that is of one base model."""
Score = Mapping[str, float]
Scores = Mapping[str, Score]


@dataclass(frozen=True)
class Stage:
    """A stage that was made again.

    Attributes:
        inputs: whether all that it read was, bit by bit, what it read when it was recorded.
        compared: how many of its outputs were compared.
        differ: those that are other bytes.
    """

    name: str
    inputs: bool
    compared: int
    differ: list[str]


@dataclass(frozen=True)
class ScorePair:
    """A score as it was recorded and as it was made again; None where there is none of that name."""

    there: Score | None
    here: Score | None

    @property
    def within(self) -> bool:
        """Whether each of the two values lies in the other's 95 % interval, bounds included.

        Neither is the truth, so each is held against the other's uncertainty. The intervals are those of the pictures
        that were painted, at the same prompts and seeds; that base model or judge come out otherwise they do not cover.
        """
        one, other = self.there, self.here
        if one is None or other is None:
            return False
        return one["low"] <= other["value"] <= one["high"] and other["low"] <= one["value"] <= other["high"]


def stages(made: Iterable[Entry], folder: Path, hashes: Hashes) -> list[Stage]:
    """Hold the outputs of stages in a folder against dvc.lock, but for run notes, which tell of one run."""
    found = []
    for entry in made:
        read, outs = (
            {path: digest for path, digest in given.items() if path.startswith(RESULTS) and not path.endswith(NOTE)}
            for given in (entry.deps, entry.outs)
        )
        inputs = all(hashes.digest(folder / path) == digest for path, digest in read.items())
        differ = [path for path, digest in outs.items() if hashes.digest(folder / path) != digest]
        found.append(Stage(entry.name, inputs, len(outs), differ))
    return found


def first(found: Iterable[Stage]) -> Stage | None:
    """The first stage in the order of the chain that made other bytes from equal inputs."""
    return next((stage for stage in found if stage.inputs and stage.differ), None)


def read_scores(path: Path) -> Scores:
    """The scores of a metrics.json: what has an interval."""
    fields: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    scores = {name: one for name, one in fields.items() if isinstance(one, dict) and set(NUMBERS) <= set(one)}
    return {name: {number: one[number] for number in NUMBERS} for name, one in scores.items()}


def pair_scores(there: Scores, here: Scores) -> dict[str, ScorePair]:
    """Every score of either, by name."""
    return {name: ScorePair(there.get(name), here.get(name)) for name in {**there, **here}}


def verdict(found: Sequence[Stage], scores: Mapping[str, ScorePair], *, due: bool) -> str:
    """Which of the three it is. Scores count only where bits may differ, and then all of them must be within.

    Args:
        due: whether the same bits must come out.
    """
    if not any(stage.differ for stage in found):
        return BITS
    return SCORES if scores and not due and all(score.within for score in scores.values()) else NOT
