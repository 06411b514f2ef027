"""The optimisers of a run: what each is about to do, which the guard asks, and the state that a resumed run needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from unpaint.errors import UserError

BETAS, EPSILON = (0.9, 0.999), 1e-8
BLOCK = 256
"""Numbers that bitsandbytes scales together."""
DEVICES = ("cuda", "cpu")
"""Where it has the kernels of Adam."""
KEPT = ("exp_avg", "exp_avg_sq", "state1", "state2", "absmax1", "absmax2")
"""What an optimiser keeps of a parameter, by the names that PyTorch and bitsandbytes give it."""


def build(name: str, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """The optimiser that a method names: `adam`, `adam8bit` (arXiv 2110.02861, by bitsandbytes) or `sgd`.

    Raises:
        UserError: there is none of this name; or bitsandbytes is not installed, or does not run on the device.
    """
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=rate)
    if name == "adam8bit":
        try:
            from bitsandbytes.optim import Adam8bit
        except ModuleNotFoundError:
            raise UserError(
                "optimizer: adam8bit needs bitsandbytes, which is not installed: pip install 'bitsandbytes>=0.50' "
                "(with conda, a line in workflow/envs/torch.yaml); or write adam"
            ) from None
        if (device := parameters[0].device.type) not in DEVICES:
            raise UserError(f"optimizer: adam8bit does not run on {device}; write adam, or device: cpu")
        optimizer: torch.optim.Optimizer = Adam8bit(parameters, lr=rate, betas=BETAS, eps=EPSILON)
        return optimizer
    if name != "adam":
        raise UserError(f"optimizer: {name} is none of adam, adam8bit, sgd")
    return torch.optim.Adam(parameters, lr=rate, betas=BETAS, eps=EPSILON, fused=True)


@torch.no_grad()
def proposed(
    optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], given: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    """What the optimiser is about to do with some parameters, whose gradient is `given`, in step `step` from 0.

    Returns:
        The inverse of its preconditioner, which is one number for SGD, and what it will move them by per unit of the
        rate; flat, as `given`.
    """
    if isinstance(optimizer, torch.optim.SGD):
        return torch.ones((), dtype=given.dtype, device=given.device), given
    moments = (_moments(optimizer.state[parameter], parameter) for parameter in parameters)
    mean, square = (torch.cat(kept) for kept in zip(*moments, strict=True))
    beta1, beta2 = BETAS
    mean.lerp_(given, 1 - beta1)
    square.mul_(beta2).addcmul_(given, given, value=1 - beta2)
    inverse = square.div_(1 - beta2 ** (step + 1)).sqrt_().add_(EPSILON).reciprocal_()
    return inverse, mean.mul_(inverse).div_(1 - beta1 ** (step + 1))


def _moments(state: Mapping[str, Tensor], parameter: Tensor) -> tuple[Tensor, Tensor]:
    """The moments that Adam keeps of a parameter, flat."""
    if not state:
        nothing = torch.zeros(parameter.numel(), dtype=parameter.dtype, device=parameter.device)
        return nothing, nothing
    if "exp_avg" in state:
        return state["exp_avg"].flatten(), state["exp_avg_sq"].flatten()
    if "absmax1" not in state:  # of a small tensor it keeps them whole
        return state["state1"].flatten(), state["state2"].flatten()
    from bitsandbytes.functional import dequantize_blockwise

    first, second = (
        dequantize_blockwise(
            state[f"state{which}"], absmax=state[f"absmax{which}"], code=state[f"qmap{which}"], blocksize=BLOCK
        )
        for which in (1, 2)
    )
    return first.flatten(), second.flatten()


def state(optimizer: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """What the optimiser keeps, by a name of its own."""
    return {
        f"{key}.{name}": value
        for name, parameter in trained.items()
        for key, value in optimizer.state[parameter].items()
        if key in KEPT
    }


def put_back(
    optimizer: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter], kept: Mapping[str, Tensor], done: int
) -> None:
    """Give an optimiser that has taken no step the state that another kept after `done` steps."""
    for at, (name, parameter) in enumerate(trained.items()):
        found = {key: kept[f"{key}.{name}"].to(parameter.device) for key in KEPT if f"{key}.{name}" in kept}
        if "exp_avg" in found:
            optimizer.state[parameter] = {"step": torch.tensor(float(done), device=parameter.device), **found}
        elif found:
            optimizer.init_state(optimizer.param_groups[0], parameter, 0, at)  # type: ignore[attr-defined]
            optimizer.state[parameter].update(found, step=done)
