"""The one error a user is meant to read, and how it names many things."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Names the file, key or row at fault and what to do; printed without a traceback, exit code 2."""


def some(names: Sequence[str], shown: int) -> str:
    """The first `shown` of names, and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
