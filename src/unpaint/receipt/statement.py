"""What a receipt states of one unlearning: an in-toto Statement, by the books that an audit has held together.

It names data by hashes and counts, and holds none of it. Times are those of the run note, so that the same books give
the same statement.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from unpaint import tombstones
from unpaint.audit import lock
from unpaint.audit.books import Books, Found
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry
from unpaint.audit.model import MODEL, audit
from unpaint.audit.text import verdict
from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.lineage.git import git
from unpaint.lineage.manifest import KEY
from unpaint.lineage.note import CODE, ENVIRONMENT
from unpaint.lineage.rows import LIST, read_listed
from unpaint.receipt.tree import root

NAME = "receipt.json"
KIND = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:unpaint:unlearning:v1"
"""What the statement is of: a name, which leads nowhere. The fields are described in docs/receipt.md."""
CONFIDENCE = 0.95
"""Of the intervals in metrics.json."""
ORIGINS = {"render": "painted by the base model", "world": "pictures of the world"}
"""Where a set's pictures come from, by the setting `images`; a folder is the user's own."""


def state(name: str) -> dict[str, Any]:
    """The statement of a model of this project, every file of which is read for it.

    Args:
        name: CONCEPT/METHOD/seedN, or its file.

    Raises:
        UserError: an audit of it does not end in "verified"; it is no unlearned model, or has no scores; dvc.lock is
            not committed as it is, or no commit has the code, data and settings that it names; this clone is shallow.
    """
    # an index of audits may have been handed over with the project, and say what it likes
    with closing(sqlite3.connect(":memory:")) as database:
        return _state(_short(name), database)


def _state(short: str, database: sqlite3.Connection) -> dict[str, Any]:
    found = audit(short, database)
    if verdict(found) != "verified":
        raise UserError(f"{short}: {_first(found)}; a receipt is of what is verified: unpaint audit model {short}")
    made = {path: one for one in found for path in one.entry.outs}
    model, metrics = f"results/{short}{MODEL}", f"results/{short}/metrics.json"
    if model not in made or _stage(made[model]) != "unlearn":
        raise UserError(f"{short}: not an unlearned model; name one as CONCEPT/METHOD/seedN")
    if metrics not in made:
        raise UserError(f"{short}: it has no scores in dvc.lock; make and record {metrics}")
    entries = {path: one.entry for path, one in made.items()}
    above = lock.ancestry([made[model].entry], entries)
    data = [one for one in found if one.entry.name in above and one is not made[model]]
    scoring = [one for one in found if one.entry.name not in above]
    hashes, known = Hashes(database), {digest for one in found for digest in one.files.values()}
    return {
        "_type": KIND,
        "subject": [{"name": model, "digest": {"sha256": made[model].files[model]}}],
        "predicateType": PREDICATE,
        "predicate": {
            "asked": _asked(short, made[model], data),
            "data": _data(data, _files(data, known, hashes)),
            "scores": _scores(made, metrics, scoring) | {"files": _files(scoring, known, hashes)},
            "run": {**_of(made[model], CODE), **_times(made[model]), "environment": _of(made[model], ENVIRONMENT)},
            "unknown": _unknown(found),
            "reproduce": {"commit": _commit(short, found, database), "command": f"unpaint reproduce {short}"},
        },
    }


def subject_of(statement: Any) -> tuple[str, str]:
    """The model's path and sha256 that a statement is about.

    Raises:
        UserError: it is none of ours, or its root is not that of its files.
    """
    try:
        if (statement["_type"], statement["predicateType"]) != (KIND, PREDICATE):
            raise KeyError
        (subject,) = statement["subject"]
        held = statement["predicate"]["data"]
        if root(held["files"]) != held["root"]:
            raise ValueError
        return str(subject["name"]), str(subject["digest"]["sha256"])
    except (KeyError, TypeError, ValueError):
        raise UserError("not a statement of an unlearning") from None


def read(folder: Path) -> dict[str, Any]:
    """The statement of a receipt's folder.

    Raises:
        UserError: there is none.
    """
    statement: dict[str, Any] = read_json(folder / NAME)
    try:
        subject_of(statement)
    except UserError as error:
        raise UserError(f"{folder / NAME}: {error}; `unpaint receipt` writes one") from None
    return statement


def _short(name: str) -> str:
    """CONCEPT/METHOD/seedN of whatever names a model."""
    return lock.path_of(name).removeprefix("results/").removesuffix(MODEL)


def _first(found: Sequence[Found]) -> str:
    """The first finding of an audit that did not end well."""
    told = [f"contradicted: {text}" for one in found for text in one.contradictions]
    told += [f"missing: {path} ({remedy})" for one in found for path, remedy in one.missing.items()]
    told += [f"withdrawn since: {some(rows, 3)} ({path})" for one in found for path, rows in one.withdrawn.items()]
    return told[0]


def _asked(short: str, unlearned: Found, data: Sequence[Found]) -> dict[str, Any]:
    """The concept, what it was led to, the method with all its settings, the seed."""
    concept, method, _ = short.split("/")
    settings = dict(_settings(unlearned))
    chosen = settings.pop("method")
    (prompts,) = _made_by(data, "prompts")
    return {
        "concept": concept,
        "forget": _settings(prompts)["concept"]["forget"],
        **_led(chosen, data),
        "method": {"name": method, "settings": chosen},
        **settings,
    }


def _led(method: Mapping[str, Any], data: Sequence[Found]) -> dict[str, Any]:
    """What forget prompts were led to: an anchor that the user named, or for each value what was ranked first."""
    (anchors,) = _made_by(data, "anchors")
    anchor = _settings(anchors)["anchor"] if method["truncation"]["mode"] == "anchor" else None
    found = [one.note["found"].get("anchors", {}) for one in data] if anchor == "nearest" else []
    return {
        "anchor": anchor,
        "led_to": {value: next(iter(far)) for ranked in found for value, far in ranked.items() if far},
    }


def _data(data: Sequence[Found], files: Mapping[str, str]) -> dict[str, Any]:
    """What the model was made from: the hash tree's root and files, and how much of it there is."""
    (base,) = _made_by(data, "base")
    return {
        "root": root(files),
        "sets": [_set(one, files) for one in _made_by(data, "images")],
        "prompts": [_prompts(*out) for one in _made_by(data, "prompts") for out in _outs(one, ".json")],
        "world": [_world(one, files) for one in _made_by(data, "world")],
        "base": _base(base),
        "files": files,
    }


