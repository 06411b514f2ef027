"""What unlearning needs of a model, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from unpaint.errors import UserError
from unpaint.models.conditions import Conditions

Weights = Mapping[str, Tensor]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""How diffusers calls the projections of attention: of a picture or of both, and of the text where it has its own."""


class Denoiser(Protocol):
    """A network that predicts the noise (or its equivalent) in noised latents."""

    @property
    def module(self) -> nn.Module:
        """The network."""
        ...

    def draw(self, random: torch.Generator) -> Tensor:
        """A time of training, as the checkpoint's objective draws it: a scalar, on the CPU."""
        ...

    def spread(self, count: int) -> Tensor:
        """Times of training spread evenly over that distribution: (count,), on the CPU."""
        ...

    def residuals(self, latents: Tensor, conditions: Conditions, noise: Tensor, times: Tensor) -> Tensor:
        """Prediction minus target of the training objective of the checkpoint.

        Args:
            latents: (batch, channels, height, width), clean and scaled.
            conditions: a row per row of the batch.
            noise: like latents.
            times: (batch,), of `draw` or `spread`.

        Returns:
            The shape of latents, not reduced.
        """
        ...

    def weights(self, times: Tensor) -> Tensor | None:
        """The weight of each row's squared residuals in that objective: (batch,), or None: all weigh 1."""
        ...


def train_scope(module: nn.Module, scope: str, lora_rank: int) -> dict[str, nn.Parameter]:
    """Let only the parameters of `scope` learn, and return them by name.

    Scopes: `full`; `cross-attention` (the paper's xattn: layers for the prompt alone); `lora` (adapters of `lora_rank`
    on all attention projections, through peft). What learns is held in float32, whatever the rest is.

    Raises:
        UserError: the scope selects nothing in this network.
    """
    module.requires_grad_(False)
    if scope == "lora" and any(name.endswith(ATTENTION) for name, _ in module.named_modules()):
        _add_adapter(module, lora_rank)
    crossing = tuple(f"{name}." for name, part in module.named_modules() if getattr(part, "is_cross_attention", False))
    for name, parameter in module.named_parameters():
        wanted = {"full": True, "cross-attention": name.startswith(crossing), "lora": ".lora_" in name}[scope]
        parameter.requires_grad_(wanted)
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    for parameter in trained.values():
        parameter.data = parameter.data.float().contiguous()
    if not trained:
        raise UserError(f"scope: {scope} selects no parameter of this network; choose another")
    return trained


def apply_weights(module: nn.Module, weights: Weights, scope: str, lora_rank: int, where: str) -> None:
    """Put the weights of an unlearned model into its base network.

    Raises:
        UserError: a name or a shape does not fit: they belong to another base model.
    """
    if scope == "lora":
        _add_adapter(module, lora_rank)
    own = dict(module.named_parameters())
    for name, value in weights.items():
        if name not in own or own[name].shape != value.shape:
            raise UserError(f"{where}: {name} does not fit the base model; it was made from another one")
        own[name].data.copy_(value)


def adapters_of(module: nn.Module) -> list[Any]:
    """The layers of a network that have an adapter."""
    return [part for part in module.modules() if hasattr(part, "base_layer")]


def _add_adapter(module: nn.Module, rank: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=[*ATTENTION])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the first guess of an adapter is no choice of the user's
        inject_adapter_in_model(config, module, adapter_name="unlearned")
