"""Tombstones: what was withdrawn, and is in no corpus again. Files of data/withdrawn, which git keeps.

`world.jsonl` has those of the world, `concepts/NAME.jsonl` those of a concept's training pictures: JSON, one a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint.errors import UserError
from unpaint.lineage.manifest import write_text

if TYPE_CHECKING:
    from unpaint.corpus import Row

WORLD = Path("data/withdrawn/world.jsonl")
CONCEPTS = Path("data/withdrawn/concepts")
REBUILD = "make exactly that anew: unpaint warm snakemake --cores all, and then unpaint record"
"""What is to be done once something was withdrawn."""


@dataclass(frozen=True)
class Tombstone:
    """What was withdrawn: a picture, or a prompt.

    Attributes:
        why: the reason, such as the number of a request.
        on: the day, YYYY-MM-DD.
        picture: the sha256 of its PNG, or of the user's file that it came from.
        prompt: the text; all its pictures, if there is no `seed`.
        seed: the image seed of the one picture.
        was: the sha256 of the picture that was withdrawn with that prompt and seed, as it was rendered; for the record.
    """

    why: str
    on: str
    picture: str = ""
    prompt: str = ""
    seed: int | None = None
    was: str = ""

    def __post_init__(self) -> None:
        """Refuse what is none."""
        texts = (self.why, self.on, self.picture, self.prompt, self.was)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.seed, int | None):
            raise TypeError
        if bool(self.picture) == bool(self.prompt) or (self.picture and not re.fullmatch("[0-9a-f]{64}", self.picture)):
            raise ValueError
        date.fromisoformat(self.on)

    @property
    def told(self) -> str:
        """What it is of, in words."""
        if self.picture:
            return f"picture {self.picture}"
        return f"prompt {self.prompt!r}" + ("" if self.seed is None else f", image seed {self.seed}")

    def covers(self, prompt: str, seed: int) -> bool:
        """Whether it is of this prompt, at this image seed."""
        return self.prompt == prompt and self.seed in (None, seed)


def of_concept(name: str) -> Path:
    """Where the tombstones of a concept are, if it has any."""
    return CONCEPTS / f"{name}.jsonl"


def places() -> list[Path]:
    """The files that have tombstones, whether or not params.yaml has their concept."""
    return [path for path in (WORLD, *sorted(CONCEPTS.glob("*.jsonl"))) if read(path)]


def read(path: Path | None) -> list[Tombstone]:
    """The tombstones of a file; none, if there is no file.

    Raises:
        UserError: a line is no tombstone.
    """
    if path is None or not path.is_file():
        return []
    found = []
    # a text within may hold characters that end a line to `str.splitlines`; bytes that are no text make no tombstone
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(Tombstone(**json.loads(line)))
        except (TypeError, ValueError, RecursionError):
            raise UserError(
                f"{path}: line {number}: no tombstone: it has why, on, and either picture (a sha256) or prompt (and a "
                "seed); `unpaint withdraw` writes them"
            ) from None
    return found


def write(path: Path, tombstones: Sequence[Tombstone]) -> None:
    """Write a file of tombstones; without any it is an empty line, as DVC warns of empty files."""
    fields = ({name: value for name, value in asdict(one).items() if value not in ("", None)} for one in tombstones)
    write_text(path, "\n".join(json.dumps(one, ensure_ascii=False) for one in fields) + "\n")


def withdrawn(row: Row, tombstones: Sequence[Tombstone]) -> bool:
    """Whether a row of a corpus was withdrawn: its picture, the user's file that it came from, or its prompt."""
    pictures = {row.sha256, row.attributes.get("file_sha256")}
    return any(one.picture in pictures or one.covers(row.prompt, row.seed) for one in tombstones)


def pairs(prompts: Iterable[Mapping[str, Any]], tombstones: Sequence[Tombstone]) -> set[str]:
    """The pairs of which a prompt was withdrawn; of both sets' prompts, as prompts/train.json lists them."""
    return {row["pair"] for row in prompts if any(one.covers(row["prompt"], row["seed"]) for one in tombstones)}