def _set(images: Found, files: Mapping[str, str]) -> dict[str, Any]:
    """A set of pictures that the model was to forget or to keep."""
    ((path, digest),) = _outs(images, ".parquet")
    settings = _settings(images)
    origin = ORIGINS.get(settings["source"], "the user's own pictures")
    held = {"set": settings["set"], "path": path, "sha256": digest, "pictures": len(_rows(images)), "origin": origin}
    return held | {"withdrawn": _withdrawn(images, files), "own": _own(images, settings["source"])}


def _world(world: Found, files: Mapping[str, str]) -> dict[str, Any]:
    """The world, by split."""
    ((path, digest),) = _outs(world, ".parquet")
    settings = _settings(world)["world"]
    rows = _rows(world)
    held = {"kind": settings["kind"], "path": path, "sha256": digest, "pictures": len(rows)}
    splits = dict(sorted(Counter(row["split"] for row in rows).items()))
    more = {"splits": splits, "withdrawn": _withdrawn(world, files), "own": _own(world, settings.get("path"))}
    return held | more


def _withdrawn(made: Found, files: Mapping[str, str]) -> int:
    """How many tombstones it was made under."""
    paths = {digest: Path(path) for path, digest in files.items()}
    digest = _inputs(made).get("withdrawn")
    return len(tombstones.read(paths[digest])) if digest else 0


def _own(made: Found, folder: str | None) -> dict[str, Any] | None:
    """A user's own pictures that went into a corpus: how many files, and the one hash of all of them."""
    digest = _inputs(made).get("pictures")
    if digest is None:
        return None
    return {"folder": folder, "files": len({row["file_sha256"] for row in _rows(made)}), "sha256": digest}


def _prompts(path: str, digest: str) -> dict[str, Any]:
    held = read_json(Path(path))
    counts = {name: len(held.get(name, [])) for name in ("forget", "retain", "table")}
    return {"split": held["split"], "path": path, "sha256": digest, **counts}


def _base(base: Found) -> dict[str, Any]:
    """The base model, and where it is from."""
    path = next(path for path in base.files if path.endswith("/base.json"))
    held = read_json(Path(path))
    place = {key: held.get(key) for key in ("repository", "revision", "folder")}
    return {
        "path": path,
        "sha256": base.files[path],
        "files": len(held["files"]),
        "origin": "from elsewhere" if any(place.values()) else "trained here on the world",
        **place,
    }


def _scores(made: Mapping[str, Found], metrics: str, scoring: Sequence[Found]) -> dict[str, Any]:
    """metrics.json of the model and of the base model, the judge and its own accuracy."""
    held = read_json(Path(metrics))
    before = [path for path in made if path.endswith("/base/metrics.json")]
    (judge,) = _made_by(scoring, "judge")
    path = next(path for path in judge.files if path.endswith("/judge.json"))
    said = read_json(Path(path))
    (pool,) = (one for one in _made_by(scoring, "samples") if "model" in _inputs(one))
    return {
        "confidence": CONFIDENCE,
        "model": _values(held),
        "base": _values(read_json(Path(before[0]))),
        "detected": held.get("detected"),
        "pictures": len(_rows(pool)),
        "judge": {
            "path": path,
            "sha256": judge.files[path],
            "repository": said["repository"],
            "origin": "trained here on the world" if _settings(judge)["judge"].get("steps") else "from elsewhere",
            "accuracy": said["accuracy"],
            "held_out": said["n"],
        },
    }


