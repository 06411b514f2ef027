"""Which files a receipt counts as data, and what its folder may hold."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from unpaint.audit.books import Found
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.receipt import signature
from unpaint.receipt.statement import _files

STONES, TABLE = Path("data/withdrawn/concepts/seven.jsonl"), Path("data/tables/mine.csv")


def found(stage: str, settings: dict[str, Any], inputs: dict[str, str], folder: Path) -> Found:
    """A stage that chose a file of a folder."""
    made = Entry(stage, {str(folder): "0.dir"}, "", {f"results/seven/{stage}/forget.parquet": "0"}, {})
    return Found(made, note={"manifest": {"stage": stage, "settings": settings, "inputs": inputs}})


def test_of_a_folder_of_choices_only_the_file_that_was_chosen_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (STONES, TABLE):
        path.parent.mkdir(parents=True)
        path.write_text(str(path))
        path.with_name("A copy").write_text(str(path))
    images = found("images", {"set": "forget"}, {"withdrawn": sha256(STONES)}, STONES.parent)
    prompts = found("prompts", {"concept": {"table": str(TABLE)}}, {"table": sha256(TABLE)}, TABLE.parent)
    files = _files([images, prompts], set(), Hashes(sqlite3.connect(":memory:")))
    assert files == {str(path): sha256(path) for path in (STONES, TABLE)}
    # a choice that was not read counts as little
    prompts.note["manifest"]["inputs"].clear()
    assert list(_files([images, prompts], set(), Hashes(sqlite3.connect(":memory:")))) == [str(STONES)]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_of_another_kind_is_refused_with_the_command_that_makes_one(kind: str, tmp_path: Path) -> None:
    made = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(made.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(made.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    due = r"it is of another kind, and one of an elliptic curve \(P-256\) is due; .*"
    with pytest.raises(UserError, match=due + "openssl ecparam -name prime256v1 -genkey"):
        signature.signer(private)
    with pytest.raises(UserError, match=due + "openssl ec -in PRIVATE.pem -pubout"):
        signature.verifier(public)
