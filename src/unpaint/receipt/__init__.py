"""The receipt: the signed statement of one unlearning, a small folder.

receipt.json is an in-toto Statement about the model, receipt.html the same for people, receipt.sig a signature over
both. The statement names the model by its sha256, so the three and the model hang together.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from unpaint.lineage.manifest import write_json, write_text
from unpaint.lineage.whole import refuse_existing, whole
from unpaint.receipt import signature
from unpaint.receipt.page import page
from unpaint.receipt.statement import NAME, state

PAGE = "receipt.html"


def write(name: str, folder: Path, key: Path | None, database: sqlite3.Connection) -> None:
    """Write the receipt of a model; signed, if there is a private key. The same books give the same bytes.

    Args:
        name: CONCEPT/METHOD/seedN.
        database: the index of audits.

    Raises:
        UserError: the folder exists, the key is none, or an audit of the model does not end in "verified".
    """
    refuse_existing(folder)
    signer = signature.signer(key) if key else None
    statement = state(name, database)
    # a signature names the folder that it is over
    with whole(folder) as made:
        write_json(made / NAME, statement)
        write_text(made / PAGE, page(statement))
        if signer:
            signature.sign(made, signer)
