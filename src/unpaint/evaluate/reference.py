"""Held-out real pictures as the judge sees them: embedded once, not once per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as arrow
from pyarrow import parquet

from unpaint.errors import UserError
from unpaint.evaluate.statistics import Floats
from unpaint.lineage.manifest import KEY, Manifest


@dataclass(frozen=True)
class Reference:
    """One entry per real picture: its values by dimension, and the judge's features of it (n, d), normalised."""

    attributes: list[dict[str, str]]
    features: Floats

    def showing(self, asked: Sequence[Mapping[str, str]]) -> Floats:
        """The features of the pictures of `rows`."""
        return self.features[self.rows(asked)]

    def rows(self, asked: Sequence[Mapping[str, str]]) -> list[int]:
        """The pictures whose every value some of the prompts `asked` for.

        A dimension in which nothing real is asked for (the concept was dropped) is free.
        """
        rows = list(range(len(self.attributes)))
        # of what no real picture is known to show, any will do
        for name in [name for name in asked[0] if rows and name in self.attributes[0]]:
            wanted = {values[name] for values in asked}
            if wanted & {self.attributes[row][name] for row in rows}:
                rows = [row for row in rows if self.attributes[row][name] in wanted]
        return rows


def write(path: Path, reference: Reference, manifest: Manifest, inception: Floats | None = None) -> None:
    """Write as Parquet with the manifest in the schema's metadata; Inception's features (n, 2048) too, if given."""
    table = arrow.table({"attributes": reference.attributes, "features": list(reference.features.astype(np.float32))})
    if inception is not None:
        table = table.append_column("inception", arrow.array(list(inception.astype(np.float32))))
    parquet.write_table(table.replace_schema_metadata({KEY: manifest.dumps()}), path, compression="zstd")


def read(path: Path) -> Reference:
    """Read back.

    Raises:
        UserError: not a readable file of reference features.
    """
    try:
        table = parquet.read_table(path, columns=["attributes", "features"]).to_pydict()
        return Reference(table["attributes"], np.asarray(table["features"], dtype=np.float64))
    except (OSError, arrow.ArrowException, KeyError):
        raise UserError(f"{path}: not a readable file of reference features; restore it or make it again") from None
