"""Audits for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unpaint.audit.books import Found
from unpaint.audit.data import Match
from unpaint.audit.verdict import EXIT
from unpaint.errors import some
from unpaint.tombstones import REBUILD

FEW = 3
"""So many paths at most are named in a command."""
SHOWN = 5
WIDTH = 80
MANY = 12
"""So many stages at most are named in a command."""
PULL, CHECKOUT = "dvc pull", "git checkout --"
REMOVE = "rm "
"""Begins what removes files that are too many."""
NEXT = (
    "if anything ran since, `unpaint record`; if another commit was checked out, `unpaint restore`; if neither, the "
    "files or the books were changed by hand"
)


def verdict(found: Sequence[Found]) -> str:
    """The worst verdict of the stages."""
    return next(each for each in EXIT if any(one.verdict == each for one in found))


def as_fields(found: Sequence[Found]) -> dict[str, Any]:
    """For machines."""
    return {
        "verdict": verdict(found),
        "next": [
            *(remedy for remedy, _ in _remedies(found)),
            *([REBUILD] if _withdrawn(found) else []),
            *([NEXT] if _contradicted(found) else []),
        ],
        "stages": [
            {
                "stage": one.entry.name,
                "verdict": one.verdict,
                "depth": one.depth,
                "reads": one.reads,
                "files": one.files,
                "missing": one.missing,
                "withdrawn": one.withdrawn,
                "contradictions": one.contradictions,
                "remarks": one.remarks,
                "settings": one.note.get("manifest", {}).get("settings"),
                "inputs": one.note.get("manifest", {}).get("inputs"),
                "origins": one.origins,
            }
            for one in found
        ],
    }


def as_text(found: Sequence[Found]) -> str:
    """For people: the tree, what contradicts, what is missing and what brings it."""
    lines = _tree(found)
    counted = Counter(one.verdict for one in found)
    told = ", ".join(f"{counted[each]} stages {each}" for each in EXIT if counted[each])
    lines += ["", f"{verdict(found)}: {told}"]
    lines += [f"  contradicted: {text}" for one in found for text in one.contradictions]
    for remedy, paths in _remedies(found):
        if remedy.startswith(REMOVE):
            lines.append(f"  too many: {remedy}")
            continue
        lines.append(f"  missing: {len(paths)} file{'s' if len(paths) > 1 else ''}; {remedy}")
        if not all(path in remedy for path in paths):
            lines.append(f"    {some(paths, SHOWN)}")
    if rows := _withdrawn(found):
        lines.append(f"  withdrawn since: {some(rows, SHOWN)}; {REBUILD}")
    if _contradicted(found):
        lines.append(f"  next: {NEXT}")
    for text, count in Counter(text for one in found for text in one.remarks).items():
        lines.append(f"  note: {text}" + (f" ({count} stages)" if count > 1 else ""))
    return "\n".join(lines)


def _tree(found: Sequence[Found]) -> list[str]:
    """Each stage, and under it those whose outputs it read; what stands above already is named alone."""
    by_name = {one.entry.name: one for one in found}
    within = {name for one in found if one.depth == 0 for name in one.reads}
    roots = [one.entry.name for one in found if one.depth == 0]
    lines, told = [], set()
    # those first that no other of the roots reads, directly or not: the scores, of a model
    for root in sorted(roots, key=lambda name: name in within):
        pending = [] if root in told else [(root, 0)]
        while pending:
            name, depth = pending.pop()
            if name in told:
                lines.append(f"{'  ' * depth}{name} (above)")
                continue
            told.add(name)
            lines += [f"{'  ' * depth}{line}" for line in _told(by_name[name])]
            pending += [(each, depth + 1) for each in reversed(by_name[name].reads) if each in by_name]
    return lines


def _withdrawn(found: Sequence[Found]) -> list[str]:
    """What was withdrawn since: the rows, or the file of tombstones that is another and takes out none of them."""
    held: dict[str, dict[str, None]] = {}
    for one in found:
        for path, rows in one.withdrawn.items():
            held.setdefault(path, {}).update(dict.fromkeys(rows))
    return [row for path, rows in held.items() for row in (rows or [f"otherwise, by {path}"])]


def _contradicted(found: Sequence[Found]) -> bool:
    return any(one.contradictions for one in found)


def _remedies(found: Sequence[Found]) -> list[tuple[str, list[str]]]:
    """What brings what is missing, each with the files that it brings."""
    by_verb: dict[str, dict[str, None]] = {}
    brought: dict[str, dict[str, None]] = {}
    for one in found:
        for path, remedy in one.missing.items():
            verb, _, what = (remedy, "", "") if remedy.startswith(REMOVE) else remedy.rpartition(" ")
            by_verb.setdefault(verb, {})[what] = None
            brought.setdefault(verb, {})[path] = None
    told = []
    for verb, named in by_verb.items():
        paths = list(brought[verb])
        remedy = f"{verb} {' '.join(named)}".rstrip()
        if verb == PULL and len(named) > FEW:
            remedy = f"{PULL} {_pulled(found)}".rstrip()
        elif verb == CHECKOUT and len(named) > FEW:  # what brings all that there is
            remedy = f"{CHECKOUT} results"
        elif verb == "dvc checkout" and len(named) > FEW:
            remedy = verb
        told.append((remedy, paths))
    return sorted(told)


def _pulled(found: Sequence[Found]) -> str:
    """What brings all that is to be pulled, with what it was made from and nothing else; all, of too many stages."""
    by_name = {one.entry.name: one for one in found}
    lacking = {one.entry.name for one in found if any(each.startswith(PULL) for each in one.missing.values())}
    # what an ancestor lacks, one that was made from it brings
    above: set[str] = set()
    pending = list(lacking)
    while pending:
        new = [name for name in by_name[pending.pop()].reads if name in by_name and name not in above]
        above.update(new)
        pending += new
    roots = [one.entry.name for one in found if one.entry.name in lacking - above]
    return f"--with-deps {' '.join(roots)}" if len(roots) <= MANY else ""


def told_of_data(query: str, found: Sequence[Match], *, whole: bool) -> str:
    """For people: each row, the versions that have it, and what it went into; of nothing, whether all was searched."""
    if not found and not whole:
        return f"{query}: nowhere in what this clone has, and not all of its history could be searched"
    if not found:
        return f"{query}: no corpus of this clone has it, in no commit (pictures are found by the bytes of their file)"
    lines = []
    for match in found:
        newest = f", {match.commits[0][:12]} the newest" if match.commits else ""
        past = f"in {len(match.commits)} of the commits{newest}"
        here = "here, and " if match.now else "not here, but "
        split = f", split {match.split}" if match.split else ""
        lines.append(f"{match.corpus}, row {match.row} (pair {match.pair}{split}): {here}{past}")
        for now, title in ((True, "leads to"), (False, "once led to")):
            lines += [f"  {title} {made.path} (md5 {made.md5[:12]})" for made in match.made if made.now is now]
        if match.withdrawn:
            lines.append(f"  {match.withdrawn}")
        if not match.made:
            lines.append("  leads to nothing that dvc.lock names; if it was made since, `unpaint record`")
    return "\n".join(lines)


def _told(one: Found) -> list[str]:
    """A stage with its files; of a file that no book names also what it says of itself."""
    shown = [f"{Path(path).name} {digest[:12]}" for path, digest in one.files.items() if path != one.entry.note]
    lines = [f"{one.entry.name}: {one.verdict}" + (f" ({some(shown, 3)})" if shown else "")]
    if one.origins:
        said = one.note["manifest"]
        lines += [f"  {key}: {_short(value)}" for key, value in said["settings"].items()]
        lines += [f"  {role} {digest[:12]}: {one.origins[role]}" for role, digest in said["inputs"].items()]
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
