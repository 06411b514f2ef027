"""Lineage, followed: from a model's scores back to the world, each step found by the sha256 that its input names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

LINE = {role: place for place, role in enumerate(("pool", "model", "forget", "retain", "corpus"))}
"""The roles that lead from scores to data: what a reader follows first."""


@dataclass
class Node:
    """A run and the artefacts of it that the run above reads.

    Attributes:
        artefacts: (role, sha256) pairs.
        run: the note, or None where no run of the campaign wrote the artefact.
        again: the run stands further up, with its own inputs.
        brought: whether these are a user's own (pictures, a table, a pin, what was withdrawn), which no run writes.
    """

    artefacts: list[tuple[str, str]]
    run: dict[str, Any] | None
    again: bool = False
    brought: bool = False
    inputs: list[Node] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The stage and the file it is known by."""
        if self.run is None:
            return ", ".join(role for role, _ in self.artefacts)
        return str(self.run["manifest"]["stage"])

    @property
    def settings(self) -> str:
        """The run's settings, for people."""
        return json.dumps(self.run["manifest"]["settings"], indent=2, ensure_ascii=False) if self.run else ""

    def unknown(self) -> int:
        """How many artefacts below have no run in the campaign, and should have one."""
        missing = len(self.artefacts) if self.run is None and not self.brought else 0
        return missing + sum(node.unknown() for node in self.inputs)


def trace(model: dict[str, Any], runs: Iterable[dict[str, Any]]) -> Node | None:
    """The tree below a model's scores; `model` is its summary, `runs` every run of its concept."""
    makers = {sha: run for run in runs for sha in run["outputs"].values()}
    last = next((run for run in model["runs"] if run["manifest"]["stage"] == "evaluate"), None)
    if last is None:
        return None
    written = list(last["outputs"].items())
    return _follow(written, makers.get(written[0][1], last), makers, set())


def _follow(
    artefacts: list[tuple[str, str]],
    run: dict[str, Any] | None,
    makers: dict[str, dict[str, Any]],
    seen: set[int],
    brought: frozenset[str] = frozenset(),
) -> Node:
    node = Node(artefacts, run, id(run) in seen, run is None and {role for role, _ in artefacts} <= brought)
    if run is None or node.again:
        return node
    seen.add(id(run))
    given = sorted(run["manifest"]["inputs"].items(), key=lambda pair: (LINE.get(pair[0], len(LINE)), pair[0]))
    grouped: dict[int | str, list[tuple[str, str]]] = {}
    for role, sha in given:
        grouped.setdefault(id(makers[sha]) if sha in makers else sha, []).append((role, sha))
    own = _brought(run["manifest"]["settings"])
    node.inputs = [_follow(group, makers.get(group[0][1]), makers, seen, own) for group in grouped.values()]
    return node


def _brought(settings: dict[str, Any]) -> frozenset[str]:
    """The roles of a run that a user may bring: `source` only where it is a pin, not the world."""
    named = (settings.get(section) for section in ("base", "judge", "model", "world"))
    pinned = any(isinstance(given, dict) and str(given.get("source")).endswith(".json") for given in named)
    return frozenset({"pictures", "table", "inception", "withdrawn", *(["source"] if pinned else [])})
