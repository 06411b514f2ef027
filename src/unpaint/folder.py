"""A user's captioned pictures: a folder in the layout of Hugging Face's imagefolder.

`metadata.jsonl` or `metadata.csv` names each picture (`file_name`, relative to the folder) with its `caption`; every
further column is an attribute; a column `attributes` may hold several as a mapping.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from unpaint import csv_rows
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256

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
        UserError: no metadata, or a row that cannot be read, lacks a column, names a missing picture or one twice; a
            folder or a name that one of the two engines could not follow.
    """
    if folder.is_symlink():
        raise UserError(
            f"{folder}: a link, which DVC does not follow; move the pictures there, or mount their disk there"
        )
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) != 1:
        raise UserError(
            f"{folder}: {len(found)} of {' and '.join(NAMES)} are here; it needs one, with file_name, caption"
        )
    if braced := sorted(path.name for path in folder.rglob("*") if set("{}") & set(path.name)):
        raise UserError(f"{folder}: {braced[0]}: braces are Snakemake's wildcards; give the file another name")
    metadata, inside = found[0], folder.resolve()
    rows: list[Captioned] = []
    seen: set[str] = set()
    for number, fields in _rows(metadata):
        where = f"{metadata}: row {number}"
        if missing := [name for name in ("file_name", "caption") if not fields.get(name)]:
            raise UserError(
                f"{where}: no {' and no '.join(missing)}; every picture needs both, as text; the columns are "
                f"{', '.join(fields)}"
            )
        if clash := sorted(fields.keys() & {"file_sha256", "set"}):
            raise UserError(f"{where}: the column {clash[0]} is taken by Unpaint; give it another name")
        name = os.path.normpath(fields.pop("file_name"))
        if name in seen:
            raise UserError(f"{where}: {name} stands there twice; keep one row a picture")
        seen.add(name)
        path = folder / name
        try:
            within, there = path.resolve().is_relative_to(inside), path.is_file()
        except (OSError, ValueError):  # a name that no file can have
            within, there = True, False
        if not within:
            raise UserError(f"{where}: {name} lies outside the folder; put the picture into it")
        if not there:
            raise UserError(f"{where}: there is no picture {name}; add it or delete the row")
        caption = fields.pop("caption")
        if rows and fields.keys() != rows[0].attributes.keys():
            odd = ", ".join(sorted(fields.keys() ^ rows[0].attributes.keys()))
            raise UserError(f"{where}: its columns are not those of row 1 ({odd}); give every row the same")
        rows.append(Captioned(path, caption, fields))
    if not rows:
        raise UserError(f"{metadata}: names no picture; add a row for each")
    return rows


def traced(row: Captioned, folder: Path) -> dict[str, str]:
    """A picture's attributes, with the name and the sha256 of its file."""
    return {**row.attributes, "file_name": row.path.relative_to(folder).as_posix(), "file_sha256": sha256(row.path)}


def pixels(source: Path | io.BytesIO, side: int, where: Path | str) -> Pixels:
    """A picture as RGB, turned as its camera says, cut to its central square and scaled to `side` pixels.

    Transparent pictures are laid on white; of 16 bits the upper 8 are kept.

    Args:
        where: what an error calls it.

    Raises:
        UserError: the file is no readable picture, or of numbers that are no shades.
    """
    try:
        with Image.open(source) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16") or (image.mode == "I" and opened.format == "PPM"):
                # Pillow would cut off all above 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise UserError(f"{where}: pixels of 32 bits, whose range is unknown; save it with 8 or 16 bits")
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            image = image.convert("RGB")
            if image.size != (side, side):
                image = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UserError(f"{where}: not a readable picture; replace it, or delete its row") from None


def _rows(metadata: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its number from 1, every value as text; what is missing is empty."""
    try:
        text = metadata.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{metadata}: not a text in UTF-8; save it as one") from None
    yield from enumerate(_from_csv(metadata, text) if metadata.suffix == ".csv" else _from_json(metadata, text), 1)


def _from_csv(metadata: Path, text: str) -> Iterator[dict[str, str]]:
    header, rows = csv_rows.parse(metadata, text)
    if "" in header:
        raise UserError(f"{metadata}: column {header.index('') + 1} has no name; name it or leave it out")
    yield from rows


def _from_json(metadata: Path, text: str) -> Iterator[dict[str, str]]:
    for number, line in enumerate(filter(str.strip, text.split("\n")), 1):
        try:
            fields: Any = json.loads(line)
            json.dumps(fields, ensure_ascii=False).encode()  # half a character passes for JSON, but for no text
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise UserError(f"{metadata}: row {number}: not a JSON object; write one a line")
        if isinstance(more := fields.get("attributes"), dict):
            del fields["attributes"]
            if twice := sorted(more.keys() & fields.keys()):
                raise UserError(f"{metadata}: row {number}: {twice[0]} stands there and in its attributes; keep one")
            fields |= more
        yield {name: _text(name, value) for name, value in fields.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None or name in ("file_name", "caption") else json.dumps(value, ensure_ascii=False)
