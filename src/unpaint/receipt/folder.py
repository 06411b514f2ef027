"""The folder of a receipt: its files themselves, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unpaint.errors import UserError
from unpaint.lineage.manifest import write_json, write_text
from unpaint.receipt import signature
from unpaint.receipt.page import page
from unpaint.receipt.statement import NAME

PAGE = "receipt.html"
PARTS = (NAME, PAGE, signature.NAME)


def fill(folder: Path, statement: Mapping[str, Any]) -> None:
    """Write what is made from the statement alone: all but the signature."""
    write_json(folder / NAME, statement)
    write_text(folder / PAGE, page(statement))


def odd(folder: Path) -> list[str]:
    """What in a folder is no file of its own, which nothing may be read through: a link, a pipe, a folder."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            found.append(f"{path}: is a link to {path.readlink()}, and no file of the receipt")
        elif not path.is_file():
            found.append(f"{path}: is a {'folder' if path.is_dir() else 'pipe or device'}, and no file of the receipt")
    return found


def hold(folder: Path, statement: Mapping[str, Any]) -> None:
    """Hold a receipt's folder against the statement that it is to be of.

    Whether its signature is by a key, `unpaint verify` tells; here it is held against the files that it lists.

    Raises:
        UserError: a file is not what that statement gives, is missing, or is no part of a receipt.
    """
    found = odd(folder)
    found += [f"{path}: is no part of a receipt" for path in sorted(folder.iterdir()) if path.name not in PARTS]
    if found:
        raise UserError(f"{found[0]}; take it out, or write a receipt anew")
    with tempfile.TemporaryDirectory() as made:
        fill(Path(made), statement)
        for name in (NAME, PAGE):
            path = folder / name
            if not path.is_file() or path.read_bytes() != (Path(made) / name).read_bytes():
                raise UserError(f"{path}: says otherwise than the books do, or is not here; write a receipt anew")
    if found := signature.unlike(folder):
        raise UserError(f"{found[0]}; write a receipt anew")
