"""encode: latents and prompt embeddings of a corpus, made once instead of at every step of every model."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unpaint import encoded as encodings
from unpaint.corpus import Row, read, read_json, refuse_long, stack
from unpaint.encoded import Encoded
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device
from unpaint.models import latent_unet
from unpaint.nearest import Anchors, chosen, distances

Ranked = dict[str, dict[str, float]]
"""By forgotten value, the distance of each value that it can be led to."""


def encode(
    settings: Settings, manifest: Manifest, *, base: In, anchors: In, corpus: In, encoded: Out
) -> dict[str, Ranked]:
    """Encode the rows of the set `settings["set"]` by the base model; each row of a forget set gets its anchor.

    Returns the `anchors` that were ranked: by forgotten value, the distances (see `nearest`) of others, nearest first.
    """
    ranked: Ranked = {}
    rows, width = read(corpus), settings["sampling"]["width"]
    pipeline = latent_unet.load_pipeline(base, find_device(settings["device"]))
    refuse_long((row.prompt for row in rows), pipeline.tokenizer)
    pictures = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2)
    result = latent_unet.encode(pipeline, pictures, [row.prompt for row in rows], width)
    if settings["set"] == "forget":
        led, ranked = _anchors(rows, anchors, result, pipeline, width)
        result = latent_unet.led_to(pipeline, result, led, width)
    encodings.write(encoded, result, manifest)
    return {"anchors": ranked}


def _anchors(rows: Sequence[Row], path: Path, encoded: Encoded, pipeline: Any, width: int) -> tuple[list[str], Ranked]:
    """The anchor of each row, and the rankings that had to be made."""
    ranked: Ranked = {}
    listed = read_json(path)
    anchors = Anchors(
        target={row["prompt"]: tuple(row["target"]) for row in listed["forget"]},
        choices={row["prompt"]: row["choices"] for row in listed["forget"]},
        retain={row["pair"]: row["prompt"] for row in listed["retain"]},
    )
    prompts = [row.prompt for row in rows]

    def embed(texts: Sequence[str]) -> Tensor:
        return latent_unet.embed(pipeline, texts, width)

    @cache
    def ranking(target: tuple[str, str]) -> list[str]:
        apart = distances(target, prompts, encoded, anchors, latent_unet.denoiser_of(pipeline), embed, width)
        values = ", ".join(f"{value} {far:.3f}" for value, far in apart.items())
        print(f"anchors of {target[1]}, the nearest first (1 is the mean): {values}", file=sys.stderr)
        # a value that no row allows has no distance
        ranked[target[1]] = {value: round(far, 3) for value, far in apart.items() if math.isfinite(far)}
        return list(apart)

    return chosen(prompts, [row.pair for row in rows], anchors, ranking), ranked
