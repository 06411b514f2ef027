"""GradDiff: u = f + w r. Ascent on the forget set, descent on the retain set, no surgery (paper, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unpaint.unlearn.gradient import graddiff
from unpaint.unlearn.methods import Method


def method(_settings: Mapping[str, Any]) -> Method:
    """Plain sum, one retain batch a step."""
    return Method(graddiff)
