"""Questions to git."""

from __future__ import annotations

import os
import subprocess

from unpaint.errors import UserError

GIT = ("git", "--no-replace-objects", "-c", "log.showSignature=false")
"""What is asked is what commits hold, and the answer is for a program, whatever a user's configuration says."""
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""What would send git to another repository than that of the current folder; a hook of git's sets them."""
GRAFTS = {"GIT_GRAFT_FILE": os.devnull}
"""Commits have the parents that they name: else a file of .git, or one elsewhere, could hide history."""


def git(*arguments: str) -> str:
    """What git answers in the current folder, as text; bytes of names that are none, as Python has them in paths.

    Raises:
        UserError: it is not installed, or refuses; in its own words.
    """
    return content(*arguments).decode(errors="surrogateescape")


def content(*arguments: str) -> bytes:
    """What git answers in the current folder, byte by byte.

    Raises:
        UserError: it is not installed, or refuses; in its own words.
    """
    try:
        done = subprocess.run([*GIT, *arguments], capture_output=True, env=here(), check=False)  # noqa: S603
    except OSError:
        raise UserError("git is not installed, or not on the PATH; install it") from None
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def commits() -> list[str]:
    """Every commit of this clone, DVC's experiments among them, newest first.

    Raises:
        UserError: there is none yet, or git does not answer.
    """
    # HEAD is one of all, if it is a commit: of a branch without any, the others are history
    if not (found := git("rev-list", "--all").split()):
        raise UserError("nothing is committed here yet; git add -A && git commit -m 'start'")
    return found


def newest(*paths: str) -> list[str]:
    """The files under some paths that the newest commit has; none, of a branch without a commit.

    Raises:
        UserError: git does not answer.
    """
    try:
        return git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", *paths).split("\0")[:-1]
    except UserError:
        if "# branch.oid (initial)" not in git("status", "--porcelain=v2", "--branch", "--untracked-files=no"):
            raise
        return []


def here() -> dict[str, str]:
    """The environment of a process whose git is that of its folder, with all of its history."""
    return {**{name: value for name, value in os.environ.items() if name not in ELSEWHERE}, **GRAFTS}
