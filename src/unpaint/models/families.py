"""The families of base models, each found by what its checkpoint says of itself."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint.corpus import read_json
from unpaint.errors import UserError

if TYPE_CHECKING:
    import torch

    from unpaint.models.base_model import BaseModel
    from unpaint.models.denoiser import Denoiser

BY_CLASS = "U-Net by class (DDPM or EDM)"
"""The family of what is trained by class here."""


@dataclass(frozen=True)
class Family:
    """A family: how its checkpoints are told, and what of `unpaint.models` reads them.

    Attributes:
        pipeline: the pipeline class that `model_index.json` names.
        parts: what its pipeline cannot be without.
        network: the folder of the network that unlearns.
        module: the file of its kind of conditioning, with the class `model` and the function `loader`.
        crosses: whether it has layers that attend to the prompt alone.
        by_class: whether its prompts are names of classes; then the side of its pictures is fixed, too.
        patch: latents per side of what its network sees as one.
    """

    name: str
    pipeline: str
    parts: tuple[str, ...]
    network: str
    module: str
    model: str
    loader: str = "load_denoiser"
    crosses: bool = True
    by_class: bool = False
    patch: int = 1

    def load(self, folder: Path, device: str, side: int, guidance: float, dtype: torch.dtype) -> BaseModel:
        """The whole base model in `folder`, every part of one type."""
        kind = getattr(self._home(), self.model)
        pipeline = kind.open(folder, dtype).to(device)
        pipeline.set_progress_bar_config(disable=True)
        model: BaseModel = kind(pipeline, side, guidance)
        return model

    def refuse_unread(self, folder: Path, prompts: Sequence[str]) -> None:
        """Refuse prompts that the checkpoint in `folder` cannot read to their end; none of its weights are loaded.

        Raises:
            UserError: naming the first.
        """
        getattr(self._home(), self.model).refuse_unread(folder, prompts)

    def loading(self, folder: str, precision: str) -> str:
        """The call of diffusers that loads an exported pipeline, to paint as it did here in `precision`.

        float32 is named as well: published encoders are often files of float16, and would stay so.
        """
        kind, place = ("UNet2DModel", f"{folder}/unet") if self.name == BY_CLASS else ("DiffusionPipeline", folder)
        return f"{kind}.from_pretrained({place!r}, torch_dtype=torch.{precision})"

    def load_denoiser(self, folder: Path, device: str, dtype: torch.dtype) -> Denoiser:
        """Its denoiser alone; neither autoencoder nor text encoders are read."""
        denoiser: Denoiser = getattr(self._home(), self.loader)(folder, device, dtype)
        return denoiser

    def side(self, folder: Path, wanted: int | None) -> int:
        """The side of its pictures in pixels: what is wanted, or what the checkpoint in `folder` was trained on.

        Raises:
            UserError: it cannot paint what is wanted.
        """
        config = read_json(folder / self.network / "config.json")
        vae = folder / "vae" / "config.json"
        factor = _factor(vae) if vae.is_file() else 1
        own = config.get("sample_size") or NATIVE
        if not isinstance(own, int):
            raise UserError(
                f"{folder}/{self.network}/config.json: sample_size {own}; only square pictures are known here"
            )
        if self.by_class and wanted not in (None, own * factor):
            raise UserError(f"side: {self.name} paints {own * factor} pixels alone")
        if wanted and wanted % (factor * self.patch):
            raise UserError(f"side: {wanted} is no multiple of {factor * self.patch}, the pixels that it paints as one")
        return wanted or own * factor

    def described(self, folder: Path) -> dict[str, Any]:
        """What a pin keeps of the checkpoint in `folder` beside its side: of one by class, its classes.

        Raises:
            UserError: nobody knows what its labels are called.
        """
        return dict(self._home().described(folder)) if self.by_class else {}

    def _home(self) -> Any:
        return importlib.import_module(f"unpaint.models.{self.module}")


def _factor(vae: Path) -> int:
    """How many pixels are one latent, by side."""
    channels = read_json(vae).get("block_out_channels")
    if not isinstance(channels, list) or not channels:
        raise UserError(
            f"{vae}: no block_out_channels, which an autoencoder has; get it from where the folder came from"
        )
    return int(2 ** (len(channels) - 1))


NATIVE = 128
"""Latents per side of pictures of a network whose config does not say it (FLUX.1: its pipeline's own)."""
ONE_TEXT = ("scheduler", "vae", "text_encoder", "tokenizer")
TWO_TEXTS = (*ONE_TEXT, "text_encoder_2", "tokenizer_2")
FAMILIES = (
    Family(
        "Stable Diffusion 1 and 2",
        "StableDiffusionPipeline",
        (*ONE_TEXT, "unet"),
        "unet",
        "latent_unet",
        "StableDiffusion",
    ),
    Family(
        "Stable Diffusion XL",
        "StableDiffusionXLPipeline",
        (*TWO_TEXTS, "unet"),
        "unet",
        "latent_unet",
        "StableDiffusionXL",
    ),
    Family(
        "Stable Diffusion 3",
        "StableDiffusion3Pipeline",
        (*TWO_TEXTS, "transformer"),
        "transformer",
        "flow_transformer",
        "StableDiffusion3",
        "load_sd3",
        crosses=False,
        patch=2,
    ),
    Family(
        "FLUX.1",
        "FluxPipeline",
        (*TWO_TEXTS, "transformer"),
        "transformer",
        "flow_transformer",
        "Flux",
        "load_flux",
        crosses=False,
        patch=2,
    ),
    Family(
        "PixArt-Sigma",
        "PixArtSigmaPipeline",
        (*ONE_TEXT, "transformer"),
        "transformer",
        "latent_transformer",
        "PixArt",
        patch=2,
    ),
    Family(
        "DiT",
        "DiTPipeline",
        ("scheduler", "vae", "transformer"),
        "transformer",
        "class_conditional",
        "DiT",
        "load_dit",
        crosses=False,
        by_class=True,
        patch=2,
    ),
    Family(
        BY_CLASS,
        "DDPMPipeline",
        ("scheduler", "unet"),
        "unet",
        "class_conditional",
        "PixelUNet",
        "load_unet",
        crosses=False,
        by_class=True,
    ),
)


def find(folder: Path) -> Family:
    """The family of the checkpoint in `folder`.

    Raises:
        UserError: it is none of those known.
    """
    index = read_json(folder / "model_index.json")
    name = index.get("_class_name") if isinstance(index, dict) else None
    for family in FAMILIES:
        if family.pipeline == name:
            return family
    known = ", ".join(family.pipeline for family in FAMILIES)
    raise UserError(f"{folder}/model_index.json: {name} is no family that Unpaint knows; they are {known}")


def named(name: str) -> Family:
    """The family of this name.

    Raises:
        UserError: there is none.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    raise UserError(f"{name} is no family that Unpaint knows; pin the checkpoint anew (`unpaint families` lists them)")
