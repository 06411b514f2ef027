"""dvc.lock as an audit reads it: by stage, what it read, what it wrote and at which settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from unpaint.errors import UserError

CODE = ("src/", "workflow/", "params.yaml")
"""What a stage runs, and no data."""
PATH = Path("dvc.lock")


@dataclass(frozen=True)
class Entry:
    """A stage: its data and code by path and md5 (of a folder DVC's own, which ends in `.dir`), and its settings."""

    name: str
    deps: Mapping[str, str]
    code: Mapping[str, str]
    outs: Mapping[str, str]
    params: Mapping[str, Any]

    @property
    def note(self) -> str:
        """The path of its run note."""
        return next((path for path in self.outs if path.endswith(".run.json")), "")


def parse(text: str, where: str = "dvc.lock") -> dict[str, Entry]:
    """The stages of a dvc.lock.

    Raises:
        UserError: it is none.
    """
    # C's parser where there is one: DVC's own takes five times as long
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        stages = yaml.load(text, Loader=loader)["stages"]  # noqa: S506 (both are safe)
        return {name: _entry(name, given) for name, given in stages.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise UserError(f"{where}: not a dvc.lock that can be read; restore it from git") from None


def _entry(name: str, given: Mapping[str, Any]) -> Entry:
    read, written = ({each["path"]: each["md5"] for each in given.get(key, [])} for key in ("deps", "outs"))
    code = {path: digest for path, digest in read.items() if path.startswith(CODE)}
    data = {path: digest for path, digest in read.items() if path not in code}
    return Entry(name, data, code, written, given.get("params", {}).get("params.yaml", {}))


def read() -> dict[str, Entry]:
    """The stages of the project's dvc.lock.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        return parse(PATH.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(
            "no dvc.lock here; go to the folder of the project, or `unpaint record` what was made"
        ) from None


def makers(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The stage that writes each path."""
    return {path: entry for entry in entries for path in entry.outs}


def maker(path: str, made: Mapping[str, Entry]) -> Entry | None:
    """The stage that writes a path, or a folder above it."""
    for place in (path, *map(str, PurePosixPath(path).parents)):
        if place in made:
            return made[place]
    return None


def ancestry(roots: Iterable[Entry], made: Mapping[str, Entry]) -> dict[str, tuple[Entry, int]]:
    """Every stage that some of `roots` depends on, and these themselves, by name with their depth; roots first."""
    found: dict[str, tuple[Entry, int]] = {}
    pending = [(entry, 0) for entry in roots]
    while pending:
        entry, depth = pending.pop(0)
        if entry.name not in found:
            found[entry.name] = (entry, depth)
            pending += [(above, depth + 1) for path in entry.deps if (above := maker(path, made))]
    return found


def descent(paths: Iterable[str], entries: Mapping[str, Entry]) -> list[Entry]:
    """Every stage that some of the paths, or what was made of them, went into, in the order of dvc.lock."""
    reached, changed = set(paths), True
    kept: dict[str, Entry] = {}
    while changed:
        changed = False
        for entry in entries.values():
            if entry.name not in kept and reached & set(entry.deps):
                kept[entry.name] = entry
                reached |= set(entry.outs)
                changed = True
    return [entry for entry in entries.values() if entry.name in kept]