def _values(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: score for name, score in metrics.items() if name not in (KEY, "judge", "detected")}


def _unknown(found: Sequence[Found]) -> list[str]:
    """What the books do not tell."""
    told = {text for one in found for text in one.remarks}
    for one in _made_by(found, "judge"):
        source = str(_settings(one)["judge"]["source"])
        if source.endswith(".json"):
            told.add(f"what {source} was trained on is known to nobody here")
    return sorted(told)


def _commit(short: str, found: Sequence[Found], database: sqlite3.Connection) -> str:
    """The commit that `unpaint reproduce` would take, if its dvc.lock says what the audit has held together."""
    # it imports DVC
    from unpaint.reproduce.agreement import agreeing

    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise UserError("this clone is shallow, and a receipt is of the whole history: git fetch --unshallow")
    entries = {one.entry.name: one.entry for one in found}
    committed = Books(entries, database).history.committed
    for name, entry in entries.items():
        if committed.get(name) != entry:
            raise UserError(
                f"dvc.lock: what it says of {name} is not committed; a receipt names the commit whose dvc.lock has the "
                "model: git add dvc.lock results, and commit"
            )
    with agreeing(short, database, last=False) as agreed:
        target = agreed.target
    own, there = {entry.name for entry in target.own}, {entry.name: entry for entry in target.stages}
    for name, entry in entries.items():
        before = there.get(name)
        if before is None or _told(before, own) != _told(entry, own):
            raise UserError(
                f"{short}: commit {target.commit[:12]}, the first that has what its dvc.lock says the model was made "
                f"with, says otherwise of {name} than dvc.lock here; check that commit out for its receipt, or make "
                "the model with what is committed (dvc repro), and commit"
            )
    return target.commit


def _told(entry: Entry, own: Collection[str]) -> Entry:
    """What a receipt states of a stage: of a model's `own` all; of those before not the run that made these bits."""
    if entry.name in own:
        return entry
    return replace(entry, code="", outs={path: digest for path, digest in entry.outs.items() if path != entry.note})


def _files(stages: Sequence[Found], known: Collection[str], hashes: Hashes) -> dict[str, str]:
    """sha256 by path of all that stages wrote, but for their run notes, and of the pins and tables that they read.

    Args:
        known: what any stage wrote.
    """
    files = {path: digest for one in stages for path, digest in one.files.items() if path != one.entry.note}
    for one in stages:
        # a user's own pictures are in the lists of rows, file by file
        brought = {digest for role, digest in _inputs(one).items() if role != "pictures"}.difference(known)
        for path in _brought(one) if brought else ():
            if (digest := hashes.of(path).sha256) in brought:
                files[path.as_posix()] = digest
    return dict(sorted(files.items()))


def _brought(one: Found) -> Iterator[Path]:
    """The files outside results/ that a stage read by name: dvc.lock's; of a folder there, its settings'."""
    named = {Path(text) for text in _texts(_settings(one))}
    if _stage(one) == "images":
        named.add(tombstones.of_concept(Path(next(iter(one.entry.outs))).parts[1]))
    for place in (Path(path) for path in one.entry.deps if not path.startswith("results/")):
        found = (path for path in named if path.is_relative_to(place)) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file())


def _texts(value: Any) -> Iterator[str]:
    """Every text in settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | Sequence):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _made_by(found: Sequence[Found], stage: str) -> list[Found]:
    return [one for one in found if _stage(one) == stage]


def _stage(found: Found) -> str:
    return str(found.note["manifest"]["stage"])


def _settings(found: Found) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = found.note["manifest"]["settings"]
    return settings


def _inputs(found: Found) -> Mapping[str, str]:
    inputs: Mapping[str, str] = found.note["manifest"]["inputs"]
    return inputs


def _outs(found: Found, suffix: str) -> list[tuple[str, str]]:
    """The files that a stage wrote of a kind, but for its run note."""
    return [(path, held) for path, held in found.files.items() if path.endswith(suffix) and path != found.entry.note]


def _rows(found: Found) -> list[dict[str, str]]:
    """The list of rows that a stage wrote."""
    ((path, _),) = _outs(found, LIST)
    return read_listed(Path(path))


def _of(found: Found, keys: Sequence[str]) -> dict[str, Any]:
    return {key: found.note.get(key) for key in keys}


def _times(found: Found) -> dict[str, Any]:
    """When the run ended, and how long it took."""
    return {"finished": str(found.note["finished"]).replace("+00:00", "Z"), "seconds": found.note["seconds"]}
