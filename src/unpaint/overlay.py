"""An overlay: settings merged into params.yaml, where both engines see them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from unpaint.errors import UserError
from unpaint.params import parse, plain

EVERY = "*"
"""In an overlay, every entry that a section has."""


def overlay(params: Path, given: Path) -> None:
    """Merge the settings of `given` into `params`, which loses its comments; lists are replaced whole.

    Raises:
        UserError: a file is no mapping, or the two together are no sound params.yaml; then `params` stays as it is.
    """
    merged = merge(plain(params), plain(given))
    partial = params.with_name(f".partial-{os.getpid()}-{params.name}")
    try:
        partial.write_text(yaml.safe_dump(merged, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
        try:
            parse(partial)
        except UserError as error:
            raise UserError(str(error).replace(str(partial), f"{params} with {given}")) from None
        os.replace(partial, params)
    finally:
        partial.unlink(missing_ok=True)


def merge(below: Any, above: Any) -> Any:
    """Two trees of settings as one, in which those `above` win; its key `*` stands for every key `below`."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    every = above.get(EVERY, {})
    merged = {key: merge(value, every) if EVERY in above else value for key, value in below.items()}
    for key, value in above.items():
        if key != EVERY:
            merged[key] = merge(merged[key], value) if key in merged else value
    return merged
