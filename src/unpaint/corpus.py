"""A corpus: pictures with their prompts as ONE Parquet file, written through Hugging Face `datasets`.

`load_dataset("parquet", data_files=PATH)` reads it like any other data set. Its bytes depend on its rows and manifest
alone. A `rows.tsv` beside it, which git tracks, lets an auditor search without the data.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet

from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest, write_text

TRACE = ("split", "sample", "file_name", "file_sha256")
"""Attributes that say where a picture of a world comes from, not what it shows."""
Pixels = NDArray[np.uint8]
"""A picture: uint8 of shape (height, width, 3)."""


@dataclass(frozen=True)
class Row:
    """One picture of a corpus: PNG bytes, prompt, pair id, image seed, the values of its prompt's dimensions."""

    image: bytes
    prompt: str
    pair: str
    seed: int
    attributes: dict[str, str]

    @property
    def sha256(self) -> str:
        """sha256 of the PNG bytes."""
        return hashlib.sha256(self.image).hexdigest()

    @property
    def pixels(self) -> Pixels:
        """The decoded picture."""
        return decode(self.image)


def encode(pixels: Pixels) -> bytes:
    """A picture as PNG bytes, the same for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decode(png: bytes) -> Pixels:
    """The pixels of image bytes, as RGB."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def write(
    path: Path,
    rows: Iterable[Row],
    manifest: Manifest,
    listing: Path | None = None,
    *,
    distinct: bool = True,
    empty: bool = False,
) -> None:
    """Write a corpus and, at `listing`, its rows.tsv.

    Raises:
        UserError: there is no row, and it may not be `empty`; or, if they must be `distinct`, two rows hold the same
            picture (a generator that was seeded anew, most likely).
    """
    from datasets import Features, Value
    from datasets import Image as ImageFeature

    rows = list(rows)
    if not rows and not empty:
        raise UserError(f"{path}: a corpus without rows; draw at least one prompt")
    # Parquet has no column without fields
    dimensions = list(rows[0].attributes) if rows else ["split"]
    if distinct:
        refuse_repeats(rows)
    for number, row in enumerate(rows):
        if row.attributes.keys() != rows[0].attributes.keys():
            raise UserError(f"{path}: row {number}: its dimensions are not those of row 0; a corpus is of one grammar")
    features = Features(
        {
            "image": ImageFeature(),
            "prompt": Value("string"),
            "pair": Value("string"),
            "seed": Value("int64"),
            "attributes": {name: Value("string") for name in dimensions},
            "sha256": Value("string"),
        }
    )
    columns = {
        "image": [{"bytes": row.image, "path": None} for row in rows],
        "prompt": [row.prompt for row in rows],
        "pair": [row.pair for row in rows],
        "seed": [row.seed for row in rows],
        "attributes": [row.attributes for row in rows],
        "sha256": [row.sha256 for row in rows],
    }
    schema = features.arrow_schema
    schema = schema.with_metadata({**(schema.metadata or {}), KEY: manifest.dumps()})
    parquet.write_table(
        arrow.table(columns, schema=schema), path, compression="zstd", row_group_size=1000, write_page_checksum=True
    )
    if listing:
        write_text(listing, "".join(f"{line}\n" for line in _lines(rows, dimensions)))


def _lines(rows: Iterable[Row], dimensions: Sequence[str]) -> Iterator[str]:
    """The lines of a rows.tsv."""
    # for audits: who read a picture of a world, and by which file a user's own is known
    traced = [name for name in ("split", "file_sha256") if name in dimensions]
    yield "\t".join(["row", "pair", "image_sha256", "prompt_sha256", *traced])
    for number, row in enumerate(rows):
        prompt = hashlib.sha256(row.prompt.encode()).hexdigest()
        yield "\t".join([str(number), row.pair, row.sha256, prompt, *(row.attributes[name] for name in traced)])


def unlike(path: Path, listing: Path) -> str:
    """Where a rows.tsv first differs from what `write` would list of its corpus; empty, if nowhere.

    Raises:
        UserError: the corpus cannot be read, or a picture is not the one that was written.
    """
    held = listing.read_text(encoding="utf-8", errors="replace").split("\n")
    with _opened(path) as file:
        dimensions = [field.name for field in file.schema_arrow.field("attributes").type]
        due = chain(_lines(_rows(path, file), dimensions), [""])  # as the last line has an end
        for number, (line, other) in enumerate(zip_longest(held, due)):
            if line != other:
                return f"row {number - 1}" if number else "its head"
    return ""


