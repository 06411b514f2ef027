"""summary: what the report shows of one model, in one small file: scores, pictures, telemetry, cost, hashes."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unpaint.corpus import Row, encode, read, read_json
from unpaint.errors import UserError
from unpaint.evaluate import judgements
from unpaint.evaluate.judgements import Judgements
from unpaint.lineage.manifest import KEY, Manifest, write_json
from unpaint.lineage.stage import In, Ins, Out, Settings
from unpaint.unlearn.monotone import monotone

PICTURES = {"forget": 12, "retain": 24, "table": 12}
"""How many pictures of each set the report shows."""
SIDE = 160
"""Pictures wider or higher than this many pixels are scaled down to it."""
POINTS = 400
"""At most so many steps of the telemetry are kept."""
COLUMNS = {
    "step": int,
    "forget_loss": float,
    "retain_loss": float,
    "cosine": float,
    "conflict": int,
    "forget_change": float,
    "retain_change": float,
    "guarded": int,
}
"""The columns of training.tsv; `unpaint.unlearn.loop.Step` names them, but importing that imports torch."""
NONE = "none of these"


def summary(
    settings: Settings,
    manifest: Manifest,
    *,
    metrics: In,
    judged: In,
    pool: In,
    training: In | None = None,
    notes: Ins,
    summary: Out,
) -> None:
    """Sum up one model of one concept; the base model has no `training`."""
    scores, found, rows = read_json(metrics), judgements.read(judged), read(pool)
    _refuse_other(rows, found, pool)
    targets = concept_of(rows)
    write_json(
        summary,
        {
            KEY: manifest.as_dict(),
            "concept": settings["concept"],
            "method": settings["method"],
            "seed": settings.get("seed"),
            "targets": [list(target) for target in targets],
            "scores": {name: score for name, score in scores.items() if name not in (KEY, "judge", "detected")},
            "judge": scores["judge"],
            "detected": scores.get("detected"),
            "values": per_value(found),
            "named": named(found, [dimension for dimension, _ in targets]),
            "pictures": {
                name: [_picture(row, rows[row], found) for row in spread(found.rows(name), count)]
                for name, count in PICTURES.items()
                if found.rows(name)
            },
            "telemetry": None if training is None else telemetry(training),
            "runs": [_run(note) for note in notes],
        },
    )


def concept_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The forgotten (dimension, value) pairs: wherever a forget row and the retain row of its pair differ."""
    retain = {row.pair: row.attributes for row in rows if row.attributes["set"] == "retain"}
    found: dict[tuple[str, str], None] = {}
    for row in rows:
        if row.attributes["set"] == "forget" and (other := retain.get(row.pair)):
            for name, value in row.attributes.items():
                if name != "set" and value != other[name]:
                    found[name, value] = None
    return list(found)


def per_value(found: Judgements) -> dict[str, dict[str, dict[str, int]]]:
    """Per dimension and value that the retain set asks for: how often it does (`n`), and the judge agrees (`hits`)."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for row in found.rows("retain"):
        for dimension, value in found.asked[row].items():
            if value:
                cell = counts.setdefault(dimension, {}).setdefault(value, {"hits": 0, "n": 0})
                cell["n"] += 1
                cell["hits"] += found.answers[row][dimension] == value
    return {dimension: dict(sorted(cells.items())) for dimension, cells in counts.items()}


def named(found: Judgements, dimensions: Sequence[str]) -> dict[str, dict[str, int]]:
    """What the judge names in the forget set's pictures, counted, per dimension of the concept."""
    return {
        dimension: dict(sorted(Counter(found.answers[row][dimension] or NONE for row in found.rows("forget")).items()))
        for dimension in dict.fromkeys(dimensions)
    }


def spread(rows: Sequence[int], count: int) -> list[int]:
    """`count` of `rows`, evenly spread: the same for every model, as pools have the same rows."""
    count = min(count, len(rows))
    return [rows[(2 * number + 1) * len(rows) // (2 * count)] for number in range(count)]


def telemetry(path: Path) -> dict[str, Any]:
    """training.tsv, thinned out to `POINTS` steps, with shares (0 to 1) taken over all of them.

    Raises:
        UserError: a column is missing or a cell is no number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    try:
        columns: dict[str, list[Any]] = {name: [kind(line[name]) for line in lines] for name, kind in COLUMNS.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not the telemetry of an unlearning ({error}); make it again") from None
    if not (steps := len(lines)):
        raise UserError(f"{path}: no step in it; make it again")
    changes = zip(columns["forget_change"], columns["retain_change"], strict=True)
    kept = range(0, steps, -(-steps // POINTS))
    return {
        "steps": steps,
        "conflict": sum(columns["conflict"]) / steps,
        "monotone": sum(monotone(*change) for change in changes) / steps,
        "guarded": sum(columns["guarded"]) / steps,
        "columns": {name: [column[step] for step in kept] for name, column in columns.items()},
    }


def _refuse_other(rows: Sequence[Row], found: Judgements, pool: Path) -> None:
    """Refuse judgements that are not this pool's."""
    if len(rows) != len(found.prompts):
        raise UserError(
            f"{pool}: {len(rows)} pictures, but the judge was asked about {len(found.prompts)}; evaluate again"
        )
    for number, row in enumerate(rows):
        if (row.prompt, row.seed) != (found.prompts[number], found.seeds[number]):
            raise UserError(f"{pool}: row {number} is not the picture that the judge was asked about; evaluate again")


def _picture(number: int, row: Row, found: Judgements) -> dict[str, Any]:
    return {
        "row": number,
        "pair": row.pair,
        "seed": row.seed,
        "prompt": row.prompt,
        "sha256": row.sha256,
        "asked": found.asked[number],
        "answers": found.answers[number],
        "png": base64.b64encode(_thumbnail(row)).decode("ascii"),
    }


def _thumbnail(row: Row) -> bytes:
    """The picture as PNG; its own bytes if it is small."""
    with Image.open(io.BytesIO(row.image)) as image:
        if max(image.size) <= SIDE and image.format == "PNG":
            return row.image
    small = Image.fromarray(row.pixels)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return encode(np.asarray(small))


def _run(path: Path) -> dict[str, Any]:
    """A run note, with the name of the artefact it stands beside (no folder: the same bytes wherever it is made)."""
    note = read_json(path)
    if not isinstance(note, dict) or not {"outputs", "manifest", "seconds"} <= set(note):
        raise UserError(f"{path}: not a run note; make the file beside it again")
    return {"artefact": path.name.removesuffix(".run.json"), **note}
