"""A user's captioned pictures: a folder in the layout of Hugging Face's imagefolder.

`metadata.jsonl` or `metadata.csv` names each picture (`file_name`, relative to the folder) with its `caption`; every
further column is an attribute; a column `attributes` may hold several as a mapping.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from unpaint.errors import UserError

if TYPE_CHECKING:
    from unpaint.corpus import Pixels

NAMES = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True)
class Captioned:
    """A picture of the folder, its caption, and its attributes by column."""

    path: Path
    caption: str
    attributes: dict[str, str]


def listing(folder: Path) -> list[Captioned]:
    """The pictures that the metadata names, in its order; no picture is opened.

    Raises:
        UserError: no metadata, or a row that cannot be read, lacks a column, names a missing picture or one twice.
    """
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) != 1:
        raise UserError(
            f"{folder}: {len(found)} of {' and '.join(NAMES)} are here; it needs one, with file_name, caption"
        )
    metadata, inside = found[0], folder.resolve()
    rows: list[Captioned] = []
    seen: set[str] = set()
    for number, fields in _rows(metadata):
        where = f"{metadata}: row {number}"
        if missing := [name for name in ("file_name", "caption") if not fields.get(name)]:
            raise UserError(f"{where}: no {' and no '.join(missing)}; every picture needs both")
        name = fields.pop("file_name")
        if name in seen:
            raise UserError(f"{where}: {name} stands there twice; keep one row a picture")
        seen.add(name)
        path = folder / name
        if not path.resolve().is_relative_to(inside):
            raise UserError(f"{where}: {name} lies outside the folder; put the picture into it")
        if not path.is_file():
            raise UserError(f"{where}: there is no picture {name}; add it or delete the row")
        caption = fields.pop("caption")
        if rows and fields.keys() != rows[0].attributes.keys():
            raise UserError(f"{where}: its columns are not those of row 1; give every row the same")
        rows.append(Captioned(path, caption, fields))
    if not rows:
        raise UserError(f"{metadata}: names no picture; add a row for each")
    return rows


def pixels(path: Path, side: int) -> Pixels:
    """A picture as RGB, turned as its camera says, cut to its central square and scaled to `side` pixels.

    Transparent pictures are laid on white; of 16 bits the upper 8 are kept.

    Raises:
        UserError: the file is no readable picture, or of numbers that are no shades.
    """
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):  # Pillow would cut off all above 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise UserError(f"{path}: pixels of 32 bits, whose range is unknown; save it with 8 or 16 bits")
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            image = image.convert("RGB")
            if image.size != (side, side):
                image = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UserError(f"{path}: not a readable picture; replace it, or delete its row of the metadata") from None


def _rows(metadata: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its number from 1, every value as text."""
    try:
        text = metadata.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{metadata}: not a text in UTF-8; save it as one") from None
    if metadata.suffix == ".csv":
        for number, cells in enumerate(csv.DictReader(text.splitlines()), 1):
            if None in cells or None in cells.values():
                raise UserError(f"{metadata}: row {number}: not as many cells as the header; quote commas in captions")
            yield number, dict(cells)
        return
    for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
        try:
            fields: Any = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise UserError(f"{metadata}: row {number}: not a JSON object; write one a line")
        if isinstance(fields.get("attributes"), dict):
            fields |= fields.pop("attributes")
        yield (
            number,
            {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()},
        )
