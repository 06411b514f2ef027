"""RGD: the restricted gradient on diversified data; each step is reminded of many retain batches (section 4.1).

The paper's CIFAR-10 code passes the whole retain set at every step and averages the batch gradients before the surgery.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unpaint.unlearn.gradient import SURGERIES
from unpaint.unlearn.methods import Method


def method(settings: Mapping[str, Any]) -> Method:
    """The surgery of the settings, several retain batches a step."""
    batches, together = settings["retain_batches_per_step"], settings["retain_batches_per_pass"]
    return Method(SURGERIES[settings["surgery"]], batches, together)
