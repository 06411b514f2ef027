"""The loop that every method shares: two losses, one surgery, one guarded step.

It knows tensors and the denoiser, no files and no parameters file, and yields a record of each step.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unpaint.encoded import Encoded
from unpaint.errors import UserError
from unpaint.models import conditions
from unpaint.models.denoiser import Denoiser, train_scope
from unpaint.resume import Resume
from unpaint.unlearn import gradient, optimizers
from unpaint.unlearn.frozen import Frozen, Inputs, joined_inputs
from unpaint.unlearn.methods import Method
from unpaint.unlearn.monotone import SLACK
from unpaint.unlearn.objectives import anchored_loss, forget_loss, retain_loss

SPAN = 2**18
"""Numbers that the guard treats at once, of several tensors: 1 MB, which stays in a core's cache."""
SETTLING = 1e3
"""How much the retain weight rises while a run settles: the forget gradient is then all but a constraint."""


@dataclass(frozen=True)
class Step:
    """One step, counted from 1. The changes are of the step taken, to first order: negative is better for both.

    Attributes:
        forget_loss: the bounded forget loss, which the step is meant to raise.
        forget_change: first-order change of minus the forget loss.
        retain_change: first-order change of the retain loss.
        guarded: whether the guard had to correct the optimiser's step.
    """

    step: int
    forget_loss: float
    retain_loss: float
    cosine: float
    conflict: bool
    forget_change: float
    retain_change: float
    guarded: bool


