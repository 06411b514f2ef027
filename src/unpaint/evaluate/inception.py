"""The Inception network that FID is defined on: one file of weights, known by its hash, and none beside it.

The network, and the resizing of TensorFlow 1 that belongs to it, are torch-fidelity's. Other weights, another layer or
another resizing give another number under the same name (Parmar et al. 2022, arXiv 2104.11222).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as arrow
from pyarrow import parquet

from unpaint.corpus import Row, stack
from unpaint.errors import UserError
from unpaint.evaluate.statistics import Floats
from unpaint.lineage.manifest import sha256
from unpaint.lineage.stage import progress

if TYPE_CHECKING:
    from torch import nn

NAME = "pt_inception-2015-12-05-6726825d.pth"
"""What the releases of pytorch-fid call the file; in those of torch-fidelity it begins with `weights-`."""
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
WIDTH = 2048
"""Features of a picture: the last layer's pooled activations."""
BATCH = 32
"""Pictures per forward pass."""


def refuse_other(path: Path) -> None:
    """Refuse a file that is not the weights that FID is defined on.

    Raises:
        UserError: it is missing, or another file.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing: it holds the weights that FID is defined on; put {NAME} there, from the releases of "
            "pytorch-fid (torch-fidelity's weights-inception-2015-12-05-6726825d.pth is the same file), or write none"
        )
    if (found := sha256(path)) != SHA256:
        raise UserError(
            f"{path}: its sha256 is {found}, and that of the weights that FID is defined on ({NAME}) is {SHA256}: a "
            "distance on other weights is no FID; bring that file, or write none"
        )


def load(path: Path, device: str) -> nn.Module:
    """The network on the weights at `path`: uint8 pictures [n, 3, height, width] to a tuple of features [n, 2048].

    Raises:
        UserError: these are not the weights that FID is defined on.
    """
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    refuse_other(path)
    # torch-fidelity would unpickle whatever a file holds, so it is given tensors alone, written anew
    tensors = io.BytesIO()
    torch.save(torch.load(path, map_location="cpu", weights_only=True), tensors)
    tensors.seek(0)
    network: nn.Module = FeatureExtractorInceptionV3("inception-v3-compat", [str(WIDTH)], tensors)
    return network.to(device)


def features(network: nn.Module, rows: Sequence[Row], device: str) -> Floats:
    """The features (n, 2048) of pictures.

    The last batch is padded, so that a picture's features do not depend on its neighbours.
    """
    import torch

    found = np.empty((len(rows), WIDTH))
    for start in range(0, len(rows), BATCH):
        part = stack(rows[start : start + BATCH])
        padded = np.pad(part, ((0, BATCH - len(part)), (0, 0), (0, 0), (0, 0)), mode="edge")
        with torch.no_grad():
            (given,) = network(torch.from_numpy(padded).permute(0, 3, 1, 2).to(device))
        found[start : start + len(part)] = given[: len(part)].cpu()
        progress("Inception", start + len(part), len(rows))
    return found


def read(path: Path) -> Floats:
    """The features (n, 2048) that judgements (of the retain pictures) or the reference carry, in their order.

    Raises:
        UserError: it carries none.
    """
    try:
        kept = parquet.read_table(path, columns=["inception"])["inception"].drop_null().combine_chunks()
        return kept.flatten().to_numpy().reshape(-1, WIDTH).astype(np.float64)  # type: ignore[no-any-return]
    except (OSError, arrow.ArrowException, KeyError):
        raise UserError(f"{path}: without features of Inception; make it again") from None
