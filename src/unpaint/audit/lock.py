"""dvc.lock as an audit reads it: by stage, what it read, what it wrote and at which settings."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from unpaint.errors import UserError

CODE = ("src/", "workflow/", "params.yaml")
"""What a stage runs, and no data."""
PATH = Path("dvc.lock")


@dataclass(frozen=True)
class Entry:
    """A stage: data by path and md5 (of a folder DVC's own, which ends in `.dir`), code as JSON of these, settings."""

    name: str
    deps: Mapping[str, str]
    code: str
    outs: Mapping[str, str]
    params: Mapping[str, Any]

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """The md5 of its code by path."""
        held: dict[str, str] = json.loads(self.code or "{}")
        return held

    @property
    def note(self) -> str:
        """The path of its run note."""
        return next((path for path in self.outs if path.endswith(".run.json")), "")


def path_of(name: str) -> str:
    """A path in this project as dvc.lock writes it; any other name as it is."""
    place, here = Path(name).absolute(), Path.cwd()
    return place.relative_to(here).as_posix() if place.is_relative_to(here) else name


def read(database: sqlite3.Connection) -> dict[str, Entry]:
    """The stages of the project's dvc.lock.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        content = PATH.read_bytes()
    except OSError:
        raise UserError("no dvc.lock here; go to the project's folder, or `unpaint record` what was made") from None
    return load(take_in(content, database), database)


def take_in(content: bytes, database: sqlite3.Connection) -> str:
    """Parse a dvc.lock, unless the index has it; its blob, by which it is loaded.

    Raises:
        UserError: it is none.
    """
    blob = blob_of(content)
    database.execute("CREATE TABLE IF NOT EXISTS locks (blob TEXT PRIMARY KEY, stages TEXT)")
    row = database.execute("SELECT stages FROM locks WHERE blob = ?", (blob,)).fetchone()
    if row is None or row[0] is None:
        # C's parser where there is one: DVC's own takes five times as long
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            stages = yaml.load(content, Loader=loader)["stages"]  # noqa: S506 (both are safe)
            text = _dumps({name: _fields(given) for name, given in stages.items()})
        except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
            raise UserError(f"dvc.lock (blob {blob[:12]}): cannot be read; restore it from git") from None
        database.execute("INSERT OR REPLACE INTO locks VALUES (?, ?)", (blob, text))
    return blob


def load(blob: str, database: sqlite3.Connection) -> dict[str, Entry]:
    """The stages of a dvc.lock that was taken in; none of one that cannot be read."""
    (text,) = database.execute("SELECT stages FROM locks WHERE blob = ?", (blob,)).fetchone()
    held = json.loads(text) if text else {"codes": [], "stages": {}}
    codes = held["codes"]
    return {name: Entry(name, data, codes[code], *others) for name, (data, code, *others) in held["stages"].items()}


def _dumps(stages: Mapping[str, tuple[Any, ...]]) -> str:
    """Stages as JSON; most of a kind have the same code, which is kept once."""
    codes = {code: number for number, code in enumerate(dict.fromkeys(fields[1] for fields in stages.values()))}
    entries = {name: (data, codes[code], *others) for name, (data, code, *others) in stages.items()}
    return json.dumps({"codes": [*codes], "stages": entries})


def blob_of(content: bytes) -> str:
    """The id that git gives to a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _fields(given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Data, code, outputs and settings of a stage.

    Raises:
        TypeError: a path or a hash is no text, or the settings are none (as are KeyError and AttributeError).
    """
    read, written = ({each["path"]: each["md5"] for each in given.get(key, [])} for key in ("deps", "outs"))
    data = {path: digest for path, digest in read.items() if not path.startswith(CODE)}
    code = json.dumps({path: digest for path, digest in read.items() if path not in data}, sort_keys=True)
    settings = given.get("params", {}).get("params.yaml", {})
    texts = (text for files in (read, written) for each in files.items() for text in each)
    if not (isinstance(settings, dict) and all(isinstance(text, str) for text in (*texts, *settings))):
        raise TypeError
    return data, code, written, settings


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
    """Every stage that some of `roots` depends on, and these themselves, by name with their depth; roots first.

    A stage whose output is by now another than the one that was read is none of them.
    """
    found: dict[str, tuple[Entry, int]] = {}
    pending = [(entry, 0) for entry in roots]
    while pending:
        entry, depth = pending.pop(0)
        if entry.name not in found:
            found[entry.name] = (entry, depth)
            pending += [(one, depth + 1) for one in reads(entry, made)]
    return found


def reads(entry: Entry, made: Mapping[str, Entry]) -> list[Entry]:
    """The stages whose outputs a stage read, but for one whose output is by now another."""
    above = ((maker(path, made), path, digest) for path, digest in entry.deps.items())
    found = (one for one, path, digest in above if one and one.outs.get(path, digest) == digest)
    return list({one.name: one for one in found}.values())


def descent(first: Iterable[Entry], entries: Mapping[str, Entry]) -> list[Entry]:
    """Every stage that what some stages wrote went into, these among them, in the order of dvc.lock."""
    kept = {entry.name for entry in first}
    reached = {out for name in kept for out in entries[name].outs.items()}
    changed = True
    while changed:
        changed = False
        for entry in entries.values():
            if entry.name not in kept and not reached.isdisjoint(entry.deps.items()):
                kept.add(entry.name)
                reached |= set(entry.outs.items())
                changed = True
    return [entry for entry in entries.values() if entry.name in kept]
