"""RG: the restricted gradient, one retain batch a step (arXiv 2412.07808, Theorem 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unpaint.unlearn.gradient import SURGERIES
from unpaint.unlearn.methods import Method


def method(settings: Mapping[str, Any]) -> Method:
    """The surgery of the settings, one retain batch a step."""
    return Method(SURGERIES[settings["surgery"]])
