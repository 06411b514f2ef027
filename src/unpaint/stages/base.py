"""base: train the base model, a true Stable Diffusion pipeline, on the world's own split."""

from __future__ import annotations

from pathlib import Path

import torch

from unpaint.corpus import Row, read, refuse_long, stack
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, OutDir, Settings, find_device, progress
from unpaint.models.checkpoint import describe, strip_paths
from unpaint.params import Base
from unpaint.resume import Resume
from unpaint.train.base import build, fit_autoencoder, fit_denoiser


def base(settings: Settings, manifest: Manifest, *, world: In, base: Out, pipeline: OutDir) -> None:
    """Train on the whole of the world's own split."""
    rows = [row for row in read(world) if row.attributes["split"] == "base"]
    train(settings, manifest, rows, base, pipeline)


def train(settings: Settings, manifest: Manifest, rows: list[Row], base: Path, pipeline: Path) -> None:
    """Train autoencoder, then text encoder and denoiser; write the pipeline and base.json, which lists its files."""
    pixels = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2).contiguous()
    seed, device = settings["seed"], find_device(settings["device"])
    wanted = Base(**settings["base"])
    model = build(wanted.autoencoder, wanted.denoiser, side=pixels.shape[-1], seed=seed).to(device)
    prompts = [row.prompt for row in rows]
    refuse_long(prompts, model.tokenizer)
    first, second = (Resume.of(manifest, device, part) for part in ("vae", "unet"))
    for record in fit_autoencoder(model, pixels, wanted.autoencoder, seed, first):
        progress(f"autoencoder, loss {record.loss:.4f}", record.step, record.steps)
    for record in fit_denoiser(model, pixels, prompts, wanted.denoiser, seed, second):
        progress(f"denoiser, loss {record.loss:.4f}", record.step, record.steps)
    model.to("cpu").save_pretrained(pipeline, safe_serialization=True)
    strip_paths(pipeline)
    describe(base, pipeline, manifest)