def unlearn(
    denoiser: Denoiser,
    forget: Encoded,
    retain: Encoded,
    method: Method,
    settings: Mapping[str, Any],
    seed: int,
    resume: Resume | None = None,
) -> Iterator[Step]:
    """Unlearn `forget` in place while keeping `retain`; the denoiser's trained parameters end as the result.

    Args:
        settings: scope, lora_rank, steps, batch, optimizer (adam, adam8bit or sgd), learning_rate, hold, settle,
            retain_weight, retain_target (pictures or base), unprompted, truncation (mode, value), guard,
            gradient_checkpointing.
        resume: where the state is kept; a resumed run yields the steps already done again, and ends in the same bits.
        seed: decides the order of rows, the times and the noise, each drawn on the CPU from (seed, step, row).

    Raises:
        UserError: a loss or gradient is not finite; the parameters are those before that step, and are saved. Or the
            rows of `forget` are to be led to anchors, and have none.
    """
    led, distilled = settings["truncation"]["mode"] == "anchor", settings["retain_target"] == "base"
    _refuse(forget, retain, led, settings["unprompted"])
    trained = _trained(denoiser.module, settings)
    base = Frozen(denoiser) if led or distilled else None
    parameters = list(trained.values())
    optimizer = optimizers.build(settings["optimizer"], parameters, settings["learning_rate"])
    steps, batch, weight = settings["steps"], settings["batch"], settings["retain_weight"]
    truncation, unprompted, together = settings["truncation"], settings["unprompted"], method.batches_per_pass
    history = _resume(resume, trained, optimizer) if resume else []
    for step, values in enumerate(history):
        yield _record(step, values)
    for step in range(len(history), steps):
        for group in optimizer.param_groups:
            group["lr"] = settings["learning_rate"] * _fall(step, steps, settings["hold"])
        rows = _rows(len(forget), batch, step, seed)
        given = _inputs(denoiser, forget, rows, seed, step, "forget")
        weights = denoiser.weights(given.times)
        if base and led:
            own, asked = base.led(given, conditions.taken(forget.conditions, forget.anchor[rows]))
            lost = anchored_loss(denoiser.residuals(*given), own, asked, truncation["value"], weights)
        else:
            lost = forget_loss(denoiser.residuals(*given), truncation["mode"], truncation["value"], weights)
        forget_gradient = _gradient(-lost, parameters)
        kept = torch.zeros((), device=lost.device)
        first = step * method.retain_batches
        turns = range(first, first + method.retain_batches)
        for part in (turns[start : start + together] for start in range(0, len(turns), together)):
            given = joined_inputs(
                [
                    _inputs(denoiser, retain, _rows(len(retain), batch, turn, seed), seed, turn, "retain", unprompted)
                    for turn in part
                ]
            )
            held = base.residuals(given) if base and distilled else 0
            residuals = denoiser.residuals(*given) - held
            loss = retain_loss(residuals, denoiser.weights(given.times)) * len(part) / len(turns)
            loss.backward()  # type: ignore[no-untyped-call]
            kept += loss.detach()
        retain_gradient = [_grad(parameter) for parameter in parameters]
        products = gradient.gram([forget_gradient, retain_gradient])
        emphasis = SETTLING if step >= steps - round(steps * settings["settle"]) else 1.0
        a, b = (share / emphasis for share in method.surgery(products, weight * emphasis))
        gradient.combine(forget_gradient, retain_gradient, a, b)
        checked = torch.stack([value.to(products) for value in (lost.detach(), kept, products.sum(), a, b)])
        if not torch.isfinite(checked).all():
            if resume:
                resume.save(step, _state(trained, optimizer, history))
            raise UserError(
                f"step {step + 1} of {steps}: the forget loss is {lost.item():.4g}, the retain loss {float(kept):.4g}, "
                "not finite; the state before this step is kept; write precision: bfloat16, if it is float16, or lower "
                "learning_rate"
            )
        changes, guarded = _guard(optimizer, step, forget_gradient, retain_gradient, a, b, settings["guard"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        del forget_gradient, retain_gradient  # else the next step holds them beside its own
        found = [lost, kept, gradient.cosine(products), products[0, 1] < 0, changes[0], changes[1], guarded]
        history.append(torch.stack([value.detach().cpu().double() for value in found]))
        if resume and resume.due():
            resume.save(step + 1, _state(trained, optimizer, history))
        yield _record(step, history[step])


def _refuse(forget: Encoded, retain: Encoded, led: bool, unprompted: float) -> None:
    if led and torch.equal(forget.anchor, forget.prompt):
        raise UserError("the forget set has no anchors, which truncation mode anchor leads to; encode it with led_to")
    if unprompted and not retain.unprompted:
        raise UserError(
            f"unprompted: {unprompted} of the retain pictures are to be seen without their prompt, but the base model "
            "was trained without a label of no class; write 0.0"
        )


def _trained(module: Any, settings: Mapping[str, Any]) -> dict[str, nn.Parameter]:
    """Make the network ready, and give its parameters that learn, by name."""
    # dropout would draw from a generator of nobody's, and what only differs in training else is nothing
    module.eval()
    if settings["gradient_checkpointing"]:
        module.enable_gradient_checkpointing()
    return train_scope(module, settings["scope"], settings["lora_rank"])


def _fall(step: int, steps: int, hold: float) -> float:
    """Factor of the learning rate: 1 for the share `hold` of the steps, then a cosine towards 0."""
    after = step - hold * steps
    return 1.0 if after <= 0 else 0.5 * (1 + math.cos(math.pi * after / (steps - hold * steps)))


@torch.no_grad()
def _guard(
    optimizer: torch.optim.Optimizer,
    step: int,
    forget: gradient.Gradient,
    combined: gradient.Gradient,
    a: Tensor,
    b: Tensor,
    enabled: bool,
) -> tuple[Tensor, Tensor]:
    """Correct the step that is about to be taken, and give the first-order changes (2,) of what both come to.

    The retain gradient is gone (combined = a f + b r stands in its place) and is made anew span by span, so no third
    copy is needed. b is never 0: each surgery keeps r.
    """
    rate, parameters = optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["params"]
    products: list[Tensor] = []
    for part in _spans(parameters):
        f, c = _flat(forget[part]), _flat(combined[part])
        inverse, moved = optimizers.proposed(optimizer, parameters[part], c, step)
        # the retain gradient anew, part by part: from the sums it would be a difference of large numbers
        r = (1 / b).to(c) * c - (a / b).to(c) * f
        inverse_f = inverse * f
        pairs = ((moved, f), (moved, r), (inverse_f, f), (inverse_f, r), (inverse * r, r))
        products.append(torch.stack([torch.dot(x.float(), y.float()) for x, y in pairs]))
    uf, ur, ff, fr, rr = torch.stack(products).sum(dim=0, dtype=a.dtype)
    slopes = torch.stack([uf, ur])
    p, q = gradient.guard(torch.stack([torch.stack([ff, fr]), torch.stack([fr, rr])]), slopes)
    if not enabled:
        return -rate * slopes, torch.zeros_like(p, dtype=torch.bool)
    for part in _spans(parameters):
        f, c = _flat(forget[part]), _flat(combined[part])
        inverse, _ = optimizers.proposed(optimizer, parameters[part], c, step)
        correction = inverse * ((p - q * a / b).to(c) * f + (q / b).to(c) * c)
        pieces = torch.split(correction, [parameter.numel() for parameter in parameters[part]])
        for parameter, piece in zip(parameters[part], pieces, strict=True):
            parameter.sub_(piece.view_as(parameter), alpha=rate)
    terms = torch.stack([torch.stack([slopes[0], p * ff, q * fr]), torch.stack([slopes[1], p * fr, q * rr])])
    taken, scale = terms.sum(dim=1), terms.abs().sum(dim=1)
    # where a multiplier acts its slope is 0 by construction, but for rounding; what is more than that is told
    rounding = (torch.stack([p, q]) > 0) & (taken.abs() <= SLACK * scale)
    return -rate * torch.where(rounding, 0, taken), (p > 0) | (q > 0)


def _spans(parameters: list[nn.Parameter]) -> Iterator[slice]:
    """Runs of tensors of one type, up to SPAN numbers together: many small operations cost more than their work."""
    start = size = 0
    for at, parameter in enumerate(parameters):
        if at > start and (size + parameter.numel() > SPAN or parameter.dtype != parameters[start].dtype):
            yield slice(start, at)
            start, size = at, 0
        size += parameter.numel()
    yield slice(start, len(parameters))


def _flat(tensors: gradient.Gradient) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def _inputs(
    denoiser: Denoiser, encoded: Encoded, rows: list[int], seed: int, step: int, role: str, unprompted: float = 0.0
) -> Inputs:
    """What a denoiser is given for some rows; noise, time and silence depend on (seed, step, row) alone."""
    device = next(denoiser.module.parameters()).device
    shape = encoded.mean.shape[1:]
    drawn: list[tuple[Tensor, ...]] = []
    for place, row in enumerate(rows):
        # a batch that spans two epochs may hold a row twice
        again = rows[:place].count(row)
        random = torch.Generator().manual_seed(_counter(seed, step, row, f"{role}/{again}" if again else role))
        at = denoiser.draw(random)
        noise, posterior = torch.randn(shape, generator=random), torch.randn(shape, generator=random)
        drawn.append((at, noise, posterior, torch.rand((), generator=random) < unprompted))
    times, noise, posterior, silent = (torch.stack(part).to(device) for part in zip(*drawn, strict=True))
    latents = encoded.mean[rows].to(device) + encoded.std[rows].to(device) * posterior
    told = conditions.moved(conditions.taken(encoded.conditions, encoded.prompt[rows]), device)
    if unprompted:
        told = conditions.where(silent, encoded.unprompted, told)
    return Inputs(latents, told, noise, times)


def _rows(count: int, batch: int, turn: int, seed: int) -> list[int]:
    """The rows of batch number `turn`: all rows in an order of their own each epoch, batches running on across epochs.

    The order is the same for both sets, so lists of equal length stay paired where a step sees one batch of each.
    """
    rows: list[int] = []
    position = turn * batch
    while len(rows) < batch:
        epoch, start = divmod(position + len(rows), count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(_counter(seed, epoch, -1, "order")))
        rows += order[start : start + batch - len(rows)].tolist()
    return rows


def _counter(seed: int, step: int, row: int, role: str) -> int:
    digest = hashlib.blake2b(f"{seed}/{step}/{row}/{role}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _gradient(loss: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    """The gradient of `loss`, taken out of `.grad` so that the next backward pass starts from nothing."""
    loss.backward()  # type: ignore[no-untyped-call]
    taken = [_grad(parameter) for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    return taken


def _grad(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _record(step: int, values: Tensor) -> Step:
    lost, kept, cosine, conflict, forget_change, retain_change, guarded = values.tolist()
    return Step(step + 1, lost, kept, cosine, bool(conflict), forget_change, retain_change, bool(guarded))


def _state(
    trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, history: list[Tensor]
) -> dict[str, Tensor]:
    state = {"history": torch.stack(history)} if history else {}
    for name, parameter in trained.items():
        state[f"value.{name}"] = parameter
    return state | optimizers.state(optimizer, trained)


def _resume(resume: Resume, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Put a saved state in place, and return the telemetry of the steps done."""
    if (loaded := resume.load()) is None or not loaded[0]:
        return []
    done, state = loaded
    for name, parameter in trained.items():
        parameter.data.copy_(state[f"value.{name}"])
    optimizers.put_back(optimizer, trained, state, done)
    return list(state["history"])
