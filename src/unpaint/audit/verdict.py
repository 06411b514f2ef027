"""Verdicts on what books say, and the exit codes that tell them."""

from __future__ import annotations

from collections.abc import Sized

EXIT = {"contradicted": 1, "missing": 3, "verified": 0}
"""The worst first."""


def verdict_of(contradictions: Sized, missing: Sized) -> str:
    """Contradicted, if anything is; missing, if anything is; else verified."""
    return "contradicted" if contradictions else "missing" if missing else "verified"
