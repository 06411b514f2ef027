"""Rows of a CSV file by column: a cell too many or too few is an unquoted comma, and is no reason to guess."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from unpaint.errors import UserError


def parse(path: Path, text: str) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and the rows of a CSV file, every name and cell without spaces around it.

    Args:
        path: what an error calls it.
        text: what it holds.

    Raises:
        UserError: it is parted otherwise than by commas, a column stands there twice, a row has not as many cells as
            the header, or its quotes are not closed.
    """
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows: list[dict[str, str]] = []
    try:
        header = table.fieldnames = [name.strip() for name in table.fieldnames or []]
        _refuse_header(path, header)
        for number, cells in enumerate(table, 1):
            if None in cells or None in cells.values():
                raise UserError(f"{path}: row {number}: not as many cells as the header; quote cells that have commas")
            rows.append({name: value.strip() for name, value in cells.items()})
    except csv.Error as error:
        raise UserError(f"{path}: row {len(rows) + 1}: {error}; close its quotes") from None
    return header, rows


def _refuse_header(path: Path, header: Sequence[str]) -> None:
    if len(header) == 1 and (marks := [mark for mark in (";", "\t") if mark in header[0]]):
        raise UserError(f"{path}: the columns are parted by {marks[0]!r}; save it with commas")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise UserError(f"{path}: the column {twice[0]} stands there twice; keep one")
