"""The world without a concept."""

import pytest

from unpaint.corpus import Row, without
from unpaint.errors import UserError


def row(**attributes):
    return Row(b"", "", "", 0, {"split": "base", **attributes})


ROWS = [row(ink="red", ground="blue", place="top"), row(ink="blue", ground="red"), row(ink="cyan", ground="white")]


def test_a_forgotten_value_leaves_every_dimension():
    assert without(ROWS, {"red"}) == ROWS[2:]


def test_a_value_is_told_apart_as_a_whole():
    longer = row(place="top left")
    assert without([longer, ROWS[0]], {"top"}) == [longer]


def test_nothing_left_is_an_error():
    with pytest.raises(UserError, match=r"^the world shows nothing without blue, cyan$"):
        without(ROWS, {"blue", "cyan"})
