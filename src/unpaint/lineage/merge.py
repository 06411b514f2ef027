"""The third verb of the books: merge (after a git merge that stopped at dvc.lock)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unpaint.errors import UserError
from unpaint.lineage.git import git

LOCK = Path("dvc.lock")


def merge() -> list[str]:
    """Write dvc.lock of a git merge that stopped at it; return the stages that both sides have changed.

    Raises:
        UserError: no merge has stopped at dvc.lock here, or one of its versions cannot be read.
    """
    from dvc.utils.serialize import dumps_yaml

    held = {line.split()[2] for line in git("ls-files", "--unmerged", "--", str(LOCK)).splitlines()}
    if not {"2", "3"} <= held:
        raise UserError("no git merge has stopped at dvc.lock here; first `git merge BRANCH`")
    base, ours, theirs = (_stages(number) if number in held else {} for number in ("1", "2", "3"))
    stages, both = merged(base, ours, theirs)
    partial = LOCK.with_name(f"{LOCK.name}.partial")
    partial.write_text(dumps_yaml({"schema": "2.0", "stages": stages}), encoding="utf-8")
    os.replace(partial, LOCK)
    return both


def merged(
    base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Each stage from the side that changed it, ours if both have; and the names of those that both have.

    An entry says of one run what it read and made, and stays true whatever stands beside it; what does not fit the
    files that it would now read, DVC runs again.
    """
    taken: dict[str, Any] = {}
    both = []
    for name in {**ours, **theirs}:
        was, mine, other = (side.get(name) for side in (base, ours, theirs))
        if mine not in (was, other) and other != was:
            both.append(name)
        chosen = other if mine == was else mine
        if chosen is not None:
            taken[name] = chosen
    return taken, both


def _stages(number: str) -> dict[str, Any]:
    """The stages of dvc.lock as git keeps that side of a merge."""
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

    try:
        stages: dict[str, Any] = parse_yaml(git("show", f":{number}:./{LOCK}"), LOCK)["stages"]
    except (YAMLFileCorruptedError, KeyError, TypeError):
        raise UserError(f"git show :{number}:dvc.lock: cannot be read; git merge --abort, and mend it there") from None
    return stages
