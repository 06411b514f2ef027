"""Rendering pictures: fixed-width batches, one seed per picture.

Every batch has the same width, the last one padded, so picture i is bit-identical whatever its neighbours, the order
of the rows or the shard it is rendered in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch

from unpaint.corpus import Pixels
from unpaint.errors import UserError
from unpaint.models.base_model import BaseModel


class Request(Protocol):
    """What a picture is rendered from."""

    @property
    def prompt(self) -> str:
        """The text."""

    @property
    def seed(self) -> int:
        """The seed of its noise."""


@torch.no_grad()
def render(
    model: BaseModel, requests: Sequence[Request], *, width: int, steps: int, cut: bool = False
) -> Iterator[Pixels]:
    """Yield one picture (height, width, 3) per request, in order.

    Args:
        model: paints, with its own guidance, in its own frame.
        width: pictures per batch; part of the result, since other widths round differently.
        steps: denoising steps.
        cut: whether prompts that are longer than it reads are cut off.

    Raises:
        UserError: a prompt is longer than it reads, and may not be cut; a picture is not finite.
    """
    if not cut:
        model.refuse_long([request.prompt for request in requests])
    for start in range(0, len(requests), width):
        part = list(requests[start : start + width])
        padded = part + [part[-1]] * (width - len(part))
        generators = [torch.Generator().manual_seed(request.seed) for request in padded]
        pictures = model.paint([request.prompt for request in padded], generators, steps)
        for request, picture in zip(part, pictures, strict=False):
            if not np.isfinite(picture).all():
                raise UserError(
                    f"the picture of {request.prompt!r}, seed {request.seed}, is not finite: the weights are broken"
                )
            yield np.rint(picture * 255).astype(np.uint8)
