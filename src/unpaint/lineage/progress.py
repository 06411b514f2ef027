"""How far a campaign is, and how long the rest will take: Snakemake's plan, priced by the run notes of what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from unpaint.corpus import read_json
from unpaint.lineage.engines import outdated, rules


def line(cores: int) -> str:
    """One line on the whole campaign, for `cores` cores."""
    stale = set(outdated())
    jobs = rules()
    left = [job.name for job in jobs if job.outputs & stale]
    seconds: dict[str, list[float]] = {}
    for job in jobs:
        for note in (Path(name) for name in job.outputs if name.endswith(".run.json") and not job.outputs & stale):
            seconds.setdefault(job.name, []).append(read_json(note)["seconds"])
    return describe(len(jobs), left, seconds, cores, {job.name: job.threads for job in jobs})


def describe(
    jobs: int, left: Sequence[str], seconds: Mapping[str, Sequence[float]], cores: int, threads: Mapping[str, int]
) -> str:
    """The line: of how many jobs which are left (by rule), and what finished ones of each rule took.

    `threads` are those of rules that use more than one. A rule of which no job has ended is priced like its namesake
    for the base model (`samples` like `samples_base`); where there is none, the line says that they are not estimated.
    """
    total, unknown = 0.0, 0
    for name in left:
        known = seconds.get(name) or _namesake(name, seconds)
        if known:
            total += sum(known) / len(known) * min(cores, threads.get(name, 1))
        else:
            unknown += 1
    text = f"{jobs - len(left)} of {jobs} jobs done"
    if not left:
        return text
    if total:
        text += f"; about {_duration(total / cores)} left on {cores} cores"
    if unknown:
        text += f"; {unknown} jobs of rules that have not run yet are not estimated"
    return text


def _namesake(name: str, seconds: Mapping[str, Sequence[float]]) -> list[float]:
    # an oracle is trained by the base model's recipe
    stem = "base" if name == "retrain" else name.partition("_")[0]
    return [one for other, given in seconds.items() if other.partition("_")[0] == stem for one in given]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{max(1, minutes)} min"
