"""The books that name a file, held against it and each other.

They are the manifest inside an artefact, the run note beside it, dvc.lock, and dvc.lock in git's newest commit. A file
that one of them contradicts is named with the field and the book; one that is not here is missing, and no more.
"""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from unpaint import tombstones
from unpaint.audit import lock, withdrawn
from unpaint.audit.hashes import Hashes, place_of
from unpaint.audit.history import History
from unpaint.audit.lock import Entry
from unpaint.audit.verdict import verdict_of
from unpaint.errors import UserError
from unpaint.lineage import manifest
from unpaint.lineage.git import git, newest
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.rows import LIST

CARRIERS = (".safetensors", ".parquet")
"""Files of a stage that carry a manifest; JSON files may."""
LISTS = ("compare", "report")
"""Stages whose settings are lists made of params.yaml's sections, so that no value of dvc.lock stands in them."""
CALLED = {"methods": "method", "models": "model", "proposals": "proposal", "grammars": "grammar"}
"""What an entry of a section of params.yaml is called in a stage's settings."""

PLACED = {
    "base": {"threads"},  # given by base.threads
    "images": {"set"},
    "samples": {"distinct"},
    "encode": {"set"},
    "unlearn": {"seed"},
    "retrain": {"seed"},
    "summary": {"concept", "method", "seed"},
}
"""Settings that a stage has from the place of its output; of its wildcards, as Snakemake calls them."""


