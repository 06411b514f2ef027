"""From squared errors to the two losses."""

from __future__ import annotations

from torch import Tensor

MODES = ("clamp", "elementwise", "skip")


def retain_loss(errors: Tensor) -> Tensor:
    """The mean of squared errors of shape (batch, ...)."""
    return errors.mean()


def forget_loss(errors: Tensor, mode: str, bound: float) -> Tensor:
    """The forget loss, bounded so that ascent ends (the paper's truncation): what lies above `bound` has no gradient.

    Modes: `clamp` bounds the mean error of each picture; `elementwise` each element (the official CIFAR-10 code);
    `skip` drops the batch while its mean is above the bound (what the official Stable Diffusion script does in effect).
    """
    match mode:
        case "clamp":
            return errors.flatten(1).mean(1).clamp(max=bound).mean()
        case "elementwise":
            return errors.clamp(max=bound).mean()
        case "skip":
            loss = errors.mean()
            return loss * (loss <= bound)
    raise ValueError(f"truncation mode {mode}: choose one of {', '.join(MODES)}")
