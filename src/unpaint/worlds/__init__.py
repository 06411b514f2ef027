"""Worlds: the captioned pictures from which a base model and its judge learn everything they know."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unpaint.corpus import Pixels

SPLITS = ("base", "judge", "reference")
"""Who sees a picture: the base model, the judge, or neither of them, so that it can tell how good both are."""
FEWEST = 5
"""Pictures of each value in each split: fewer teach nothing and prove nothing."""
Wanted = Mapping[str, Collection[str]]
"""Values by dimension."""


@dataclass(frozen=True)
class Picture:
    """One captioned picture, uint8 of shape (side, side, 3); its attributes name its split."""

    pixels: Pixels
    prompt: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class World:
    """What a world can show.

    Attributes:
        values: by dimension; base model and judge know nothing else.
        words: those that stand in the captions of its base split, in small letters.
        nothing: what pictures of nothing are called, with which its judge is trained.
        draw: gives the pictures of every split, in order of `SPLITS`.
        held_out: how many pictures of its reference split, at least about, show one of the wanted values in each
            dimension.
    """

    values: Mapping[str, Sequence[str]]
    words: frozenset[str]
    nothing: Sequence[str]
    draw: Callable[[], Iterator[Picture]]
    held_out: Callable[[Wanted], float]


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without what stands between them."""
    return re.findall(r"[\w'-]+", text.lower())


def find(settings: Mapping[str, Any], dimensions: Collection[str], seed: int, root: Path = Path()) -> World:
    """The world of the settings; no picture is opened or drawn yet.

    Args:
        dimensions: what its judge will be asked for; of a user's own folder these are columns of the metadata.

    Raises:
        UserError: what is wrong with a user's own folder.
    """
    from unpaint.worlds import digits, folder

    if settings["kind"] == "none":
        return World({}, frozenset(), (), lambda: iter(()), lambda wanted: 0.0)  # noqa: ARG005
    if settings["kind"] == "digits":
        return digits.world(settings["images"], seed)
    if settings["kind"] == "dataset":
        from unpaint.worlds import dataset

        return dataset.world(settings, seed, root)
    return folder.world(settings, dimensions, seed, root)
