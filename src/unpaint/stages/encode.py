"""encode: latents and prompt embeddings of a corpus, made once instead of at every step of every model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from unpaint import encoded as encodings
from unpaint.corpus import Row, read, read_json, stack
from unpaint.encoded import Encoded
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device
from unpaint.models import latent_unet
from unpaint.nearest import chosen, distances


def encode(settings: Settings, manifest: Manifest, *, base: In, prompts: In, corpus: In, encoded: Out) -> None:
    """Encode the rows of the set `settings["set"]` by the base model; each row of a forget set gets its anchor."""
    rows, width, device = read(corpus), settings["sampling"]["width"], find_device(settings["device"])
    pipeline = latent_unet.load_pipeline(base, device)
    pictures = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2)
    result = latent_unet.encode(pipeline, pictures, [row.prompt for row in rows], width)
    if settings["set"] == "forget":
        texts = _anchors(rows, read_json(prompts), result, pipeline, latent_unet.load_denoiser(base, device), width)
        result = latent_unet.led_to(pipeline, result, texts, width)
    encodings.write(encoded, result, manifest)


def _anchors(
    rows: Sequence[Row], lists: Any, encoded: Encoded, pipeline: Any, denoiser: latent_unet.LatentUNet, width: int
) -> list[str]:
    choices = lists["anchors"]

    def embed(texts: Sequence[str]) -> Tensor:
        return latent_unet.embed(pipeline, texts, width)

    @cache
    def ranking(target: tuple[str, str]) -> list[str]:
        apart = distances(target, rows, choices, encoded, denoiser, embed)
        listed = ", ".join(f"{value} {far:.3f}" for value, far in apart.items())
        print(f"anchors of {target[1]}, the nearest first (mean squared difference): {listed}", file=sys.stderr)
        return list(apart)

    targets = [(dimension, value) for dimension, value in lists["concept"]]
    return chosen(rows, targets, choices, lists["retain"], ranking)
