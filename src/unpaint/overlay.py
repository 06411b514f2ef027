"""An overlay: settings merged into params.yaml, where both engines see them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from unpaint.errors import UserError
from unpaint.params import parse, plain

EVERY = "*"
"""In an overlay, every entry that a section has."""
AT_MOST = re.compile(r"<=([0-9]+(?:\.[0-9]+)?)")
"""In an overlay, at most this number."""


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
    """Two trees of settings as one, in which those `above` win.

    A key `*` above stands for every key below; a text such as `<=6` for at most that, of a number or of each in a list,
    where there is one.
    """
    if (most := _most(above)) is not None:
        return _capped(below, most, above)
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    every = above.get(EVERY, {})
    merged = {key: merge(value, every) if EVERY in above else value for key, value in below.items()}
    for key, value in above.items():
        if key in merged:
            merged[key] = merge(merged[key], value)
        elif key != EVERY and not _only_caps(value):
            merged[key] = value
    return merged


def _most(given: Any) -> float | None:
    found = AT_MOST.fullmatch(given) if isinstance(given, str) else None
    return float(found[1]) if found else None


def _capped(below: Any, most: float, above: str) -> Any:
    if isinstance(below, list):
        return [_capped(value, most, above) for value in below]
    if isinstance(below, bool) or not isinstance(below, int | float):
        # no number: let the check of the whole refuse it
        return above
    return min(below, type(below)(most))


def _only_caps(given: Any) -> bool:
    """Whether settings say nothing but how much there may be of what is not there."""
    if isinstance(given, dict):
        return bool(given) and all(_only_caps(value) for value in given.values())
    return _most(given) is not None
