"""Which data made a model: its whole ancestry, every file held against every book that names it.

The books: the manifest inside an artefact, the run note beside it, dvc.lock, and git's history of dvc.lock. A file that
one of them contradicts is named with the field and the book; one that is not here is missing, and no more.
"""

from __future__ import annotations

import configparser
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unpaint.audit import lock
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry, ancestry, maker, makers
from unpaint.errors import UserError
from unpaint.lineage import manifest
from unpaint.lineage.manifest import Manifest

ARTEFACTS = (".safetensors", ".parquet", ".json")
"""Files that may carry a manifest."""
MODEL = "/model.safetensors"
LISTS = ("compare", "report")
"""Stages whose settings are lists made of params.yaml's sections, so that no value of dvc.lock stands in them."""


@dataclass
class Found:
    """What an audit found of one stage."""

    entry: Entry
    depth: int
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by path, of what is here."""
    missing: dict[str, str] = field(default_factory=dict)
    """What brings it, by path."""
    contradictions: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """contradicted, missing or verified."""
        return "contradicted" if self.contradictions else "missing" if self.missing else "verified"


def audit(name: str | None, database: sqlite3.Connection) -> list[Found]:
    """Audit a model, with all that it was made from.

    Args:
        name: CONCEPT/METHOD/seedN, or a file of results/; all that dvc.lock names, if there is none.

    Raises:
        UserError: dvc.lock has no such model.
    """
    entries = lock.read(database)
    made = makers(entries.values())
    roots = [entry for entry in entries.values() if entry.outs] if name is None else _roots(entries, made, name)
    line = ancestry(roots, made)
    books = _Books(database)
    return [books.examine(entry, depth) for entry, depth in line.values()]


def _roots(entries: Mapping[str, Entry], made: Mapping[str, Entry], name: str) -> list[Entry]:
    """The stages of a model: what made it, and what it was scored by."""
    path = name.strip("/") if name.startswith("results/") else f"results/{name.strip('/')}"
    if (found := maker(path, made)) and Path(path).suffix:
        return [found]
    inside = [entry for entry in entries.values() if any(out.startswith(f"{path}/") for out in entry.outs)]
    if not inside:
        models = sorted(out.removeprefix("results/").removesuffix(MODEL) for out in made if out.endswith(MODEL))
        raise UserError(f"{name}: dvc.lock names no such model; they are {', '.join(models) or 'none'}")
    return inside


class _Books:
    """What the books say of each file."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database, self.hashes = database, Hashes(database)

    @cached_property
    def committed(self) -> dict[str, Entry]:
        """dvc.lock as git's newest commit has it."""
        text = git("show", "HEAD:./dvc.lock").encode()
        return lock.load(lock.take_in(text, self.database), self.database) if text else {}

    @cached_property
    def cache(self) -> Path:
        """DVC's cache."""
        config = configparser.ConfigParser()
        config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
        named = config.get("cache", "dir", fallback="").strip("\"'")
        return (Path(".dvc") / (named or "cache")).resolve()

    def examine(self, entry: Entry, depth: int) -> Found:
        """Hold the files of a stage against all that is said of them."""
        found = Found(entry, depth)
        for path, digest in entry.outs.items():
            self._hold(found, Path(path), digest)
        if Path(entry.note).is_file():
            self._hold_note(found)
        self._hold_history(found)
        return found

    def _hold(self, found: Found, path: Path, digest: str) -> None:
        """A file, or a folder of files, against dvc.lock."""
        folder = digest.endswith(".dir")
        files = [file for file in sorted(path.rglob("*")) if not file.is_dir()] if folder else [path]
        if odd := [(file, link) for file in files if (link := self._odd_link(file))]:
            file, link = odd[0]
            found.contradictions.append(f"{file}: is a link to {link}, not into DVC's cache")
        # of a moved project, DVC's own links lead nowhere
        elif not files or not all(file.exists() for file in files):
            found.missing[str(path)] = self._remedy(path, digest)
        else:
            if (self.hashes.of_folder(path) if folder else self.hashes.of(path).md5) != digest:
                what = "its files are" if folder else "its content is"
                found.contradictions.append(f"{path}: {what} not what dvc.lock names (md5)")
            found.files |= {str(file): self.hashes.of(file).sha256 for file in files}

    def _hold_note(self, found: Found) -> None:
        """The files and their manifests against the run note, and the note against what dvc.lock says that was read."""
        entry = found.entry
        try:
            note = json.loads(Path(entry.note).read_text(encoding="utf-8"))
            written = set(note["outputs"].values())
            told = note["manifest"]
            said = Manifest(told["stage"], told["settings"], told["inputs"], told["schema"])
        except (OSError, ValueError, KeyError, TypeError):
            found.contradictions.append(f"{entry.note}: not a run note that can be read")
            return
        found.note = note
        for path, digest in found.files.items():
            if path != entry.note and digest not in written:
                found.contradictions.append(f"{path}: its content is not what its run note says was made (sha256)")
            if (carried := _carried(Path(path))) and carried.dumps() != said.dumps():
                where = _difference(carried.as_dict(), said.as_dict())
                found.contradictions.append(f"{path}: its header and its run note differ in {where}")
        self._hold_settings(found, said)
        self._hold_inputs(found, said)

    def _hold_settings(self, found: Found, said: Manifest) -> None:
        """The settings that made it against those that dvc.lock names, and against the place where it stands."""
        entry = found.entry
        values = [_canonical(value) for value in _values(said.settings)]
        if said.stage not in LISTS:
            for key, value in entry.params.items():
                if _canonical(value) not in values:
                    found.contradictions.append(
                        f"{entry.note}: it was made at other settings than dvc.lock names: {key}"
                    )
        for path in (Path(out) for out in entry.outs):
            place = path.parent.name
            if said.stage == "unlearn" and place.startswith("seed") and place != f"seed{said.settings['seed']}":
                found.contradictions.append(f"{path}: stands at {place}, and was made at seed {said.settings['seed']}")
            which = said.settings.get("set")
            if which and path.suffix in (".parquet", ".safetensors") and path.stem != which:
                found.contradictions.append(f"{path}: stands as the {path.stem} set, and was made as the {which} set")

    def _hold_inputs(self, found: Found, said: Manifest) -> None:
        """What it read, by its manifest, against what dvc.lock says that the stage read."""
        entry, inputs = found.entry, set(said.inputs.values())
        known: dict[str, str] = {}
        whole = True
        for path, digest in entry.deps.items():
            if digest.endswith(".dir"):
                if Path(path).is_dir() and self.hashes.of_folder(Path(path)) == digest:
                    known |= {
                        self.hashes.of(file).sha256: str(file) for file in Path(path).rglob("*") if file.is_file()
                    }
                continue
            held = self.hashes.of(Path(path)) if Path(path).is_file() else None
            if held is None:
                whole = False
            elif held.md5 == digest:
                known[held.sha256] = path
                if held.sha256 not in inputs:
                    found.contradictions.append(
                        f"{entry.note}: dvc.lock says that it read {path} as it is now, and it was made from another"
                    )
            else:
                whole = False
                if held.sha256 in inputs:
                    found.contradictions.append(
                        f"dvc.lock: says that {entry.name} read another {path} than the one that it was made from"
                    )
                else:
                    found.remarks.append(f"{path} is newer than what was made from it")
        for role, digest in said.inputs.items():
            part = role.partition(".")[0]
            if part in ("forget", "retain") and digest in known and Path(known[digest]).stem != part:
                found.contradictions.append(f"{entry.note}: what it read as its {part} set is {known[digest]}")
            # what lies in a folder of the user's is one hash of another kind there
            own = part in ("pictures", "table") or (part == "source" and said.stage == "world")
            if whole and digest not in known and not own:
                found.contradictions.append(
                    f"{entry.note}: the {part} that it was made from (sha256 {digest[:12]}...) is nothing that "
                    "dvc.lock says it read"
                )

    def _hold_history(self, found: Found) -> None:
        """The stage in dvc.lock against the same in git's newest commit; and the run against git."""
        entry = found.entry
        before = self.committed.get(entry.name)
        if before is None:
            found.remarks.append("dvc.lock names it, and no commit does")
        elif (before.deps, before.code, before.params) == (entry.deps, entry.code, entry.params):
            for path, digest in entry.outs.items():
                if not path.endswith(".run.json") and before.outs.get(path, digest) != digest:
                    found.contradictions.append(
                        f"dvc.lock: names another {path} than the newest commit does, of equal data, code and settings"
                    )
        if commit := found.note.get("commit"):
            if commit not in self.known_commits:
                found.remarks.append(f"the commit of its run, {commit[:12]}, is not in this clone")
            if found.note.get("dirty"):
                found.remarks.append("its run had changes that were not committed")
        source = found.note.get("manifest", {}).get("settings", {}).get("base", {})
        if found.note and entry.name == "base" and str(source.get("source")).endswith(".json"):
            found.remarks.append(f"what {source['source']} was trained on is known to nobody here")

    @cached_property
    def known_commits(self) -> set[str]:
        """Every commit of this clone."""
        return set(git("rev-list", "--all", "HEAD").split())

    def _odd_link(self, path: Path) -> str:
        """Where an output points to that is a link, unless it is one of DVC's own."""
        if not path.is_symlink() or not path.exists():
            return ""
        target = path.resolve()
        return "" if target.is_relative_to(self.cache) else str(target)

    def _remedy(self, path: Path, digest: str) -> str:
        if (self.cache / "files" / "md5" / digest[:2] / digest[2:]).is_file():
            return f"dvc checkout {path}"
        return f"git checkout -- {path}" if str(path) in self._kept else f"dvc pull {path}"

    @cached_property
    def _kept(self) -> set[str]:
        """The results that git keeps."""
        return set(git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", "results").split("\0"))


def git(*arguments: str) -> str:
    """What git says; nothing, where it has no answer."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout if done.returncode == 0 else ""


def _carried(path: Path) -> Manifest | None:
    """The manifest inside a file, if it carries one."""
    if path.suffix not in ARTEFACTS:
        return None
    try:
        return manifest.read(path)
    except UserError:
        return None


def _values(settings: Mapping[str, Any]) -> Iterator[Any]:
    """Settings, and those inside them: what a key of params.yaml may have become."""
    for value in settings.values():
        yield value
        if isinstance(value, dict):
            yield from value.values()


def _canonical(value: Any) -> str:
    """A value as JSON; numbers that DVC writes so that YAML 1.1 takes them for texts (1e-06) are numbers again."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, str) and re.fullmatch(r"-?[0-9.]+[eE][-+]?[0-9]+", value):
        value = float(value)
    return json.dumps(value)


def _difference(one: Any, other: Any, where: str = "") -> str:
    """The first field in which two manifests differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _difference(one.get(key), other.get(key), f"{where}.{key}" if where else str(key))
    return where