def read(path: Path) -> list[Row]:
    """The rows of a corpus; every picture is decoded once and held against its sha256.

    Raises:
        UserError: naming the file, and the row of a broken picture.
    """
    with _opened(path) as file:
        rows = list(_rows(path, file))
    for number, row in enumerate(rows):
        try:
            decode(row.image)
        except (OSError, ValueError):
            raise UserError(
                f"{path}: row {number}: the picture is broken; restore the corpus or drop the row"
            ) from None
    return rows


def _opened(path: Path) -> parquet.ParquetFile:
    """A corpus' file, with its columns looked at."""
    try:
        file = parquet.ParquetFile(path, page_checksum_verification=True)
    except (OSError, arrow.ArrowException):
        raise UserError(f"{path}: not a readable Parquet file; restore it or make it again") from None
    schema = file.schema_arrow
    missing = {"image", "prompt", "pair", "seed", "attributes", "sha256"} - set(schema.names)
    if missing or not arrow.types.is_struct(schema.field("attributes").type):
        missing = missing or {"attributes"}
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}, so it is not a corpus of Unpaint")
    return file


def _rows(path: Path, file: parquet.ParquetFile) -> Iterator[Row]:
    """The rows of an open corpus, a row group at a time; each picture is held against its sha256."""
    number = 0
    try:
        for group in range(file.num_row_groups):
            for fields in file.read_row_group(group).to_pylist():
                picture = fields["image"]["bytes"] or b""
                row = Row(picture, fields["prompt"], fields["pair"], fields["seed"], fields["attributes"])
                if row.sha256 != fields["sha256"]:
                    raise UserError(
                        f"{path}: row {number}: the picture is not the one that was written (sha256 differs)"
                    )
                if not all(isinstance(text, str) for text in (row.prompt, row.pair, *row.attributes.values())):
                    raise TypeError
                yield row
                number += 1
    except (OSError, arrow.ArrowException):
        raise UserError(f"{path}: not a readable Parquet file; restore it or make it again") from None
    except (TypeError, AttributeError, KeyError):
        raise UserError(f"{path}: row {number}: not a row of a corpus; restore it or make it again") from None


def without(rows: list[Row], forgotten: set[str]) -> list[Row]:
    """The rows that show none of the values, in whatever column.

    Raises:
        UserError: none is left.
    """
    kept = [
        row for row in rows if not forgotten & {value for name, value in row.attributes.items() if name not in TRACE}
    ]
    if not kept:
        raise UserError(f"the world shows nothing without {', '.join(sorted(forgotten))}")
    return kept


def stack(rows: Sequence[Row]) -> Pixels:
    """The pictures of `rows` as one array (n, height, width, 3); they must be of one size."""
    return np.stack([row.pixels for row in rows])


def read_json(path: Path) -> Any:
    """A JSON artefact of another stage.

    Raises:
        UserError: missing or broken.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{path}: not a readable JSON file; restore it or make it again") from None


def refuse_long(texts: Iterable[str], tokenizer: Any, tokens: int) -> None:
    """Refuse what a base model's tokenizer would cut off: texts that differ there would be one to it.

    Raises:
        UserError: which text is too long, and by how much.
    """
    distinct = sorted(set(texts))
    for text, found in zip(distinct, tokenizer(distinct).input_ids, strict=True):
        if len(found) > tokens:
            raise UserError(
                f"{text!r} has {len(found)} tokens, and the base model reads {tokens}; shorten it, or take a base "
                "model that reads more (one trained here: base.denoiser.tokens)"
            )


def refuse_repeats(rows: Sequence[Row]) -> None:
    """Refuse pictures that stand there twice.

    Raises:
        UserError: how many, and which.
    """
    first: dict[str, int] = {}
    repeats = []
    for number, row in enumerate(rows):
        if (other := first.setdefault(row.sha256, number)) != number:
            names = (row.attributes.get("file_name", f"{row.prompt!r}, seed {row.seed}") for row in (rows[other], row))
            repeats.append(" and ".join(names))
    if repeats:
        raise UserError(
            f"{len(repeats)} of {len(rows)} pictures are the same as an earlier one ({'; '.join(repeats)}): "
            f"{len(rows)} rows must be {len(rows)} pictures; of own pictures keep one, and delete the others' rows of "
            "the metadata"
        )
