"""Questions to git."""

from __future__ import annotations

import subprocess

from unpaint.errors import UserError


def git(*arguments: str) -> str:
    """What git answers.

    Raises:
        UserError: it is not installed, or refuses; in its own words.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError:
        raise UserError("git is not installed, or not on the PATH; install it") from None
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
