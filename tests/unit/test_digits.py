"""The world `digits`: its captions are true of its pixels, and its splits share no handwriting."""

import numpy as np
import pytest

from unpaint.worlds import digits

COUNT = {"base": 120, "judge": 120, "reference": 120}


@pytest.fixture(scope="module")
def pictures():
    return list(digits.draw(COUNT, 0))


def hands(pictures, split):
    return {p.attributes["sample"] for p in pictures if p.attributes["split"] == split}


def test_every_split_has_its_count_balanced_over_the_digits(pictures):
    for split, count in COUNT.items():
        shown = [p.attributes["digit"] for p in pictures if p.attributes["split"] == split]
        assert {digit: shown.count(digit) for digit in digits.DIGITS} == dict.fromkeys(digits.DIGITS, count // 10)


def test_no_two_splits_share_a_handwriting_sample():
    images, labels = digits._handwriting()
    owner = digits._owners(images, labels, 0)
    assert set(owner) == {0, 1, 2}
    for number, split in enumerate(digits.SPLITS):
        for digit in range(10):
            share = (owner[labels == digit] == number).mean()
            assert share == pytest.approx(digits.SHARES[split], abs=0.01)


def test_pictures_come_from_their_split_s_own_samples(pictures):
    images, labels = digits._handwriting()
    owner = digits._owners(images, labels, 0)
    for number, split in enumerate(digits.SPLITS):
        assert {int(owner[int(sample)]) for sample in hands(pictures, split)} == {number}
    assert all(digits.DIGITS[labels[int(p.attributes["sample"])]] == p.attributes["digit"] for p in pictures)


def test_the_base_model_s_samples_are_the_most_alike_of_each_digit():
    images, labels = digits._handwriting()
    owner, random = digits._owners(images, labels, 0), np.random.default_rng(1)
    for digit in range(10):
        all_of = images[labels == digit].reshape(-1, 64)
        mine = images[(labels == digit) & (owner == 0)].reshape(-1, 64)

        def reach(flat):
            return np.linalg.norm(flat[:, None] - flat, axis=2).max(axis=1).min()

        drawn = [reach(random.permutation(all_of)[: len(mine)]) for _ in range(50)]
        assert reach(mine) < min(drawn)


def test_the_seed_draws_the_judge_s_samples_and_the_pictures(pictures):
    again, other = list(digits.draw(COUNT, 0)), list(digits.draw(COUNT, 1))
    assert all(
        np.array_equal(a.pixels, b.pixels) and a.prompt == b.prompt for a, b in zip(pictures, again, strict=True)
    )
    assert [p.prompt for p in other] != [p.prompt for p in pictures]
    assert hands(other, "judge") != hands(pictures, "judge")


def test_ink_ground_and_place_are_as_the_caption_says(pictures):
    for picture in pictures:
        said = picture.attributes
        assert picture.prompt == digits.TEMPLATE.format(**said)
        assert said["ink"] != said["ground"]
        pixels = picture.pixels.astype(int)
        ground, ink = np.array(digits.GROUNDS[said["ground"]]), np.array(digits.INKS[said["ink"]])
        assert np.abs(np.median(pixels.reshape(-1, 3), axis=0) - ground).max() <= 7
        assert np.abs(pixels - ink).max(axis=2).min() <= 7
        inked = np.abs(pixels - ink).sum(axis=2) < np.abs(pixels - ground).sum(axis=2)
        rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
        middle = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2 - (digits.SIDE - 1) / 2
        nearest = min(digits.PLACES, key=lambda place: np.abs(middle - digits.PLACES[place]).max())
        assert nearest == said["place"]


def test_every_value_is_drawn():
    pictures = list(digits.draw({"base": 600, "judge": 0, "reference": 0}, 0))
    for name, values in (("ink", digits.INKS), ("ground", digits.GROUNDS), ("place", digits.PLACES)):
        assert {p.attributes[name] for p in pictures} == set(values)
