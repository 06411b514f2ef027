"""What unlearning needs of a model, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from unpaint.errors import UserError

Weights = Mapping[str, Tensor]


class Denoiser(Protocol):
    """A network that predicts the noise (or its equivalent) in noised latents."""

    module: nn.Module
    timesteps: int
    """Training timesteps are drawn from 0 to this number, exclusive."""

    def residuals(self, latents: Tensor, embeddings: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Prediction minus target of the training objective of the checkpoint.

        Args:
            latents: (batch, channels, height, width), clean and scaled.
            embeddings: (batch, tokens, width).
            noise: like latents.
            timesteps: (batch,), integers.

        Returns:
            The shape of latents, not reduced.
        """
        ...


def train_scope(module: nn.Module, scope: str, lora_rank: int) -> dict[str, nn.Parameter]:
    """Let only the parameters of `scope` learn, and return them by name.

    Scopes: `full`; `cross-attention` (the paper's xattn: every `attn2`); `lora` (adapters of `lora_rank` on all
    attention projections, through peft).

    Raises:
        UserError: the scope selects nothing in this network.
    """
    module.requires_grad_(False)
    if scope == "lora":
        _add_adapter(module, lora_rank)
    for name, parameter in module.named_parameters():
        wanted = {"full": True, "cross-attention": ".attn2." in name, "lora": ".lora_" in name}[scope]
        parameter.requires_grad_(wanted)
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
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


def _add_adapter(module: nn.Module, rank: int) -> None:
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the first guess of an adapter is no choice of the user's
        inject_adapter_in_model(config, module, adapter_name="unlearned")
