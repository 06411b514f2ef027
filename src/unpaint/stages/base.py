"""base: the base model, trained on the world's own split, or a pinned checkpoint from elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from unpaint.corpus import Row, read, refuse_long, stack
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, OutDir, Settings, find_device, progress
from unpaint.models.checkpoint import adopt, describe, strip_paths
from unpaint.params import Trained
from unpaint.resume import Resume
from unpaint.train.base import build, fit_autoencoder, fit_denoiser

SAID = ("model_index.json", "scheduler/scheduler_config.json")
"""What a checkpoint says of itself."""


def base(settings: Settings, manifest: Manifest, *, source: In, base: Out, pipeline: OutDir) -> None:
    """Train on the whole of the world's own split; of a pin, take over what it says, and check what it names.

    Of a checkpoint `pipeline` gets what it says of itself; the rest stays where it is.
    """
    if source.suffix == ".json":
        folder = adopt(base, source, settings["base"]["precision"], manifest)
        for name in SAID:
            (pipeline / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, pipeline / name)
    else:
        rows = [row for row in read(source) if row.attributes["split"] == "base"]
        train(settings, manifest, rows, base, pipeline)


def train(settings: Settings, manifest: Manifest, rows: list[Row], base: Path, pipeline: Path) -> None:
    """Train autoencoder, then text encoder and denoiser; write the pipeline and base.json, which lists its files."""
    pixels = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2).contiguous()
    seed, device = settings["seed"], find_device(settings["device"])
    wanted = Trained(**settings["base"])
    model = build(wanted.autoencoder, wanted.denoiser, side=pixels.shape[-1], seed=seed).to(device)
    prompts = [row.prompt for row in rows]
    refuse_long(prompts, model.tokenizer, model.tokenizer.model_max_length)
    first, second = (Resume.of(manifest, device, part) for part in ("vae", "unet"))
    for record in fit_autoencoder(model, pixels, wanted.autoencoder, seed, first):
        progress(f"autoencoder, loss {record.loss:.4f}", record.step, record.steps)
    for record in fit_denoiser(model, pixels, prompts, wanted.denoiser, seed, second):
        progress(f"denoiser, loss {record.loss:.4f}", record.step, record.steps)
    model.to("cpu").save_pretrained(pipeline, safe_serialization=True)
    strip_paths(pipeline)
    describe(base, pipeline, manifest, pixels.shape[-1])
