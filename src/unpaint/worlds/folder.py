"""The world `folder`: a user's own captioned pictures, in the layout of Hugging Face's imagefolder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unpaint.errors import UserError
from unpaint.folder import Captioned, listing, pixels, traced
from unpaint.worlds import FEWEST, SPLITS, Picture, Wanted, World, words_of

NOTHING = ("formless noise", "a blank", "a jumble", "a blend")
"""What pictures of nothing are called: noise, one colour, a picture's shuffled cells, many pictures at once."""


def world(settings: Mapping[str, Any], dimensions: Collection[str], seed: int, root: Path) -> World:
    """What the metadata says.

    Raises:
        UserError: see `listing`; a dimension that is no column, is empty somewhere, or has a value in two spellings;
            too few pictures, in all or of a value in a split.
    """
    path: Path = root / settings["path"]
    rows = listing(path)
    columns = rows[0].attributes
    for taken in ("split", "sample"):
        if taken in columns:
            raise UserError(f"{path}: the column {taken} is taken by Unpaint itself; give it another name")
    if unknown := [name for name in dimensions if name not in columns]:
        others = f"it has {', '.join(columns)}" if columns else "it has file_name and caption alone"
        raise UserError(
            f"{path}: no column {unknown[0]}, which questions.{unknown[0]} asks for; {others}: add it, a word of the "
            "caption for each picture"
        )
    for number, row in enumerate(rows, 1):
        if empty := [name for name in dimensions if not row.attributes[name]]:
            raise UserError(f"{path}: row {number}: no {empty[0]}; every picture needs one")
    values = {name: tuple(sorted({row.attributes[name] for row in rows})) for name in dimensions}
    for name, found in values.items():
        known: dict[str, str] = {}
        for value in found:
            if (other := known.setdefault(" ".join(value.casefold().split()), value)) != value:
                raise UserError(f"{path}: {name} {other!r} and {value!r} are one text to the judge; write them alike")
    dealt = _deal(rows, settings["images"], seed, path)
    for split, part in dealt.items():
        for name in dimensions:
            shown = Counter(row.attributes[name] for row in part)
            if few := [value for value in values[name] if shown[value] < FEWEST]:
                raise UserError(
                    f"{path}: the split {split} shows {name} {few[0]} in {shown[few[0]]} of its {len(part)} pictures, "
                    f"and needs {FEWEST}; raise world.images.{split}, add pictures, or leave out those of {few[0]}"
                )
    words = frozenset(word for row in dealt["base"] for word in words_of(row.caption))
    return World(
        values, words, NOTHING, partial(_draw, path, dealt, settings["side"]), partial(_count, dealt["reference"])
    )


def _count(held_out: Sequence[Captioned], wanted: Wanted) -> float:
    return sum(all(row.attributes[name] in values for name, values in wanted.items()) for row in held_out)


def _deal(rows: Sequence[Captioned], count: Mapping[str, int], seed: int, path: Path) -> dict[str, list[Captioned]]:
    """Each picture to one split at most, by chance."""
    if (wanted := sum(count[split] for split in SPLITS)) > len(rows):
        raise UserError(
            f"{path}: {len(rows)} pictures, and world.images wants {wanted}; no two splits share one: lower "
            "world.images.base, judge or reference, or add pictures"
        )
    order = iter(np.random.default_rng(seed).permutation(len(rows)).tolist())
    return {split: [rows[next(order)] for _ in range(count[split])] for split in SPLITS}


def _draw(path: Path, dealt: Mapping[str, Sequence[Captioned]], side: int) -> Iterator[Picture]:
    for split, part in dealt.items():
        for row in part:
            yield Picture(pixels(row.path, side, row.path), row.caption, {"split": split, **traced(row, path)})
