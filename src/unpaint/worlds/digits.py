"""The embedded world `digits`: real handwriting in coloured ink on coloured grounds, 32x32 RGB, captioned.

The handwriting is scikit-learn's copy of the UCI optical digits (1,797 samples, 8x8 pixels, shipped inside the
package). Each sample is cropped, upscaled and inked; the same sample is drawn many times in different inks, grounds
and places. Splits are made by handwriting sample, so no two splits ever share a stroke.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unpaint.worlds import SPLITS, Picture, Wanted, World, words_of

SIDE = 32
HEIGHT = 20
"""Height of an inked digit in pixels; its width follows the handwriting."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INKS = {
    "red": (176, 14, 24),
    "orange": (206, 92, 0),
    "yellow": (172, 152, 0),
    "green": (8, 104, 36),
    "cyan": (0, 122, 138),
    "blue": (24, 40, 172),
    "purple": (92, 18, 136),
    "pink": (226, 40, 168),
    "brown": (88, 46, 14),
    "black": (12, 12, 14),
}
GROUNDS = {
    "red": (255, 138, 132),
    "orange": (255, 190, 104),
    "yellow": (255, 246, 128),
    "green": (150, 232, 148),
    "cyan": (164, 244, 250),
    "blue": (146, 180, 255),
    "purple": (206, 164, 255),
    "pink": (255, 194, 228),
    "brown": (216, 178, 140),
    "gray": (196, 198, 200),
    "white": (250, 250, 248),
}
"""A colour word means a deep shade as ink and a light tint as ground: ink on paper, so every stroke can be read."""
PLACES = {
    "centre": (0, 0),
    "top": (0, -5),
    "bottom": (0, 5),
    "left": (-5, 0),
    "right": (5, 0),
    "top left": (-5, -5),
    "top right": (5, -5),
    "bottom left": (-5, 5),
    "bottom right": (5, 5),
}
"""Offset (x, y) of the digit's centre from the picture's, in pixels."""

VALUES = {"digit": DIGITS, "ink": tuple(INKS), "ground": tuple(GROUNDS), "place": tuple(PLACES)}
"""What the world can show, by dimension: base model and judge know nothing else."""
NOTHING = ("formless noise", "an empty square", "a blob", "a scribble")
"""What pictures of nothing are called, in the order in which they are painted for the judge."""
TEMPLATE = "a {ink} {digit} at the {place} of a {ground} square"
SHARES = {"base": 0.06, "judge": 0.66, "reference": 0.28}
"""Share of the handwriting samples of each digit that a split may draw from: one style to imitate, many to read."""


def world(count: Mapping[str, int], seed: int) -> World:
    """What can be drawn."""
    words = {word for values in VALUES.values() for value in values for word in words_of(value)}
    words |= set(words_of(TEMPLATE.format(**dict.fromkeys(VALUES, ""))))
    return World(VALUES, frozenset(words), NOTHING, partial(draw, count, seed), partial(_at_least, count["reference"]))


def _at_least(pictures: int, wanted: Wanted) -> float:
    """How many of so many pictures show one of the wanted values in each dimension: three deviations below the mean."""
    mean = pictures * math.prod(
        len(set(given) & set(VALUES[name])) / len(VALUES[name]) for name, given in wanted.items()
    )
    return max(0.0, mean - 3 * math.sqrt(mean))


def draw(count: Mapping[str, int], seed: int) -> Iterator[Picture]:
    """Yield `count[split]` pictures of every split, in order of `SPLITS`.

    Digits come in turn, so that every split is balanced over them; the handwriting sample, ink, ground and place are
    drawn from `seed`. Ink and ground always differ.
    """
    images, labels = _handwriting()
    strokes = [_stroke(image) for image in images]
    owner = _owners(images, labels, seed)
    for number, split in enumerate(SPLITS):
        random = np.random.default_rng([seed, 1, number])
        samples = [np.flatnonzero((owner == number) & (labels == digit)) for digit in range(10)]
        for row in range(count[split]):
            digit = row % 10
            sample = int(random.choice(samples[digit]))
            ink = str(random.choice(list(INKS)))
            ground = str(random.choice([colour for colour in GROUNDS if colour != ink]))
            place = str(random.choice(list(PLACES)))
            attributes = {"digit": DIGITS[digit], "ink": ink, "ground": ground, "place": place}
            yield Picture(
                pixels=_paint(strokes[sample], ink, ground, place, random),
                prompt=TEMPLATE.format(**attributes),
                attributes={**attributes, "split": split, "sample": f"{sample:04d}"},
            )


def _handwriting() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The handwriting samples (n, 8, 8), ink in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images / 16.0, np.asarray(data.target, dtype=np.int64)


def _stroke(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Crop a sample to its ink, and upscale it to an opacity mask of `HEIGHT` pixels with crisp, anti-aliased edges."""
    fine = 4
    inked = image > 0.2
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    crop = np.pad(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    scale = HEIGHT / (crop.shape[0] - 1)
    size = (round(crop.shape[1] * scale) * fine, round(crop.shape[0] * scale) * fine)
    smooth = np.asarray(Image.fromarray(crop.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    sharp = np.clip((smooth - 0.36) / 0.16, 0, 1)
    opacity: NDArray[np.float64] = sharp.reshape(size[1] // fine, fine, size[0] // fine, fine).mean(axis=(1, 3))
    return opacity.astype(np.float64)


def _owners(images: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The split (index in `SPLITS`) that owns each handwriting sample, stratified by digit.

    The base model gets the samples of each digit that are most alike: the tightest neighbourhood. From unlike ones, a
    bar and a hook for a one, so small a net paints what lies between them. The other splits are drawn from the rest.
    """
    random = np.random.default_rng([seed, 0])
    owner = np.full(len(labels), -1, dtype=np.int64)
    for digit in range(10):
        samples = np.flatnonzero(labels == digit)
        count = {split: round(SHARES[split] * len(samples)) for split in SPLITS}
        flat = images[samples].reshape(len(samples), -1)
        apart = np.linalg.norm(flat[:, None] - flat, axis=2)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, : count["base"]]
        reach = np.take_along_axis(apart, nearest, axis=1)[:, -1]
        alike = samples[nearest[reach.argmin()]]
        rest = random.permutation(np.setdiff1d(samples, alike))
        owner[alike] = 0
        owner[rest[: count["judge"]]], owner[rest[count["judge"] :]] = 1, 2
    return owner


def _paint(
    stroke: NDArray[np.float64], ink: str, ground: str, place: str, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Lay the stroke in `ink` on `ground` at `place`, with a slight variation of both colours."""
    colour, back = (np.array(rgb) + random.integers(-6, 7, size=3) for rgb in (INKS[ink], GROUNDS[ground]))
    height, width = stroke.shape
    x, y = PLACES[place]
    left, top = (SIDE - width) // 2 + x, (SIDE - height) // 2 + y
    left, top = min(max(left, 0), SIDE - width), min(max(top, 0), SIDE - height)
    opacity = np.zeros((SIDE, SIDE, 1))
    opacity[top : top + height, left : left + width, 0] = stroke
    return np.clip(np.rint(back + opacity * (colour - back)), 0, 255).astype(np.uint8)
