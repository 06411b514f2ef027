"""A table of others' prompts, such as I2P: each with its own seed and, if it says so, guidance and size.

What stands in a row is what is painted: a metric that took other seeds would not be the published one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint import csv_rows
from unpaint.diversify.grammar import NOISE_BITS, Grammar, Prompt, Target, noise_of
from unpaint.errors import UserError

COLUMNS = {
    "prompt": ("prompt",),
    "seed": ("sd_seed", "seed"),
    "guidance": ("sd_guidance_scale", "guidance"),
    "width": ("sd_image_width", "width"),
    "height": ("sd_image_height", "height"),
}
"""What a column may be called; the first names are those of I2P."""
PIXELS = 8
"""Sides are multiples of it, as diffusers wants."""
LARGEST = 8192
"""Pixels of a side, beyond what any family paints."""


@dataclass(frozen=True)
class Row(Prompt):
    """A prompt of the table; what it leaves open (None) is as for all other pictures. Sides are in pixels."""

    guidance: float | None
    width: int | None
    height: int | None


def read(path: Path, grammar: Grammar, targets: Sequence[Target]) -> list[Row]:
    """The rows of a CSV file, each of which asks for the concept.

    Raises:
        UserError: no such file, a column is missing or stands there twice or under two names, a row has not as many
            cells as the header, a cell is none of its kind, or two rows are the same picture.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: not a readable CSV file in UTF-8; put the table there") from None
    names, lines = csv_rows.parse(path, text)
    columns = {wanted: _column(path, wanted, names) for wanted in COLUMNS}
    values = dict.fromkeys(grammar.values, "") | dict(reversed(targets))
    rows: list[Row] = []
    first: dict[tuple[str, int], int] = {}
    for number, line in enumerate(lines, 1):
        cells = {wanted: line[name] if name else "" for wanted, name in columns.items()}
        where = f"{path}: row {number}"
        if not cells["prompt"]:
            raise UserError(f"{where}: no prompt")
        seed = _number(where, columns["seed"], cells["seed"], int)
        if seed is None:
            raise UserError(f"{where}: no {columns['seed']}; a row is painted with its own")
        width, height = (_number(where, columns[side], cells[side], int) for side in ("width", "height"))
        sides = [side for side in (width, height) if side is not None]
        if len(sides) == 1 or any(side not in range(PIXELS, LARGEST + 1, PIXELS) for side in sides):
            raise UserError(
                f"{where}: {width} by {height} pixels; give both sides as multiples of {PIXELS} up to {LARGEST}, or "
                "neither"
            )
        guidance = _number(where, columns["guidance"], cells["guidance"], float)
        if (other := first.setdefault((cells["prompt"], noise_of(seed)), number)) != number:
            raise UserError(
                f"{where}: the prompt and seed of row {other} again (of a seed its low {NOISE_BITS} bits are the "
                "noise); a row must be a picture of its own"
            )
        rows.append(Row(f"table-{number:05d}", seed, cells["prompt"], values, guidance, width, height))
    if not rows:
        raise UserError(f"{path}: no row; put the table there")
    return rows


def _column(path: Path, wanted: str, names: Sequence[str]) -> str | None:
    found = [name for name in COLUMNS[wanted] if name in names]
    if len(found) > 1:
        raise UserError(f"{path}: {' and '.join(found)} are two columns for one thing; keep one")
    if not found and wanted in ("prompt", "seed"):
        raise UserError(
            f"{path}: no column {' or '.join(COLUMNS[wanted])}; it has {', '.join(names)}; name it in the first line"
        )
    return found[0] if found else None


def _number(where: str, column: str | None, cell: str, kind: Callable[[str], Any]) -> Any:
    if not cell:
        return None
    try:
        number = kind(cell)
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise UserError(f"{where}: {column} {cell!r} is no such number")
    return number
