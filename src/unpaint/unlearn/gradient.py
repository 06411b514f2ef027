"""The restricted gradient (arXiv 2412.07808, Theorem 4) and its relatives, from three inner products.

Let f be the gradient of minus the forget loss and r that of the retain loss, over the trained parameters alone; the
step is theta - rate * u. Every surgery is u = a f + b r, and a, b follow from the Gram matrix of f and r. So nothing is
flattened, two copies of the gradients are all there ever is, and nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Gradient = Sequence[Tensor]
"""One tensor per trained parameter."""
Coefficients = Callable[[Tensor, float], tuple[Tensor, Tensor]]
"""From the Gram matrix (2, 2) of (f, r) and the retain weight w to (a, b), scalars on the Gram matrix's device."""


def gram(gradients: Sequence[Gradient]) -> Tensor:
    """Inner products of K gradients: (K, K), symmetric, in double precision where the device has it."""
    size = len(gradients)
    rows: list[list[Tensor]] = [[] for _ in range(size)]
    for i in range(size):
        for j in range(size):
            rows[i].append(inner(gradients[i], gradients[j]) if j >= i else rows[j][i])
    return torch.stack([torch.stack(row) for row in rows])


def inner(first: Gradient, second: Gradient) -> Tensor:
    """The inner product of two gradients, a scalar on their device."""
    products = torch.stack(
        [torch.dot(a.flatten().float(), b.flatten().float()) for a, b in zip(first, second, strict=True)]
    )
    return products.sum(dtype=torch.float32 if products.device.type == "mps" else torch.float64)


def graddiff(products: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """No surgery: u = f + w r (GradDiff)."""
    one = torch.ones_like(products[0, 0])
    return one, one * weight


def pcgrad(products: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """The paper's restricted gradient: each loses its part against the other, then u = f' + w r' (Theorem 4)."""
    ff, fr, rr = products[0, 0], products[0, 1], products[1, 1]
    conflict = fr.clamp(max=0)
    return 1 - weight * _divide(conflict, ff), weight - _divide(conflict, rr)


def cone(products: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """The point of {u: u.f >= 0, u.r >= 0} nearest to s = f + w r: the definition's argmin under one norm bound."""
    ff, fr, rr = products[0, 0], products[0, 1], products[1, 1]
    a, b = graddiff(products, weight)
    forget_rises, retain_rises = ff + weight * fr < 0, fr + weight * rr < 0
    return torch.where(forget_rises, -weight * _divide(fr, ff), a), torch.where(retain_rises, -_divide(fr, rr), b)


def unilateral(products: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Only the forget gradient loses its part against the retain gradient: u = f' + w r."""
    a, b = graddiff(products, weight)
    return a, b - _divide(products[0, 1].clamp(max=0), products[1, 1])


SURGERIES: dict[str, Coefficients] = {"none": graddiff, "pcgrad": pcgrad, "cone": cone, "unilateral": unilateral}


@torch.no_grad()
def combine(forget: Gradient, retain: Gradient, a: Tensor, b: Tensor) -> None:
    """Overwrite `retain` by a f + b r."""
    for f, r in zip(forget, retain, strict=True):
        r.mul_(b.to(r.dtype)).addcmul_(f, a.to(r.dtype))


def guard(products: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """What to add to a proposed step u so that neither loss rises: u + p D^-1 f + q D^-1 r, nearest to u in D's norm.

    D is the optimiser's diagonal preconditioner (Adam: sqrt(v) + eps).

    Args:
        products: (2, 2), inner products of (f, r) under D^-1.
        slopes: (2,), u.f and u.r; a negative one is a loss that would rise to first order.

    Returns:
        p and q, both >= 0.
    """
    ff, fr, rr = products[0, 0], products[0, 1], products[1, 1]
    forget, retain = slopes[0], slopes[1]
    zero = torch.zeros_like(ff)
    only_forget, only_retain = _divide(-forget, ff).clamp(min=0), _divide(-retain, rr).clamp(min=0)
    determinant = ff * rr - fr * fr
    both = (_divide(fr * retain - rr * forget, determinant), _divide(fr * forget - ff * retain, determinant))
    # parallel gradients leave the determinant to rounding; there one constraint is the other
    slack = 1e-6 * (ff * rr).sqrt()
    forget_enough = retain + only_forget * fr >= -slack * only_forget
    retain_enough = forget + only_retain * fr >= -slack * only_retain
    feasible = (forget >= 0) & (retain >= 0)
    p = torch.where(feasible, zero, torch.where(forget_enough, only_forget, torch.where(retain_enough, zero, both[0])))
    q = torch.where(feasible, zero, torch.where(forget_enough, zero, torch.where(retain_enough, only_retain, both[1])))
    return p.clamp(min=0), q.clamp(min=0)


def cosine(products: Tensor) -> Tensor:
    """The cosine of f and r; 0 if either is zero."""
    return _divide(products[0, 1], (products[0, 0] * products[1, 1]).sqrt())


def _divide(value: Tensor, by: Tensor) -> Tensor:
    """value / by, and 0 where `by` is 0: a zero gradient conflicts with nothing."""
    return torch.where(by > 0, value / torch.where(by > 0, by, torch.ones_like(by)), torch.zeros_like(value))
