"""The world `dataset`: a labelled data set in Parquet, as the Hub has them, pinned file by file."""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unpaint.corpus import TRACE
from unpaint.errors import UserError, some
from unpaint.folder import pixels
from unpaint.intact import refuse_broken
from unpaint.sources import DATASETS
from unpaint.worlds import FEWEST, SPLITS, Picture, Wanted, World, words_of
from unpaint.worlds.folder import NOTHING

TAKEN = {*TRACE, "set", "world"}
"""Attributes of Unpaint's own."""
MOST = 1000
"""A column of more distinct texts is no dimension."""
BATCH = 256
"""Rows in memory at once."""


def pin(source: str, revision: str | None, name: str | None) -> Path:
    """Pin a data set: a folder of the project, or one of the Hub, with Parquet files.

    Returns:
        The pin's path. Of itself it says its column of pictures, how many there are, how often each value of the other
        columns stands there, and which rows are copies of another's picture: these are left out.

    Raises:
        UserError: it is not there, is not in Parquet, has no picture, or no column of pictures, or several.
    """
    path = DATASETS.path(source, name)
    place, folder = DATASETS.locate(source, revision)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    if not files:
        raise UserError(f"{folder}: no Parquet file; a data set has some, as the Hub's own converter writes them")
    if len(parts := sorted({Path(file).parent.as_posix() for file in files})) > 1:
        raise UserError(f"{folder}: several data sets, {some(parts, 4)}; put the files of one into a folder here")
    refuse_broken(folder, files)
    return DATASETS.write(path, place, folder, files, _examined(folder, files))


def world(settings: Mapping[str, Any], seed: int, root: Path) -> World:
    """What the pin says; no file of the data set is opened.

    Raises:
        UserError: the caption names no column or an unknown one; too few pictures, in all or of a value in a split.
    """
    path: Path = root / settings["source"]
    pinned, caption, count = DATASETS.read(path), settings["caption"], settings["images"]
    names = _named(caption)
    known = ", ".join(pinned["columns"])
    if not names:
        raise UserError(f"world.caption: {caption!r} names no column in braces; {path} has {known}")
    if odd := [name for name in names if name not in pinned["columns"]]:
        raise UserError(f"world.caption: {path} has no column {odd[0]!r} that tells every picture; it has {known}")
    if taken := [name for name in names if name in TAKEN]:
        raise UserError(f"world.caption: the column {taken[0]} is taken by Unpaint itself; give it another name")
    if (wanted := sum(count[split] for split in SPLITS)) > pinned["rows"]:
        raise UserError(
            f"{path}: {pinned['rows']} pictures, and world.images wants {wanted}; no two splits share one: lower "
            "world.images.base, judge or reference"
        )
    shares = {
        name: {value: times / pinned["rows"] for value, times in pinned["columns"][name].items()} for name in names
    }
    for split in SPLITS:
        for name, values in shares.items():
            if few := [value for value, share in values.items() if share * count[split] < FEWEST]:
                raise UserError(
                    f"{path}: the split {split} would show {name} {few[0]} in about "
                    f"{values[few[0]] * count[split]:.1f} pictures, and needs {FEWEST}; raise "
                    f"world.images.{split}"
                )
    values = {name: tuple(sorted(shown)) for name, shown in shares.items()}
    texts = [re.sub(r"{[^{}]*}", " ", caption), *(value for shown in values.values() for value in shown)]
    words = frozenset(word for text in texts for word in words_of(text))
    return World(
        values,
        words,
        NOTHING,
        partial(_draw, path, pinned, settings, seed),
        partial(_count, shares, count["reference"]),
    )


def _count(shares: Mapping[str, Mapping[str, float]], pictures: int, wanted: Wanted) -> float:
    return pictures * math.prod(sum(shares[name][value] for value in values) for name, values in wanted.items())


