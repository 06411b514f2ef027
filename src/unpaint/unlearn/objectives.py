"""From residuals (prediction minus target) to the two losses."""

from __future__ import annotations

import torch
from torch import Tensor

MODES = ("clamp", "elementwise", "paired", "skip")


def retain_loss(residuals: Tensor) -> Tensor:
    """The mean square of residuals of shape (batch, ...)."""
    return residuals.square().mean()


def forget_loss(residuals: Tensor, mode: str, bound: float, towards: Tensor | None = None) -> Tensor:
    """The forget loss, bounded so that ascent ends (the paper's truncation): what lies above the bound has no gradient.

    Args:
        mode: `clamp` bounds the mean error of each picture; `elementwise` each element (the official CIFAR-10 code);
            `skip` drops the batch while its mean is above the bound (what the official Stable Diffusion script does in
            effect); `paired` counts only errors towards what the retain prompt of the pair would paint, and bounds
            each element by `bound` times the square of that difference: the way there, not the error as such.
        bound: in squared units of the prediction; for `paired` a share.
        towards: like residuals; the base model's prediction for the retain prompt of the pair, minus the one for the
            row's own. Read by `paired` alone.

    Raises:
        ValueError: an unknown mode, or `paired` without `towards`.
    """
    errors = residuals.square()
    match mode:
        case "clamp":
            return errors.flatten(1).mean(1).clamp(max=bound).mean()
        case "elementwise":
            return errors.clamp(max=bound).mean()
        case "paired":
            if towards is None:
                raise ValueError("truncation mode paired needs `towards`")
            return torch.minimum(errors * (residuals * towards > 0), bound * towards.square()).mean()
        case "skip":
            loss = errors.mean()
            return loss * (loss <= bound)
    raise ValueError(f"truncation mode {mode}: choose one of {', '.join(MODES)}")
