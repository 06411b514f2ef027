"""What counts as a monotone step."""

from __future__ import annotations

SLACK = 1e-5
"""Relative to both changes: a slope that a projection makes 0 is 0 but for rounding in single precision."""


def monotone(forget_change: float, retain_change: float) -> bool:
    """Whether neither loss rose to first order by the step taken (Definition 3 of the paper)."""
    return max(forget_change, retain_change) <= SLACK * (abs(forget_change) + abs(retain_change))
