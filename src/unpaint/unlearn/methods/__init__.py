"""One file per method. A method says which surgery it uses and how many retain batches a step sees.

To add one, add a file here with a `method(settings)` function and its settings to `params/sections.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unpaint.unlearn.gradient import Coefficients


@dataclass(frozen=True)
class Method:
    """What tells a method from the others in the shared loop."""

    surgery: Coefficients
    retain_batches: int = 1
    batches_per_pass: int = 1
    """How many of them go through the network at once: memory against speed."""


def find(settings: Mapping[str, Any]) -> Method:
    """The method that `settings["method"]` names."""
    module = importlib.import_module(f"{__name__}.{settings['method']}")
    found: Method = module.method(settings)
    return found
