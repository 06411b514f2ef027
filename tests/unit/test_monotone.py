"""A step is monotone if neither loss rose, rounding apart."""

import pytest

from unpaint.unlearn.monotone import monotone


@pytest.mark.parametrize(
    ("forget", "retain", "expected"),
    [
        (-1e-3, -2e-3, True),
        (-1e-3, 0.0, True),
        (-1e-3, 5e-10, True),  # a projected slope, rounded
        (0.0, 0.0, True),
        (-1e-3, 1e-6, False),
        (1e-9, 1e-9, False),
        (2e-3, -1e-3, False),
    ],
)
def test_rounding_is_no_rise_and_a_rise_is(forget, retain, expected):
    assert monotone(forget, retain) is expected
    assert monotone(retain, forget) is expected
