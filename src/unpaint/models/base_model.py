"""A base model of any family: what paints, and what pictures and prompts are to its denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from unpaint.encoded import Encoded
from unpaint.models import families
from unpaint.models.checkpoint import load
from unpaint.models.conditions import Conditions, joined, moved, rows_of
from unpaint.models.denoiser import Denoiser
from unpaint.models.half_precision import HalfPrecision


class BaseModel(Protocol):
    """A diffusers pipeline of a known family."""

    pipeline: Any
    network: str
    """The part of the pipeline that unlearns."""
    side: int
    """Width and height of its pictures in pixels."""
    guidance: float
    """Classifier-free guidance when it paints; 1 is none."""
    frame: tuple[int, int]
    """Width and height of what it paints, in pixels: its side, unless it is set."""

    @property
    def denoiser(self) -> Denoiser:
        """Its denoiser, with no second copy of the weights."""
        ...

    def refuse_long(self, prompts: Sequence[str]) -> None:
        """Refuse prompts that it cannot read to their end.

        Raises:
            UserError: naming the first.
        """
        ...

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """What its denoiser is told of each prompt."""
        ...

    def unprompted(self) -> Conditions:
        """What it is told where there is no prompt, the other branch of classifier-free guidance: one row, unstacked.

        Nothing, if it was trained without.
        """
        ...

    def latents(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the scaled latents of pictures (n, 3, side, side), uint8."""
        ...

    def paint(self, prompts: Sequence[str], generators: Sequence[torch.Generator], steps: int) -> Any:
        """Pictures (n, height, width, 3) in 0..1, each from a generator of its own."""
        ...


def load_base_model(base: Path, device: str, guidance: float = 1.0) -> BaseModel:
    """The whole base model, in the precision that its base.json asks for.

    Args:
        base: its base.json.
        guidance: classifier-free guidance when it paints; 1 is none.

    Raises:
        UserError: a file of the base model is missing or changed, or its family is not known.
    """
    checkpoint = load(base)
    folder = checkpoint.verified()
    return families.find(folder).load(folder, device, checkpoint.side, guidance, getattr(torch, checkpoint.precision))


def refuse_unread(base: Path, prompts: Sequence[str]) -> None:
    """Refuse prompts that a base model cannot read to their end, by its tokenizers alone.

    Raises:
        UserError: naming the first; or a file that reads them is missing or changed.
    """
    folder = load(base).verified("model_index.json", "tokenizer", "tokenizer_2", "tokenizer_3")
    families.find(folder).refuse_unread(folder, prompts)


def load_denoiser(base: Path, device: str, scope: str = "full") -> Denoiser:
    """The denoiser of a base model alone; neither autoencoder nor text encoders are read.

    Of half precision, weights are held in it where none of them will learn (the scope lora), else in float32.

    Raises:
        UserError: a file of the base model is missing or changed, or its family is not known.
    """
    checkpoint = load(base)
    family = families.find(checkpoint.verified("model_index.json"))
    precision: torch.dtype = getattr(torch, checkpoint.precision)
    held = precision if scope == "lora" else torch.float32
    denoiser = family.load_denoiser(checkpoint.verified(family.network, "scheduler"), device, held)
    return denoiser if precision == torch.float32 else HalfPrecision(denoiser, precision)


def denoiser_of(model: BaseModel) -> Denoiser:
    """The denoiser of a whole base model, which computes in the precision that it was loaded in."""
    denoiser, precision = model.denoiser, network_of(model).dtype
    return denoiser if precision == torch.float32 else HalfPrecision(denoiser, precision)


def network_of(model: BaseModel) -> Any:
    """The network that unlearns, of diffusers."""
    return getattr(model.pipeline, model.network)


@torch.no_grad()
def encode(model: BaseModel, pictures: Tensor, prompts: Sequence[str], batch: int) -> Encoded:
    """Latents and conditions of a corpus, each row its own anchor.

    Args:
        pictures: (n, 3, height, width), uint8.
        prompts: n texts; each distinct one is embedded once.
    """
    latents = [model.latents(pictures[start : start + batch]) for start in range(0, len(pictures), batch)]
    means, deviations = (torch.cat(parts) for parts in zip(*latents, strict=True))
    distinct, belongs = _numbered(prompts)
    conditions = embed(model, distinct, batch)
    return Encoded(means, deviations, conditions, belongs, belongs.clone(), model.unprompted())


@torch.no_grad()
def embed(model: BaseModel, prompts: Sequence[str], batch: int) -> Conditions:
    """What the denoiser is told of each prompt, in batches."""
    return joined([model.conditions(prompts[start : start + batch]) for start in range(0, len(prompts), batch)])


def led_to(model: BaseModel, encoded: Encoded, anchors: Sequence[str], batch: int) -> Encoded:
    """The corpus with the anchor of each row, a prompt."""
    distinct, belongs = _numbered(anchors)
    own = rows_of(encoded.conditions)
    there = embed(model, distinct, batch)
    device = next(iter(there.values())).device
    return replace(encoded, conditions=joined([moved(encoded.conditions, device), there]), anchor=belongs + own)


def _numbered(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """The distinct texts in order, and which of them each one is."""
    distinct = sorted(set(texts))
    index = {text: number for number, text in enumerate(distinct)}
    return distinct, torch.tensor([index[text] for text in texts])