@dataclass
class Found:
    """What an audit found of one stage."""

    entry: Entry
    depth: int = 0
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by path, of what is here."""
    missing: dict[str, str] = field(default_factory=dict)
    """What brings it, by path."""
    contradictions: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    note: Mapping[str, Any] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    """The stages whose outputs it read, by name."""
    withdrawn: dict[str, list[str]] = field(default_factory=dict)
    """What of it, or of what it was made from, was withdrawn since, by the file of tombstones."""
    origins: dict[str, str] = field(default_factory=dict)
    """Where each input is known here, by role: of a file that no dvc.lock names, and says of itself what it is."""

    @property
    def verdict(self) -> str:
        """contradicted, missing or verified."""
        return verdict_of(self.contradictions, {**self.missing, **self.withdrawn})


class Books:
    """What the books say of each file."""

    def __init__(self, made: Mapping[str, Entry], database: sqlite3.Connection) -> None:
        """Take the stage that makes each path, and the index."""
        self.made, self.database, self.hashes = made, database, Hashes(database)
        self._place: Callable[[Path], Path] = cache(Path.resolve)
        self.history = History(made, database, self.hashes)
        database.execute(
            "CREATE TABLE IF NOT EXISTS listed (corpus TEXT, list TEXT, unlike TEXT, PRIMARY KEY (corpus, list))"
        )

    @cached_property
    def cache(self) -> Path:
        """DVC's cache, wherever one of its configurations puts it."""
        asked = [sys.executable, "-m", "dvc", "cache", "dir"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
        return Path(done.stdout.strip() or ".dvc/cache").resolve()

    def examine(self, entry: Entry) -> Found:
        """Hold the files of a stage against all that is said of them."""
        found = Found(entry)
        for path, digest in entry.outs.items():
            self._hold(found, Path(path), digest)
        if not entry.note:
            found.contradictions.append(f"dvc.lock: names no run note of {entry.name}")
        elif Path(entry.note).is_file():
            self._hold_note(found)
        self._hold_lists(found)
        self.history.hold(found, _chosen_now(found))
        self._hold_run(found)
        return found

    def _hold(self, found: Found, path: Path, digest: str) -> None:
        """A file, or a folder of files, against dvc.lock."""
        folder = digest.endswith(".dir")
        files = self.hashes.files(path) if folder else [path]
        if odd := [(file, link) for file in dict.fromkeys([path, *files]) if (link := self._odd_link(file))]:
            file, link = odd[0]
            found.contradictions.append(f"{file}: is a link to {link}, not into DVC's cache")
        # of a moved project, DVC's own links lead nowhere
        elif not folder and path.is_dir():
            found.contradictions.append(f"{path}: is a folder, and dvc.lock names a file")
        elif pipe := next(
            (file for file in (path, *files) if file.exists() and not (file.is_file() or file.is_dir())), None
        ):
            found.contradictions.append(f"{pipe}: is no file, but what a program may wait at for ever")
        elif not files or not all(file.exists() for file in files):
            found.missing[str(path)] = self._remedy(path, digest)
        else:
            if (self.hashes.of_folder(path) if folder else self.hashes.of(path).md5) != digest:
                what = "its files are" if folder else "its content is"
                mend = self._mend(path, digest, found.entry.name)
                found.contradictions.append(f"{path}: {what} not what dvc.lock names (md5){mend}")
            found.files |= {str(file): self.hashes.of(file).sha256 for file in files}

    def _mend(self, path: Path, digest: str, stage: str) -> str:
        """What mends an output of other content, where that is an object of DVC's cache, or a file too many."""
        place = place_of(self.cache, digest)
        due = {path: digest}
        if digest.endswith(".dir"):
            if not place.is_file() or self.hashes.is_rotten(place):
                return ""
            try:
                due = {path / one["relpath"]: str(one["md5"]) for one in json.loads(place.read_bytes())}
            except (ValueError, TypeError, KeyError):  # none of DVC's
                return ""
        places = ((file, place_of(self.cache, md5)) for file, md5 in due.items())
        if rotten := [(file, kept) for file, kept in places if self.hashes.is_rotten(kept)]:
            # the file as well: DVC takes it for what it checked out
            gone = shlex.join([name for file, kept in rotten for name in (lock.path_of(str(kept)), str(file))])
            return (
                f"; nor is that of DVC's cache: rm {gone}, and then dvc pull {path} or, to make it again, "
                f"dvc repro {stage}"
            )
        more = [str(file) for file in self.hashes.files(path) if file not in due] if path not in due else []
        return f"; too many: rm {shlex.join(more)}" if more else ""

    def _hold_lists(self, found: Found) -> None:
        """The rows.tsv beside a corpus, which all that searches reads, against the corpus."""
        for listing in (path for path in found.files if path.endswith(LIST)):
            path = f"{listing.removesuffix(LIST)}.parquet"
            if path in found.files and (where := self._unlike(found, path, listing)):
                found.contradictions.append(where)

    def _unlike(self, found: Found, path: str, listing: str) -> str:
        """What is wrong with a corpus and its list; nothing is read of contents that were held against each other."""
        digests = found.files[path], found.files[listing]
        asked = "SELECT unlike FROM listed WHERE corpus = ? AND list = ?"
        if row := self.database.execute(asked, digests).fetchone():
            where = row[0]
        else:
            from unpaint import corpus

            try:
                where = corpus.unlike(Path(path), Path(listing))
            except UserError as error:  # other content than was written: not kept, as it names the path
                return str(error)
            self.database.execute("INSERT INTO listed VALUES (?, ?, ?)", (*digests, where))
        return where and f"{listing}: {where} is not as {path} has it"

    def _hold_note(self, found: Found) -> None:
        """The files and their manifests against the run note, and the note against what dvc.lock says that was read."""
        entry = found.entry
        try:
            note = json.loads(Path(entry.note).read_text(encoding="utf-8"))
            said = Manifest.loads(json.dumps(note["manifest"]), entry.note)
            texts = [*note["outputs"].values(), *said.inputs.values(), said.stage, note.get("commit") or ""]
            if not (isinstance(said.settings, dict) and all(isinstance(text, str) for text in texts)):
                raise TypeError
            written = set(note["outputs"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError):
            found.contradictions.append(f"{entry.note}: not a run note that can be read")
            return
        found.note = note
        for path, digest in found.files.items():
            if path != entry.note and digest not in written:
                found.contradictions.append(f"{path}: its content is not what its run note says was made (sha256)")
            carried = _carried(Path(path))
            if carried and carried.dumps() != said.dumps():
                where = _difference(carried.as_dict(), said.as_dict())
                found.contradictions.append(f"{path}: its header and its run note differ in {where}")
            # of a published judge, and of a pipeline's parts, the files are others'
            if not carried and path in entry.outs and path.endswith(CARRIERS) and not _published(said):
                found.contradictions.append(f"{path}: carries no manifest, and its stage writes one into it")
        self._hold_settings(found, said)
        self._hold_inputs(found, said)

    def _hold_settings(self, found: Found, said: Manifest) -> None:
        """The settings that made it against those that dvc.lock names, and against the place where it stands."""
        entry = found.entry
        for key, value in {} if said.stage in LISTS else entry.params.items():
            if _canonical(_setting(key, said.settings)) != _canonical(value):
                found.contradictions.append(f"{entry.note}: it was made at other settings than dvc.lock names: {key}")
        for name in [] if said.stage in LISTS else _ungiven(entry, said):
            found.contradictions.append(f"{entry.note}: it was made at a setting that dvc.lock does not name: {name}")
        for path in (Path(out) for out in entry.outs):
            place, seed = path.parent.name, said.settings.get("seed")
            if said.stage == "unlearn" and place.startswith("seed") and place != f"seed{seed}":
                found.contradictions.append(f"{path}: stands at {place}, and was made at seed {seed}")
            which = said.settings.get("set")
            if which and path.suffix in CARRIERS and path.stem != which:
                found.contradictions.append(f"{path}: stands as the {path.stem} set, and was made as the {which} set")

    def _hold_inputs(self, found: Found, said: Manifest) -> None:
        """What it read, by its manifest, against what dvc.lock says that the stage read."""
        entry, inputs = found.entry, set(said.inputs.values())
        known, whole, changed = self._read(found, inputs)
        chosen = _chosen(entry, said)
        if (folder := chosen.get("pictures")) and folder.is_dir():
            known[self.hashes.of_listing(folder)] = str(folder)
        for role, digest in said.inputs.items():
            part = role.partition(".")[0]
            if part in ("forget", "retain") and digest in known and Path(known[digest]).stem != part:
                found.contradictions.append(f"{entry.note}: what it read as its {part} set is {known[digest]}")
            if digest not in known and changed and role in chosen:
                self._miss(found, role, chosen[role])
            elif digest not in known and whole:
                found.contradictions.append(
                    f"{entry.note}: the {part} that it was made from (sha256 {digest[:12]}...) is nothing that "
                    "dvc.lock says it read"
                )
        if "withdrawn" not in said.inputs and (path := chosen.get("withdrawn")) and path.is_file():
            if changed:
                self._miss(found, "withdrawn", path)
            else:
                # a run that was under way when it was withdrawn; DVC takes the stage for one that is up to date
                found.contradictions.append(
                    f"{entry.note}: dvc.lock says that it heeded {path}, and it did not; "
                    f"dvc repro --force --single-item {entry.name}, and then dvc repro"
                )

    @staticmethod
    def _miss(found: Found, role: str, path: Path) -> None:
        """What was brought by a user is another by now."""
        if role == "withdrawn":
            _withdraw(found, path)
        else:
            found.missing[str(path)] = _as_committed(path)
        found.remarks.append(f"{path} is another by now")

    def _read(self, found: Found, inputs: set[str]) -> tuple[dict[str, str], bool, bool]:
        """What dvc.lock says that a stage read, path by sha256, as far as it is here; and whether all is.

        And whether a folder is another by now of which a user chooses a file.
        """
        entry = found.entry
        known: dict[str, str] = {}
        whole, changed = True, False
        for path, digest in entry.deps.items():
            if path.startswith("results/"):
                self._hold_maker(found, path, digest)
            if digest.endswith(".dir"):
                same = self.hashes.of_folder(Path(path)) == digest
                chosen = not path.startswith("results/")
                if same or chosen:  # of a folder of choices others may be new
                    files = (file for file in self.hashes.files(Path(path)) if file.is_file())
                    known |= {self.hashes.of(file).sha256: str(file) for file in files}
                changed = changed or (chosen and not same)
                if not same and not chosen:
                    whole = False
                    found.remarks.append(f"{path} is not as it was read, or not all of it is here")
                continue
            held = self.hashes.of(Path(path)) if Path(path).is_file() else None
            if not path.startswith("results/") and (held is None or held.md5 != digest):
                _lack(found, path)
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
        return known, whole, changed

    def _hold_maker(self, found: Found, path: str, digest: str) -> None:
        """What was read against what dvc.lock says of the stage that made it."""
        if (maker := lock.maker(path, self.made)) is None and not digest.endswith(".dir"):
            found.contradictions.append(f"dvc.lock: {found.entry.name} read {path}, which no stage of it makes")
        elif maker and maker.outs.get(path, digest) != digest:
            found.missing[path] = f"dvc repro {found.entry.name}"
            found.remarks.append(f"{path} is newer than what was made from it; `dvc repro` makes that anew")

    def _hold_run(self, found: Found) -> None:
        """The run against git, and against what nobody here can know."""
        entry = found.entry
        if commit := found.note.get("commit"):
            if commit not in self.history.commits:
                found.remarks.append(f"the commit of its run, {commit[:12]}, is not in this clone")
            if found.note.get("dirty"):
                found.remarks.append("its run had changes that were not committed")
        source = found.note["manifest"]["settings"].get("base") if found.note and entry.name == "base" else None
        if isinstance(source, dict) and str(source.get("source")).endswith(".json"):
            found.remarks.append(f"what {source['source']} was trained on is known to nobody here")

    def _odd_link(self, path: Path) -> str:
        """Where an output lies that is a link or below one; not one of DVC's own, nor `results` on another disk."""
        if not path.exists():
            return ""
        place, target = self._place(path.parent), path.resolve() if path.is_symlink() else path
        if place != self._due(path.parent):
            return str(place / path.name)
        return "" if target == path or target.is_relative_to(self.cache) else str(target)

    def _due(self, folder: Path) -> Path:
        """Where a folder of the project lies if only the project itself, and `results`, are behind links."""
        first, *others = folder.parts or (".",)
        return self._place(Path(first)).joinpath(*others)

    def _remedy(self, path: Path, digest: str) -> str:
        if place_of(self.cache, digest).is_file():
            return f"dvc checkout {path}"
        if str(path) in self._sparse:
            return "git sparse-checkout add results"
        return f"git checkout -- {path}" if str(path) in self._kept else f"dvc pull {path}"

    @cached_property
    def _sparse(self) -> set[str]:
        """The results that a sparse checkout leaves out."""
        told = git("ls-files", "-t", "-z", "--", "results").split("\0")
        return {line[2:] for line in told if line.startswith("S ")}

    @cached_property
    def _kept(self) -> set[str]:
        """The results that git keeps."""
        return set(newest("results"))


def _lack(found: Found, path: str) -> None:
    """What a user brought is another by now, or is not here."""
    if path == str(tombstones.WORLD):
        _withdraw(found, Path(path))
    else:
        found.missing[path] = f"git checkout -- {path}"


def _withdraw(found: Found, path: Path) -> None:
    """Tombstones that are others than when a corpus was made: which of its rows they take out, if they can be read."""
    try:
        listings = [Path(out) for out in found.entry.outs if out.endswith(LIST)]
        found.withdrawn[str(path)] = [row for each in listings for row in withdrawn.pending(path, each)]
    except UserError as error:
        found.missing[str(path)] = f"mend {path}"
        found.remarks.append(str(error))


def _as_committed(path: Path) -> str:
    """What makes a file or a folder of the user's again what git has."""
    new = git("ls-files", "--others", "-z", "--", str(path)).split("\0")[:-1] if path.is_dir() else []
    # what is too many no checkout removes; of a folder that git does not have, nothing is
    if new and git("ls-files", "--", str(path)) and not git("diff", "--name-only", "HEAD", "--", str(path)):
        return f"rm {shlex.join(new)}"
    return f"git checkout -- {path}"


def _carried(path: Path) -> Manifest | None:
    """The manifest inside a file, if it carries one."""
    if path.suffix not in (*CARRIERS, ".json"):
        return None
    try:
        return manifest.read(path)
    except UserError:
        return None


def _chosen(entry: Entry, said: Manifest) -> dict[str, Path]:
    """Where what a user chooses for a stage stands, by role."""
    world, concept, evaluation = (said.settings.get(key) for key in ("world", "concept", "evaluation"))
    places = {
        "pictures": said.settings.get("source") or _of(world, "path"),
        "source": _of(world, "source"),
        "table": _of(concept, "table"),
        "inception": _of(evaluation, "inception"),
    }
    found = {role: Path(place) for role, place in places.items() if isinstance(place, str)}
    if said.stage == "images":
        found["withdrawn"] = tombstones.of_concept(Path(next(iter(entry.outs))).parts[1])
    return found


def _chosen_now(found: Found) -> dict[str, Path] | None:
    """What a user has chosen for a stage, if its run note is here to tell; of what was withdrawn, if anything was."""
    if not found.note:
        return None
    said = Manifest.loads(json.dumps(found.note["manifest"]), found.entry.note)
    chosen = _chosen(found.entry, said)
    return {
        role: place for role, place in chosen.items() if role != "withdrawn" or place.is_file() or role in said.inputs
    }


def _of(settings: Any, key: str) -> Any:
    return settings.get(key) if isinstance(settings, dict) else None


def _published(said: Manifest) -> bool:
    given = said.settings.get("judge")
    return said.stage == "judge" and isinstance(given, dict) and str(given.get("source")).endswith(".json")


def _setting(key: str, settings: Mapping[str, Any]) -> Any:
    """The setting that a key of params.yaml has become; None, if there is none."""
    section, *rest = key.split(".")
    if section in CALLED:
        return settings.get(CALLED[section])
    if section == "concepts" and len(rest) > 1:
        if rest[1] == "images":
            return settings.get("source")
        within = settings.get("concept")
        return (within if isinstance(within, dict) else settings).get(rest[1])
    return settings.get(section)


def _ungiven(entry: Entry, said: Manifest) -> list[str]:
    """The settings that no key of dvc.lock has become, nor the place where the output stands."""
    within = said.settings.get("concept")
    names = (
        {*said.settings, *(f"concept.{name}" for name in within)} - {"concept"}
        if isinstance(within, dict)
        else {*said.settings}
    )
    given = {_given(key) for key in entry.params}
    given |= {f"concept.{name}" for name in given}
    return sorted(names - given - PLACED.get(said.stage, set()))


def _given(key: str) -> str:
    """What a key of params.yaml is called among a stage's settings, the reverse of `_setting`."""
    section, *rest = key.split(".")
    if section == "concepts" and len(rest) > 1:
        return "source" if rest[1] == "images" else rest[1]
    return CALLED.get(section, section)


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
