"""encode: latents of a corpus and what its prompts are to the denoiser, made once, not at every step of every model."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

from unpaint import encoded as encodings
from unpaint.corpus import Row, read, read_json, stack
from unpaint.encoded import Encoded
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device
from unpaint.models.base_model import BaseModel, denoiser_of, embed, led_to, load_base_model
from unpaint.models.base_model import encode as encoding
from unpaint.models.conditions import Conditions
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
    model = load_base_model(base, find_device(settings["device"]), settings["sampling"]["guidance"])
    model.refuse_long([row.prompt for row in rows])
    pictures = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2)
    result = encoding(model, pictures, [row.prompt for row in rows], width)
    if settings["set"] == "forget":
        led, ranked = _anchors(rows, anchors, result, model, width)
        result = led_to(model, result, led, width)
    encodings.write(encoded, result, manifest)
    return {"anchors": ranked}


def _anchors(
    rows: Sequence[Row], path: Path, encoded: Encoded, model: BaseModel, width: int
) -> tuple[list[str], Ranked]:
    """The anchor of each row, and the rankings that had to be made."""
    ranked: Ranked = {}
    listed = read_json(path)
    anchors = Anchors(
        target={row["prompt"]: tuple(row["target"]) for row in listed["forget"]},
        choices={row["prompt"]: row["choices"] for row in listed["forget"]},
        retain={row["pair"]: row["prompt"] for row in listed["retain"]},
    )
    prompts = [row.prompt for row in rows]

    def told(texts: Sequence[str]) -> Conditions:
        return embed(model, texts, width)

    @cache
    def ranking(target: tuple[str, str]) -> list[str]:
        apart = distances(target, prompts, encoded, anchors, denoiser_of(model), told, width)
        values = ", ".join(f"{value} {far:.3f}" for value, far in apart.items())
        print(f"anchors of {target[1]}, the nearest first (1 is the mean): {values}", file=sys.stderr)
        # a value that no row allows has no distance
        ranked[target[1]] = {value: round(far, 3) for value, far in apart.items() if math.isfinite(far)}
        return list(apart)

    return chosen(prompts, [row.pair for row in rows], anchors, ranking), ranked
