"""Signing a receipt's folder with a key of an elliptic curve, by the package model-signing; and verifying it.

The signature is a bundle of Sigstore's around an in-toto statement, which lists the sha256 of every file beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256

if TYPE_CHECKING:
    from model_signing.hashing import Config as Hashing
    from model_signing.signing import Config as Signer
    from model_signing.verifying import Config as Verifier

NAME = "receipt.sig"
INSTALL = "signatures need a package more: pip install '.[receipt]'"


def signer(key: Path) -> Signer:
    """What signs with a private key in PEM: P-256, P-384 or P-521, without a password.

    Raises:
        UserError: it is none, or the package is not installed.
    """
    remedy = "to make one, as a new file: openssl ecparam -name prime256v1 -genkey -noout -out NEW.pem"
    with _refusing(f"{key}: not a private key to sign with", remedy):
        from model_signing.signing import Config

        return Config().use_elliptic_key_signer(private_key=key).set_hashing_config(_hashing())


def sign(folder: Path, signer: Signer) -> None:
    """Write the signature over all other files of a folder into it."""
    signer.sign(folder, folder / NAME)


def verifier(key: Path) -> Verifier:
    """What holds a signature against a public key in PEM.

    Raises:
        UserError: it is none, or the package is not installed.
    """
    remedy = "from a private one: openssl ec -in PRIVATE.pem -pubout -out NEW.pem"
    with _refusing(f"{key}: not a public key", remedy):
        from model_signing.verifying import Config

        return Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(_hashing())


def contradictions(folder: Path, verifier: Verifier) -> list[str]:
    """Which files of a folder its signature does not cover as they are; none, if all is well."""
    path = folder / NAME
    try:
        _refuse_loose(path)
        verifier.verify(folder, path)
    # the package raises whatever parsing, keys and hashes raise, and its own errors have no common class
    except Exception as error:
        if str(error).startswith("Signature mismatch"):
            return _changed(folder, path) or [f"{path}: {error}"]
        return [f"{path}: not a signature by the owner of this key, or changed since"]
    return []


def unlike(folder: Path) -> list[str]:
    """Which files of a folder are not those that its signature lists, whoever made it; none without a signature."""
    path = folder / NAME
    try:
        return _changed(folder, path) if path.is_file() else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return [f"{path}: not a signature of a receipt"]


@contextmanager
def _refusing(what: str, remedy: str) -> Iterator[None]:
    """Say in words that the package is not installed, or that it takes no such key."""
    try:
        yield
    except ImportError:
        raise UserError(INSTALL) from None
    except AttributeError:  # of a key of another kind the package asks for the curve
        raise UserError(
            f"{what}: it is of another kind, and one of an elliptic curve (P-256) is due; {remedy}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{what} ({error}); {remedy}") from None


def _hashing() -> Hashing:
    from model_signing.hashing import Config

    # nothing in the folder goes unseen but the signature itself
    return Config().set_ignored_paths(paths=[NAME], ignore_git_paths=False)


def _refuse_loose(path: Path) -> None:
    """Refuse a signature that is read as another text would be: then no byte of it could be changed unseen."""
    from sigstore_models.bundle.v1 import Bundle

    text = path.read_text(encoding="utf-8")
    if Bundle.from_dict(json.loads(text)).to_json() != text:
        raise ValueError("not as it was written")


def _changed(folder: Path, path: Path) -> list[str]:
    """The files that differ from a signature that holds."""
    bundle: Any = json.loads(path.read_text(encoding="utf-8"))
    said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    signed = {one["name"]: one["digest"] for one in said["predicate"]["resources"]}
    there = {one.relative_to(folder).as_posix(): one for one in sorted(folder.rglob("*")) if one.is_file()}
    found = [f"{folder / name}: signed, and not here" for name in signed if name not in there]
    for name, file in there.items():
        if name not in signed and name != NAME:
            found.append(f"{file}: not among what was signed")
        elif name != NAME and sha256(file) != signed[name]:
            found.append(f"{file}: its content is not what was signed")
    return found
