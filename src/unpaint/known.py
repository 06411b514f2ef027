"""Published models that the presets name, by the stem of their pins: what can be said of them before they are pinned.

Sizes are those of their published configs, counted; what type their files are of shows when they are pinned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NETWORKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sd14": ("UNet2DConditionModel", {"sample_size": 64, "cross_attention_dim": 768}),
    "sdxl": (
        "UNet2DConditionModel",
        {
            "sample_size": 128,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "block_out_channels": (320, 640, 1280),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
    ),
    "sd3": (
        "SD3Transformer2DModel",
        {
            "sample_size": 128,
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "out_channels": 16,
            "pos_embed_max_size": 192,
        },
    ),
    "flux": ("FluxTransformer2DModel", {"guidance_embeds": True}),
}
"""The networks that unlearn: a class of diffusers, and the published config where it differs from its defaults."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of the Hub.

    Attributes:
        repository: of the Hub.
        family: its name (`unpaint families`).
        side: of its pictures, in pixels.
        network: which of `NETWORKS` unlearns.
        parameters: how many its networks have, all of them together.
    """

    repository: str
    family: str
    side: int
    network: str
    parameters: int


AUTOENCODER, AUTOENCODER_16 = 83_653_863, 83_819_683
CLIP_L, CLIP_L_PROJECTED, CLIP_G, T5_XXL = 123_060_480, 123_650_304, 694_659_840, 4_762_310_656
SAFETY_CHECKER = 303_981_588
CHECKPOINTS = {
    "stable-diffusion-v1-4": Checkpoint(
        "CompVis/stable-diffusion-v1-4",
        "Stable Diffusion 1 and 2",
        512,
        "sd14",
        859_520_964 + AUTOENCODER + CLIP_L + SAFETY_CHECKER,
    ),
    "stable-diffusion-xl-base-1.0": Checkpoint(
        "stabilityai/stable-diffusion-xl-base-1.0",
        "Stable Diffusion XL",
        1024,
        "sdxl",
        2_567_463_684 + AUTOENCODER + CLIP_L + CLIP_G,
    ),
    "stable-diffusion-3-medium-diffusers": Checkpoint(
        "stabilityai/stable-diffusion-3-medium-diffusers",
        "Stable Diffusion 3",
        1024,
        "sd3",
        2_028_328_000 + AUTOENCODER_16 + CLIP_L_PROJECTED + CLIP_G + T5_XXL,
    ),
    "FLUX.1-dev": Checkpoint(
        "black-forest-labs/FLUX.1-dev",
        "FLUX.1",
        1024,
        "flux",
        11_901_408_320 + AUTOENCODER_16 + CLIP_L + T5_XXL,
    ),
}


@dataclass(frozen=True)
class Other:
    """A judge or a data set.

    Attributes:
        source: as `unpaint pin` takes it.
        parameters: of a judge, how many it has.
        pixels: of a data set, how many numbers its pictures are, uncompressed.
    """

    source: str
    parameters: int = field(default=0, kw_only=True)
    pixels: int = field(default=0, kw_only=True)


VIT_B_32 = 151_277_313
OTHERS = {
    "ViT-B-32-laion2b_s34b_b79k": Other("ViT-B-32/laion2b_s34b_b79k", parameters=VIT_B_32),
    "ViT-B-32-openai": Other("ViT-B-32/openai", parameters=VIT_B_32),
    "cifar10": Other("uoft-cs/cifar10", pixels=60_000 * 32 * 32 * 3),
}
