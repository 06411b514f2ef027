"""A folder that appears whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unpaint.errors import UserError


def refuse_existing(folder: Path) -> None:
    """Refuse to write into what is there, before any work.

    Raises:
        UserError: it exists.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; name another folder or delete it")


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder of the same name to write into, which is moved to its place at the end; deleted if anything fails."""
    partial = folder.absolute().with_name(f".partial-{os.getpid()}-{folder.name}")
    try:
        made = partial / folder.name
        made.mkdir(parents=True)
        yield made
        os.replace(made, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
