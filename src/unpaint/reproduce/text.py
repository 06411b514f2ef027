"""What is told of a reproduction, before and after; for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from unpaint.audit.lock import Entry
from unpaint.errors import some
from unpaint.reproduce import comparison
from unpaint.reproduce.comparison import BITS, Score
from unpaint.reproduce.environment import Environment

if TYPE_CHECKING:
    from unpaint.reproduce import Reproduction


def before(name: str, commit: str, stages: Sequence[Entry], known: Environment, withdrawn: int = 0) -> str:
    """What is about to be made, and what may be expected of it; `withdrawn` is how much was withdrawn since."""
    lines = [f"{name}: {len(stages)} stages to make again, as commit {commit[:12]} has them"]
    if withdrawn:
        lines.append(
            f"note: tombstones that the commit does not have: {withdrawn}; the clone may make what they withdraw, and "
            "holds it until it is deleted"
        )
    lines += _environment(known, commit)
    if known.due:
        lines.append("this is the environment that was recorded: the same bits are due")
    else:
        lines.append(f"{_excuse(known)}: bits may differ, and then scores are compared")
    return "\n".join(lines)


def after(found: Reproduction) -> str:
    """What came of it."""
    other = [path for stage in found.stages for path in stage.differ]
    count = sum(stage.compared for stage in found.stages)
    same = f"{count} files of {len(found.stages)} stages" if not other else f"{len(other)} of {count} files differ"
    lines = [f"{found.verdict}: {found.name} of commit {found.commit[:12]}; {same}"]
    if found.verdict == BITS:
        return "\n".join(lines + _kept(found))
    if stage := comparison.first(found.stages):
        lines.append(f"  first other bits from equal inputs: {stage.name} ({some(stage.differ, 3)})")
    for name, pair in found.scores.items():
        where = "within" if pair.within else "out of"
        lines.append(f"  {name}: {_score(pair.there)} there, {_score(pair.here)} here; {where} the intervals")
    if not found.scores:
        lines.append("  no scores were compared: name it CONCEPT/METHOD/seedN, of a commit that has its metrics.json")
    if found.environment.due:
        lines.append(
            "  the environment is the recorded one by all that run notes tell, so the same bits were due: dvc.lock "
            "names what this commit does not make"
        )
    else:
        lines.append(f"  {_excuse(found.environment)}, so bits may differ")
        lines += [f"  {line}" for line in _environment(found.environment, found.commit)]
    return "\n".join(lines + _kept(found))


def as_fields(found: Reproduction) -> dict[str, Any]:
    """For machines."""
    stage = comparison.first(found.stages)
    return {
        "verdict": found.verdict,
        "name": found.name,
        "commit": found.commit,
        "first": stage and stage.name,
        "stages": [asdict(one) for one in found.stages],
        "scores": {name: {**asdict(pair), "within": pair.within} for name, pair in found.scores.items()},
        "environment": {**asdict(found.environment), "due": found.environment.due},
        "kept": found.kept and str(found.kept),
    }


def _excuse(known: Environment) -> str:
    """Why bits may differ."""
    if known.equal:
        return f"a computation on {known.device} does not promise the same bits"
    return "the environment it was made in is " + ("not known" if known.equal is None else "another")


def _environment(known: Environment, commit: str) -> list[str]:
    """How it was elsewhere than here, and how to have that here."""
    lines = [f"{one.what} {one.there or 'none'} there, {one.here or 'none'} here" for one in known.differences]
    if known.unknown:
        lines.append(
            f"the run notes of {some(known.unknown, 3)} are not here (`dvc pull` brings them); for where those were "
            "made stands what requirements.lock of the commit pins"
        )
    if not known.lock:
        lines.append("requirements.lock of the commit is not the one that was there")
    elif known.differences:
        lines.append(
            f"to have the recorded packages: git show {commit[:12]}:requirements.lock > recorded.lock; then in a new "
            "environment pip install --require-hashes -r recorded.lock; pip install --no-deps -e ."
        )
    return lines


def _score(score: Score | None) -> str:
    return "none" if score is None else "{value:.4f} [{low:.4f}, {high:.4f}]".format(**score)


def _kept(found: Reproduction) -> list[str]:
    return [f"  kept: {found.kept}"] if found.kept else []