def _draw(path: Path, pinned: Mapping[str, Any], settings: Mapping[str, Any], seed: int) -> Iterator[Picture]:
    """Each picture to one split at most, by chance; in a split they come as in the files."""
    folder, count = DATASETS.verified(path), [settings["images"][split] for split in SPLITS]
    order = np.random.default_rng(seed).permutation(pinned["rows"])
    dealt = np.full(len(order), -1)
    dealt[order[: sum(count)]] = np.repeat(np.arange(len(SPLITS)), count)
    caption, names, copies = settings["caption"], _named(settings["caption"]), set(pinned["copies"])
    for split, name in enumerate(SPLITS):
        rows = _rows(folder, sorted(pinned["files"]), names, pinned["image"])
        for number, row in enumerate(row for row in rows if row.place not in copies):
            if dealt[number] != split:
                continue
            yield Picture(
                pixels(io.BytesIO(row.picture), settings["side"], f"{folder}/{row.place}"),
                _filled(caption, row.values),
                {
                    "split": name,
                    **row.values,
                    "file_name": row.place,
                    "file_sha256": hashlib.sha256(row.picture).hexdigest(),
                },
            )


def _named(caption: str) -> list[str]:
    """The columns that a caption names."""
    return re.findall(r"{([^{}]*)}", caption)


def _filled(caption: str, values: Mapping[str, str]) -> str:
    return re.sub(r"{([^{}]*)}", lambda found: values[found[1]], caption)


def _examined(folder: Path, files: Sequence[str]) -> dict[str, Any]:
    """What a pin says of a data set."""
    from datasets import ClassLabel, Image, Value

    features = _features(folder / files[0])
    images = [name for name, feature in features.items() if isinstance(feature, Image)]
    if len(images) != 1:
        raise UserError(f"{folder}/{files[0]}: {len(images)} columns of pictures; a world has one")
    named = [
        name
        for name, feature in features.items()
        if isinstance(feature, ClassLabel) or (isinstance(feature, Value) and feature.dtype == "string")
    ]
    counted: dict[str, Counter[str]] = {name: Counter() for name in named}
    for file in files:
        if _features(folder / file) != features:
            raise UserError(f"{folder}/{file}: its columns are not those of {files[0]}; they are no one data set")
    seen: set[bytes] = set()
    copies = []
    for row in _rows(folder, files, named, images[0]):
        if (digest := hashlib.sha256(row.picture).digest()) in seen:
            copies.append(row.place)
            continue
        seen.add(digest)
        for name, value in row.values.items():
            counted[name][value] += 1
    if not seen:
        raise UserError(f"{folder}: no picture; put the data set there")
    # a column that some picture has no value in, or as good as each its own, is no dimension
    whole = {name: found for name, found in counted.items() if "" not in found and len(found) <= MOST}
    columns = {name: dict(sorted(found.items())) for name, found in whole.items()}
    return {"rows": len(seen), "copies": copies, "image": images[0], "columns": columns}


@dataclass(frozen=True)
class _Row:
    """A row: where it stands, its values by column (what is missing is empty), the file of its picture."""

    place: str
    values: dict[str, str]
    picture: bytes


def _features(file: Path) -> Any:
    """The columns of a file.

    Raises:
        UserError: it cannot be read.
    """
    from datasets import Features
    from pyarrow import ArrowException, parquet

    try:
        return Features.from_arrow_schema(parquet.read_schema(file))
    except (OSError, ArrowException, ValueError):
        raise UserError(
            f"{file}: not a readable Parquet file (truncated, or a pointer of git LFS?); load it again"
        ) from None


def _rows(folder: Path, files: Sequence[str], names: Sequence[str], image: str | None = None) -> Iterator[_Row]:
    """Every row of the files in turn, with its picture if `image` names that column."""
    from datasets import ClassLabel
    from pyarrow import parquet

    for file in files:
        features = _features(folder / file)
        opened = parquet.ParquetFile(folder / file)
        labels = {name: features[name].names for name in names if isinstance(features[name], ClassLabel)}
        number = 0
        for batch in opened.iter_batches(BATCH, columns=[*names, *([image] if image else [])]):
            for given in batch.to_pylist():
                if image and not (given[image] and given[image]["bytes"]):
                    raise UserError(
                        f"{folder}/{file}#{number}: has no picture in the file itself; save it with them in"
                    )
                values = {name: _text(given[name], labels.get(name)) for name in names}
                yield _Row(f"{file}#{number}", values, given[image]["bytes"] if image else b"")
                number += 1


def _text(value: Any, labels: Sequence[str] | None) -> str:
    if value is None or (labels and value < 0):
        return ""
    return str(labels[value] if labels else value).strip()
