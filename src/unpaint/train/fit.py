"""One training loop for the small world's networks (autoencoder, denoiser, judge).

It knows no data and no files: the caller gives the loss of a step, and reads a record of each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unpaint.errors import UserError
from unpaint.resume import Resume


@dataclass(frozen=True)
class Record:
    """A step done (counted from 1), of how many, and its loss."""

    step: int
    steps: int
    loss: float


def fit(
    modules: Mapping[str, nn.Module],
    loss: Callable[[int], Tensor],
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    average: float = 0.0,
    resume: Resume | None = None,
) -> Iterator[Record]:
    """Train `modules` by AdamW on `loss(step)` for `steps` steps, yielding a record of each.

    The learning rate rises over the first tenth of the steps and falls as a cosine to zero. With `average` > 0 the
    modules end as the exponential moving average of their weights. `loss` must draw its randomness from the step alone;
    then a resumed run ends in the same bits.

    Raises:
        UserError: a loss or gradient is not finite; the weights are those before that step, and are saved.
    """
    parameters = {f"{name}.{key}": value for name, m in modules.items() for key, value in m.named_parameters()}
    buffers = {f"{name}.{key}": value for name, m in modules.items() for key, value in m.named_buffers()}
    tensors = {**parameters, **buffers}
    trained = {key: value for key, value in parameters.items() if value.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.99))
    mean = {key: value.detach().clone() for key, value in trained.items()} if average else {}
    done = 0
    if resume and (state := resume.load()):
        done, saved = state
        _restore(saved, tensors, optimizer, trained, mean, done)
    for step in range(done, steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _one_cycle(step, steps)
        before = {key: value.clone() for key, value in buffers.items()}
        value = loss(step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(trained.values(), 1.0)
        if not torch.isfinite(value + norm):
            for key, kept in before.items():
                buffers[key].copy_(kept)
            if resume and step:
                resume.save(step, _state(tensors, optimizer, trained, mean))
            raise UserError(
                f"step {step + 1} of {steps}: the loss is {value.item():.4g}, its gradient's norm {norm.item():.4g}, "
                "not finite; the state before this step is kept; lower learning_rate"
            )
        optimizer.step()
        if average:
            # early weights are far from the end: the average's memory grows with the steps
            decay = min(average, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(mean.values()), [p.detach() for p in trained.values()], 1 - decay)
        if resume and (resume.due() or step + 1 == steps):
            resume.save(step + 1, _state(tensors, optimizer, trained, mean))
        yield Record(step + 1, steps, value.item())
    with torch.no_grad():
        for key, value in mean.items():
            trained[key].copy_(value)


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator of its own for numbers such as seed and step: nothing else needs to be kept to resume."""
    return torch.Generator().manual_seed(seed_of(*numbers))


def seed_of(*numbers: int) -> int:
    """One seed (63 bits) for several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _one_cycle(step: int, steps: int) -> float:
    """Factor of the learning rate: linear rise over a tenth of the steps, then a cosine to zero."""
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _state(
    tensors: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    trained: Mapping[str, Tensor],
    mean: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    saved = {f"value.{key}": value for key, value in tensors.items()}
    saved |= {f"mean.{key}": value for key, value in mean.items()}
    for key, parameter in trained.items():
        for name in ("exp_avg", "exp_avg_sq"):
            saved[f"{name}.{key}"] = optimizer.state[parameter][name]
    return saved


def _restore(
    saved: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    trained: Mapping[str, Tensor],
    mean: Mapping[str, Tensor],
    done: int,
) -> None:
    with torch.no_grad():
        for key, value in tensors.items():
            value.copy_(saved[f"value.{key}"])
        for key, value in mean.items():
            value.copy_(saved[f"mean.{key}"])
    for key, parameter in trained.items():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(done)),
            "exp_avg": saved[f"exp_avg.{key}"].to(parameter.device),
            "exp_avg_sq": saved[f"exp_avg_sq.{key}"].to(parameter.device),
        }
