"""The receipt: the signed statement of one unlearning, a small folder.

receipt.json is an in-toto Statement about the model, receipt.html the same for people, receipt.sig a signature over
both. The statement names the model by its sha256, so the three and the model hang together.
"""

from __future__ import annotations

from pathlib import Path

from unpaint.lineage.whole import refuse_existing, whole
from unpaint.receipt import signature
from unpaint.receipt.folder import fill
from unpaint.receipt.statement import state


def write(name: str, folder: Path, key: Path | None) -> None:
    """Write the receipt of a model; signed, if there is a private key. The same books give the same bytes.

    Args:
        name: CONCEPT/METHOD/seedN.

    Raises:
        UserError: the folder exists, the key is none, an audit of the model does not end in "verified", or no commit
            has what it was made with.
    """
    refuse_existing(folder)
    signer = signature.signer(key) if key else None
    statement = state(name)
    # a signature names the folder that it is over
    with whole(folder) as made:
        fill(made, statement)
        if signer:
            signature.sign(made, signer)
