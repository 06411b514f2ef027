"""The one error a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Names the file, key or row at fault and what to do; printed without a traceback, exit code 2."""
