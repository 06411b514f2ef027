"""Unpaint: take a concept out of a text-to-image diffusion model, and show which data did it.

The method as a library over diffusers: `from unpaint import gram, combine, unlearn, load_denoiser`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unpaint.models.base_model import load_denoiser as load_denoiser
    from unpaint.unlearn.gradient import combine as combine
    from unpaint.unlearn.gradient import gram as gram
    from unpaint.unlearn.loop import unlearn as unlearn

# the package is imported where the workflow is parsed, and torch takes seconds
_HOMES = {
    "gram": "unpaint.unlearn.gradient",
    "combine": "unpaint.unlearn.gradient",
    "unlearn": "unpaint.unlearn.loop",
    "load_denoiser": "unpaint.models.base_model",
}
__all__ = ["combine", "gram", "load_denoiser", "unlearn"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
