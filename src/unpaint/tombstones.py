"""Tombstones: what was withdrawn, and is in no corpus again. Files of data/withdrawn, which git keeps.

`world.json` has those of the world, `concepts/NAME.json` those of a concept's training pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unpaint.errors import UserError
from unpaint.lineage.manifest import write_text

if TYPE_CHECKING:
    from unpaint.corpus import Row

WORLD = Path("data/withdrawn/world.json")
CONCEPTS = Path("data/withdrawn/concepts")


@dataclass(frozen=True)
class Tombstone:
    """What was withdrawn: a picture, or a prompt.

    Attributes:
        why: the reason, such as the number of a request.
        on: the day, YYYY-MM-DD.
        picture: the sha256 of its PNG, or of the user's file that it came from.
        prompt: the text; all its pictures, if there is no `seed`.
        seed: the image seed of the one picture.
    """

    why: str
    on: str
    picture: str = ""
    prompt: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is none."""
        texts = (self.why, self.on, self.picture, self.prompt)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.seed, int | None):
            raise TypeError
        if bool(self.picture) == bool(self.prompt) or (self.picture and not re.fullmatch("[0-9a-f]{64}", self.picture)):
            raise ValueError

    def covers(self, prompt: str, seed: int) -> bool:
        """Whether it is of this prompt, at this image seed."""
        return self.prompt == prompt and self.seed in (None, seed)


def of_concept(name: str) -> Path:
    """Where the tombstones of a concept are, if it has any."""
    return CONCEPTS / f"{name}.json"


def read(path: Path | None) -> list[Tombstone]:
    """The tombstones of a file; none, if there is no file.

    Raises:
        UserError: it cannot be read, or a row is no tombstone.
    """
    if path is None or not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError
    except (ValueError, TypeError):
        raise UserError(f"{path}: no list of tombstones in JSON; restore it from git") from None
    found = []
    for number, fields in enumerate(rows, 1):
        try:
            found.append(Tombstone(**fields))
        except (TypeError, ValueError):
            raise UserError(
                f"{path}: row {number}: no tombstone: it has why, on, and either picture (a sha256) or prompt (and a "
                "seed); `unpaint withdraw` writes them"
            ) from None
    return found


def write(path: Path, tombstones: Sequence[Tombstone]) -> None:
    """Write a file of tombstones, one a line."""
    fields = [{name: value for name, value in asdict(one).items() if value not in ("", None)} for one in tombstones]
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in fields)
    write_text(path, f"[\n{lines}\n]\n" if lines else "[]\n")


def withdrawn(row: Row, tombstones: Sequence[Tombstone]) -> bool:
    """Whether a row of a corpus was withdrawn: its picture, the user's file that it came from, or its prompt."""
    pictures = {row.sha256, row.attributes.get("file_sha256")}
    return any(one.picture in pictures or one.covers(row.prompt, row.seed) for one in tombstones)
