"""Where the stages ran by their run notes, against this machine: equal ones should give equal bits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint.audit.copies import run_note
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry
from unpaint.lineage.note import RAN_ON, environment
from unpaint.lineage.stage import find_device

FACTS = tuple(fact for fact in RAN_ON if fact != "packages")


@dataclass(frozen=True)
class Difference:
    """A fact that was another where a model was made; None: there was no such thing, or it is not known."""

    what: str
    there: str | None
    here: str | None


@dataclass(frozen=True)
class Environment:
    """What is known of where a model was made.

    Attributes:
        differences: from here.
        unknown: the stages whose run notes are not here.
        lock: whether requirements.lock of the commit is the one that was there.
        device: what is computed on here.
    """

    differences: list[Difference]
    unknown: list[str]
    lock: bool
    device: str

    @property
    def equal(self) -> bool | None:
        """Whether it was as here by all that a run note tells; None, where some are not here."""
        return False if self.differences else None if self.unknown else True

    @property
    def due(self) -> bool:
        """Whether the same bits must come out; a GPU does not promise that."""
        return self.equal is True and self.device == "cpu"


def compare(stages: Sequence[Entry], folder: Path, cache: Path, hashes: Hashes) -> Environment:
    """Hold the run notes of stages against this machine; without any, what the commit's requirements.lock pins.

    Args:
        folder: the commit's files.
        cache: DVC's.

    Raises:
        UserError: the device that the stages ask for is not here.
    """
    requirements = folder / "requirements.lock"
    text = requirements.read_bytes() if requirements.is_file() else b""
    # the settings agree with the commit's params.yaml, so there is one wish at most
    wishes = [str(entry.params["device"]) for entry in stages if computes(entry)]
    device = find_device(wishes[0]) if wishes else "cpu"
    here = {name: environment(name) for name in {"cpu", device}}
    found: dict[Difference, None] = {}
    unknown, lock = [], True
    for entry in stages:
        if not (note := run_note(entry, hashes, cache)):
            unknown.append(entry.name)
            continue
        found |= dict.fromkeys(_facts(note, here[device if computes(entry) else "cpu"]))
        found |= dict.fromkeys(_versions(note["packages"], here["cpu"]["packages"]))
        lock = lock and note.get("lock") == hashlib.sha256(text).hexdigest()
    if unknown and not found:
        found |= dict.fromkeys(_versions(_pinned(text.decode()), here["cpu"]["packages"]))
    return Environment(list(found), unknown, lock, device)


def computes(entry: Entry) -> bool:
    """Whether a stage computes on a device, with the libraries that this takes."""
    return "device" in entry.params


def _facts(note: Mapping[str, Any], here: Mapping[str, Any]) -> list[Difference]:
    """What a run note tells otherwise, or does not tell."""
    pairs = {fact: (note.get(fact, "not recorded"), here[fact]) for fact in FACTS}
    return [Difference(fact, *pair) for fact, pair in pairs.items() if pair[0] != pair[1]]


def _versions(there: Mapping[str, str | None], here: Mapping[str, str | None]) -> list[Difference]:
    """The packages of other versions, of those that a stage of today tells of."""
    return [
        Difference(name, version, here[name])
        for name, version in there.items()
        if name in here and version != here[name]
    ]


def _pinned(text: str) -> dict[str, str]:
    """The versions that a requirements.lock pins, by the names that run notes use."""
    pins = {_canonical(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)}
    known = environment("cpu")["packages"]
    return {name: pins[_canonical(name)] for name in known if _canonical(name) in pins}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
