"""Audits for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unpaint.audit.books import Found
from unpaint.audit.data import Match
from unpaint.audit.verdict import EXIT
from unpaint.errors import some

FEW = 3
"""So many paths at most are named in a command."""
REMOVE = "rm "
"""Begins what removes files that are too many."""
NEXT = (
    "next: if anything ran since, `unpaint record`; if another commit was checked out, `unpaint restore`; if neither, "
    "the files or the books were changed by hand"
)


def verdict(found: Sequence[Found]) -> str:
    """The worst verdict of the stages."""
    return next(each for each in EXIT if any(one.verdict == each for one in found))


def as_fields(found: Sequence[Found]) -> dict[str, Any]:
    """For machines."""
    return {
        "verdict": verdict(found),
        "stages": [
            {
                "stage": one.entry.name,
                "verdict": one.verdict,
                "files": one.files,
                "missing": one.missing,
                "contradictions": one.contradictions,
                "remarks": one.remarks,
                "settings": one.note.get("manifest", {}).get("settings"),
                "inputs": one.note.get("manifest", {}).get("inputs"),
            }
            for one in found
        ],
    }


def as_text(found: Sequence[Found]) -> str:
    """For people: the tree, what contradicts, what is missing and what brings it."""
    lines = [f"{'  ' * one.depth}{one.entry.name}: {_told(one)}" for one in found]
    counted = Counter(one.verdict for one in found)
    told = ", ".join(f"{counted[each]} stages {each}" for each in EXIT if counted[each])
    lines += ["", f"{verdict(found)}: {told}"]
    lines += [f"  contradicted: {text}" for one in found for text in one.contradictions]
    remedies = [remedy for one in found for remedy in one.missing.values()]
    lines += [f"  too many: {remedy}" for remedy in dict.fromkeys(remedies) if remedy.startswith(REMOVE)]
    bring = [remedy for remedy in remedies if not remedy.startswith(REMOVE)]
    for verb in sorted({remedy.rpartition(" ")[0] for remedy in bring}):
        paths = [remedy.rpartition(" ")[2] for remedy in bring if remedy.rpartition(" ")[0] == verb]
        # of many, what brings all that there is
        shown = " ".join(paths) if len(paths) <= FEW else {"git checkout --": "results"}.get(verb, "")
        lines.append(f"  missing: {len(paths)} files; {verb} {shown}".rstrip())
    if any(one.contradictions for one in found):
        lines.append(f"  {NEXT}")
    for text, count in Counter(text for one in found for text in one.remarks).items():
        lines.append(f"  note: {text}" + (f" ({count} stages)" if count > 1 else ""))
    return "\n".join(lines)


def told_of_data(query: str, found: Sequence[Match]) -> str:
    """For people: each row, the versions that have it, and what it went into."""
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
        if not match.made:
            lines.append("  leads to nothing that dvc.lock names; if it was made since, `unpaint record`")
    return "\n".join(lines)


def _told(one: Found) -> str:
    shown = [f"{Path(path).name} {digest[:12]}" for path, digest in one.files.items() if path != one.entry.note]
    return f"{one.verdict}" + (f" ({some(shown, 3)})" if shown else "")
