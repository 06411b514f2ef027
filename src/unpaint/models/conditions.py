"""What a denoiser is told beside latents and time: the embeddings of a text, or a label, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Conditions = Mapping[str, Tensor]
"""Tensors of one length in their first dimension, a row per prompt or picture; the names are the family's own."""


def taken(given: Conditions, rows: Tensor | Sequence[int] | slice) -> Conditions:
    """Some of the rows, in the order asked for."""
    return {name: tensor[rows] for name, tensor in given.items()}


def joined(parts: Sequence[Conditions]) -> Conditions:
    """The rows of several conditions of one family, one after the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def moved(given: Conditions, device: torch.device | str) -> Conditions:
    """The same on a device."""
    return {name: tensor.to(device) for name, tensor in given.items()}


def where(chosen: Tensor, one: Conditions, other: Conditions) -> Conditions:
    """Of each row that `chosen` (n,) marks the single row `one`, else that of `other`."""
    return {
        name: torch.where(chosen.view(-1, *(1,) * (tensor.ndim - 1)), one[name].to(tensor), tensor)
        for name, tensor in other.items()
    }


def rows_of(given: Conditions) -> int:
    """How many rows there are."""
    return len(next(iter(given.values())))
