"""What dvc.yaml says that a kind of stage reads, writes and is set by, held against an entry of dvc.lock."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from unpaint.audit.lock import Entry

PATH = Path("dvc.yaml")
VARIABLE = re.compile(r"\$\{[^}]*\}")
WRITTEN = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class Template:
    """The names of a kind of stage; `${...}` in one stands for any text."""

    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    def unlike(self, entry: Entry) -> str:
        """What an entry names and this does not, or the other way about; empty, if nothing is."""
        for what, names, held in (
            ("dependency", self.deps, [*entry.deps, *entry.sources]),
            ("setting", self.params, entry.params),
            ("output", self.outs, entry.outs),
        ):
            if said := _unlike(what, names, held):
                return said
        return ""

    def writes(self, path: str) -> bool:
        """Whether a path is one of its outputs."""
        return any(_pattern(name).fullmatch(path) for name in self.outs)


def kind_of(entry: Entry) -> str:
    """The stage of dvc.yaml that an entry is one of."""
    return entry.name.partition("@")[0]


def templates(content: bytes) -> dict[str, Template]:
    """The stages of a dvc.yaml by name; none of one that cannot be read."""
    try:
        stages = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]  # noqa: S506
        return {name: _template(given.get("do", given)) for name, given in stages.items()}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _template(given: Mapping[str, Any]) -> Template:
    outs = [name for key in WRITTEN for name in _names(given.get(key, []))]
    return Template(tuple(_names(given.get("deps", []))), tuple(_names(given.get("params", []))), tuple(outs))


def _names(given: Iterable[Any]) -> list[str]:
    """Names that stand alone, or with more of what they are called."""
    return [name for each in given for name in ([each] if isinstance(each, str) else each)]


def _unlike(what: str, names: Collection[str], held: Collection[str]) -> str:
    whole = [name for name in names if VARIABLE.sub("", name)]
    patterns = [_pattern(name) for name in whole]
    if lacking := [
        name for name, pattern in zip(whole, patterns, strict=True) if not any(map(pattern.fullmatch, held))
    ]:
        return f"names no {what} {VARIABLE.sub('*', lacking[0])}"
    more = [name for name in held if not any(pattern.fullmatch(name) for pattern in patterns)]
    # one that is a variable and no more stands for one path, which may be among the others
    return f"names a {what} too many, {more[-1]}" if len(more) > len(names) - len(whole) else ""


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, VARIABLE.split(name))))
