"""From residuals (prediction minus target) to the two losses."""

from __future__ import annotations

from torch import Tensor

MODES = ("clamp", "elementwise", "skip")


def retain_loss(residuals: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean square of residuals of shape (batch, ...), each row weighted (batch,)."""
    return _weighted(residuals.square(), weights).mean()


def forget_loss(residuals: Tensor, mode: str, bound: float, weights: Tensor | None = None) -> Tensor:
    """The forget loss, bounded so that ascent ends (the paper's truncation): what lies above the bound has no gradient.

    Args:
        mode: `clamp` bounds the mean error of each picture; `elementwise` each element (the official CIFAR-10 code);
            `skip` drops the batch while its mean is above the bound (what the official Stable Diffusion script does in
            effect).
        bound: in squared units of the prediction; before the weights, as in the official code.
        weights: (batch,), of each row; None: all weigh 1.

    Raises:
        ValueError: an unknown mode.
    """
    errors = residuals.square()
    match mode:
        case "clamp":
            return _weighted(errors.flatten(1).mean(1).clamp(max=bound), weights).mean()
        case "elementwise":
            return _weighted(errors.clamp(max=bound), weights).mean()
        case "skip":
            return _weighted(errors, weights).mean() * (errors.mean() <= bound)
    raise ValueError(f"truncation mode {mode}: choose one of {', '.join(MODES)}, or anchor (anchored_loss)")


def anchored_loss(residuals: Tensor, own: Tensor, asked: Tensor, share: float, weights: Tensor | None = None) -> Tensor:
    """How much nearer a prediction came to its goal, mean square: 0 for the base model, at most the square of the way.

    Raising it is descent to what the base model predicts for the anchor, the target of concept ablation (arXiv
    2303.13516) where share is 1; ascent on errors as such fills its bound with errors that nobody sees.

    Args:
        residuals, own, asked: (batch, ...), of the network, and of the base model for the row's prompt and its anchor.
        share: how much of the way from `own` to `asked` the goal is; more than 1 is past it.
        weights: (batch,), of each row; None: all weigh 1.
    """
    way = share * (asked - own)
    return _weighted(way.square() - (residuals - own - way).square(), weights).mean()


def _weighted(errors: Tensor, weights: Tensor | None) -> Tensor:
    """Errors (batch, ...), each row times its weight."""
    return errors if weights is None else errors * weights.view(-1, *(1,) * (errors.ndim - 1)).to(errors)
