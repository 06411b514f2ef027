"""Withdrawals for people and for machines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from unpaint import tombstones
from unpaint.audit.data import MADE
from unpaint.errors import some
from unpaint.tombstones import REBUILD
from unpaint.withdraw import Withdrawal

CORPORA = ("world.parquet", "images/forget.parquet", "images/retain.parquet")
SHOWN = 5


def as_text(done: Withdrawal) -> str:
    """For people: what was withdrawn, what is stale by it, and the command that makes exactly that anew."""
    lines = []
    for path, new in done.written.items():
        lines.append(f"withdrawn; commit {path}:")
        lines += [f"  {one.told}" for one in new[:SHOWN]]
        lines += [f"  and {len(new) - SHOWN} more"] if len(new) > SHOWN else []
    if not done.stale and not done.before:
        return "\n".join([*lines, "nothing that was made is out of date by it"])
    if done.stale:
        lines.append(f"out of date: {len(done.stale)} files (--json names them all), among them")
        lines += [f"  {path}" for path in done.stale if Path(path).name in MADE or path.endswith(CORPORA)]
    else:
        lines.append(f"no more is out of date by it than was before: {some(done.before, SHOWN)}")
    if done.kept:
        lines.append(
            f"{done.kept} pictures are kept in scratch/; they are rendered again only where device, processor or "
            "packages are others than those that rendered them"
        )
    lines.append(REBUILD)
    if done.stale and done.before:
        lines.append(f"it also makes {some(done.before, SHOWN)}, which were not up to date before")
    if done.written or tombstones.places():
        lines.append("git's history and DVC's cache keep what was withdrawn, until they are cleaned (docs/withdraw.md)")
    return "\n".join(lines)


def as_fields(done: Withdrawal) -> dict[str, Any]:
    """For machines."""
    written = {path.as_posix(): [asdict(one) for one in new] for path, new in done.written.items()}
    return {**asdict(done), "written": written}
