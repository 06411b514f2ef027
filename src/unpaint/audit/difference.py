"""What two models differ in: data, settings, code, environment, scores; each by what their run notes say."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint.audit.books import Found
from unpaint.audit.model import audits
from unpaint.errors import UserError
from unpaint.lineage.note import CODE, ENVIRONMENT
from unpaint.lineage.rows import LIST, read_listed

CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Difference:
    """A fact that is another in the two: what it is of, where, and the two values (None: there is none)."""

    of: str
    where: str
    one: Any
    other: Any


def difference(one: str, other: str, database: sqlite3.Connection) -> list[Difference]:
    """All that two models of the project differ in; first of all, what contradicts the books of either.

    Raises:
        UserError: dvc.lock has no such model, or a run note or scores are not here or cannot be read.
    """
    audited = audits([one, other], database)
    lines = [_by_stage(found, name) for found, name in zip(audited, (one, other), strict=True)]
    found = _contradictions(*audited)
    for stage in dict.fromkeys([*lines[0], *lines[1]]):
        first, second = (line.get(stage) for line in lines)
        if first is None or second is None:
            found.append(Difference("stages", stage, first and first.entry.name, second and second.entry.name))
        elif first.entry.name != second.entry.name:
            found += _fields("settings", stage, first.note["manifest"]["settings"], second.note["manifest"]["settings"])
            for kind, keys in (("code", CODE), ("environment", ENVIRONMENT)):
                found += _fields(kind, stage, *({key: one.note.get(key) for key in keys} for one in (first, second)))
            found += _rows(stage, first, second)
            found += _scores(first, second)
    return found


def as_text(found: Sequence[Difference]) -> str:
    """For people: by what it is of."""
    if not found:
        return "they differ in nothing that their run notes tell"
    lines = [f"contradicted: {one.where}" for one in found if one.of == CONTRADICTED]
    if lines:
        lines.append("so what follows is by books that disagree; `unpaint audit model` says more")
    found = [one for one in found if one.of != CONTRADICTED]
    for of in dict.fromkeys(one.of for one in found):
        lines.append(f"{of}:")
        told = Counter((one.where, _short(one.one), _short(one.other)) for one in found if one.of == of)
        lines += [f"  {where}: {first} | {second}" for where, first, second in told]
    return "\n".join(lines)


def _contradictions(one: Sequence[Found], other: Sequence[Found]) -> list[Difference]:
    """What an audit finds contradicted, with the model in whose ancestry it is."""
    first, second = ([text for each in line for text in each.contradictions] for line in (one, other))
    return [
        Difference(CONTRADICTED, text, text in first or None, text in second or None)
        for text in dict.fromkeys([*first, *second])
    ]


def _by_stage(found: Sequence[Found], name: str) -> dict[str, Found]:
    """The stages of a model by rule and set: those of an oracle or another's model stand in the place of ours."""
    kept = {}
    if of := [text for one in found if one.origins for text in one.remarks]:
        raise UserError(f"{name}: {of[0]}")
    for one in found:
        if not one.note:
            why = "cannot be read" if Path(one.entry.note).is_file() else "is not here"
            raise UserError(f"{name}: the run note {one.entry.note} {why}; `unpaint audit model {name}` says more")
        rule = re.sub("_(retrain|model)$", "", one.entry.name.partition("@")[0])
        kept[f"{rule} {one.note['manifest']['settings'].get('set', '')}".strip()] = one
    return kept


def _fields(of: str, where: str, one: Any, other: Any) -> list[Difference]:
    """The leaves in which two trees of settings differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [each for key in keys for each in _fields(of, f"{where}.{key}", one.get(key), other.get(key))]
    return [] if one == other else [Difference(of, where, one, other)]


def _rows(stage: str, one: Found, other: Found) -> list[Difference]:
    """How many rows of a corpus only one of the two has."""
    pictures = [_pictures(each) for each in (one, other)]
    if pictures[0] == pictures[1]:
        return []
    first, second = (len(mine - theirs) for mine, theirs in (pictures, pictures[::-1]))
    shared = len(pictures[0] & pictures[1])
    return [Difference("data", f"{stage}, pictures beside {shared} shared ones", first, second)]


def _pictures(found: Found) -> set[str]:
    if found.note["manifest"]["stage"] not in ("images", "world"):
        return set()
    lists = (Path(path) for path in found.entry.outs if path.endswith(LIST))
    return {row["image_sha256"] for path in lists for row in read_listed(path)}


def _scores(one: Found, other: Found) -> list[Difference]:
    """Scores of two pools."""
    values = [_values(each) for each in (one, other)]
    return [
        Difference("scores", name, values[0].get(name), values[1].get(name))
        for name in dict.fromkeys([*values[0], *values[1]])
        if values[0].get(name) != values[1].get(name)
    ]


def _values(found: Found) -> dict[str, float]:
    """The scores of a pool.

    Raises:
        UserError: they cannot be read.
    """
    for path in (Path(path) for path in found.entry.outs):
        if path.name == "metrics.json" and path.is_file():
            try:
                held: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                scores = {name: score for name, score in held.items() if isinstance(score, dict)}
            except (ValueError, AttributeError, RecursionError):
                raise UserError(f"{path}: no scores that can be read; `unpaint audit model {path}` says more") from None
            return {name: score["value"] for name, score in scores.items() if "value" in score}
    return {}


def _short(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
