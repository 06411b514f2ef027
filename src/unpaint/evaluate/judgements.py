"""What the judge says of a pool, picture by picture: kept, so that every score can be traced to its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as arrow
from pyarrow import parquet

from unpaint.errors import UserError
from unpaint.evaluate.statistics import Floats
from unpaint.lineage.manifest import KEY, Manifest

COLUMNS = ["set", "prompt", "seed", "asked", "answers", "alignment", "features", "findings"]
"""What is read of a file; Inception's features are of use to FID alone."""


@dataclass(frozen=True)
class Judgements:
    """One entry per picture of a pool, in its order.

    Attributes:
        sets: `forget`, `retain`, or `table` (others' prompts for the concept).
        prompts, seeds: what the picture was rendered from.
        asked: the values of the prompt by dimension.
        answers: what the judge named by dimension; None is "none of these".
        alignment: cosine of picture and prompt.
        features: (n, d), normalised.
        findings: what a detector found, each as often as it did; empty where none was asked.
    """

    sets: list[str]
    prompts: list[str]
    seeds: list[int]
    asked: list[dict[str, str]]
    answers: list[dict[str, str | None]]
    alignment: list[float]
    features: Floats
    findings: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Where no detector was asked, nothing was found."""
        if not self.findings:
            object.__setattr__(self, "findings", [[] for _ in self.sets])

    def rows(self, name: str) -> list[int]:
        """The rows of the set `name`."""
        return [row for row, given in enumerate(self.sets) if given == name]


def write(path: Path, judged: Judgements, manifest: Manifest, inception: Floats | None = None) -> None:
    """Write as Parquet with the manifest in the schema's metadata.

    Args:
        inception: Inception's features (n, 2048) of the retain pictures, for FID.
    """
    table = arrow.table(
        {
            "set": judged.sets,
            "prompt": judged.prompts,
            "seed": judged.seeds,
            "asked": judged.asked,
            "answers": judged.answers,
            "alignment": judged.alignment,
            "features": list(judged.features.astype(np.float32)),
            "findings": arrow.array(judged.findings, arrow.list_(arrow.string())),
        }
    )
    if inception is not None:
        kept: list[Floats | None] = [None] * len(judged.sets)
        for row, given in zip(judged.rows("retain"), inception.astype(np.float32), strict=True):
            kept[row] = given
        table = table.append_column("inception", arrow.array(kept))
    parquet.write_table(table.replace_schema_metadata({KEY: manifest.dumps()}), path, compression="zstd")


def read(path: Path) -> Judgements:
    """Read back.

    Raises:
        UserError: not a readable file of judgements.
    """
    try:
        table = parquet.read_table(path, columns=COLUMNS).to_pydict()
        return Judgements(
            table["set"],
            table["prompt"],
            table["seed"],
            table["asked"],
            table["answers"],
            table["alignment"],
            np.asarray(table["features"], dtype=np.float64),
            table["findings"],
        )
    except (OSError, arrow.ArrowException, KeyError):
        raise UserError(f"{path}: not a readable file of judgements; restore it or make it again") from None


def paired(judged: Judgements, base: Judgements) -> None:
    """Check that two pools were rendered from the same prompts and seeds, row by row.

    Raises:
        UserError: naming the first row that differs.
    """
    for number, (one, other) in enumerate(zip(_keys(judged), _keys(base), strict=False)):
        if one != other:
            raise UserError(f"row {number}: the pool has {one}, the base model's pool {other}; sample both again")
    if len(judged.sets) != len(base.sets):
        raise UserError(
            f"the pool has {len(judged.sets)} pictures, the base model's pool {len(base.sets)}; sample both again"
        )


def _keys(judged: Judgements) -> list[tuple[str, str, int]]:
    return list(zip(judged.sets, judged.prompts, judged.seeds, strict=True))
