"""Holding a receipt against its signature, and a model against the receipt. No project is needed, and no GPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from unpaint.audit.verdict import verdict_of
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.receipt import signature, statement
from unpaint.receipt.folder import odd


@dataclass
class Verified:
    """What was found of a receipt.

    Attributes:
        model: the path that it names, if the signature holds.
        sha256: of that model, as it says.
        finished: when the model was made, as it says: a receipt of equal books is the same, and has no time of its own.
    """

    contradictions: list[str]
    missing: list[str] = field(default_factory=list)
    model: str = ""
    sha256: str = ""
    finished: str = ""

    @property
    def verdict(self) -> str:
        """contradicted, missing or verified, as of an audit."""
        return verdict_of(self.contradictions, self.missing)

    @property
    def of(self) -> str:
        """What it is of, in words; nothing, if the signature does not hold."""
        return f"; the receipt is of {self.model}, sha256 {self.sha256}, made {self.finished}" if self.model else ""


def verify(folder: Path, key: Path, model: Path | None) -> Verified:
    """Verify a receipt by a public key.

    Args:
        model: the model's file; where the receipt says that it is, from here, if there is none.

    Raises:
        UserError: there is no signed receipt, or the key is none.
    """
    verifier = signature.verifier(key)
    folder = folder.resolve()
    if strange := odd(folder):
        return Verified(strange)
    for name in (statement.NAME, signature.NAME):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: not here, so this is no signed receipt; ask its owner for one")
    found = Verified(signature.contradictions(folder, verifier))
    try:
        said = statement.read(folder)
        name, digest = statement.subject_of(said)
    except UserError as error:
        found.contradictions.append(str(error))
        return found
    if not found.contradictions:
        run = said["predicate"].get("run")
        found.model, found.sha256 = name, digest
        found.finished = str(run.get("finished") if isinstance(run, dict) else None)
    path = model or Path(name)
    if not path.is_file():
        found.missing.append(f"{path}: the model is not here; bring it, or say where it is: --model FILE")
    elif sha256(path) != digest:
        found.contradictions.append(f"{path}: not the model that the receipt is of (sha256)")
    return found
