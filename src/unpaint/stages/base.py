"""base: the base model, trained on the world's own split, or a pinned checkpoint from elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import Tensor

from unpaint.corpus import Row, read, read_json, refuse_long, stack
from unpaint.lineage.manifest import Manifest, write_json
from unpaint.lineage.stage import In, Out, OutDir, Settings, find_device, progress
from unpaint.models.checkpoint import adopt, describe, strip_paths
from unpaint.params import Trained, TrainedByClass
from unpaint.resume import Resume
from unpaint.train import by_class
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
        train(settings, manifest, rows, rows, base, pipeline)


def train(
    settings: Settings, manifest: Manifest, world: list[Row], rows: list[Row], base: Path, pipeline: Path
) -> None:
    """Train on some rows of the world; write the pipeline and base.json, which lists its files."""
    pixels = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2).contiguous()
    if "classes" in settings["base"]:
        _by_class(settings, manifest, world, rows, pixels, pipeline)
    else:
        _by_prompt(settings, manifest, rows, pixels, pipeline)
    strip_paths(pipeline)
    describe(base, pipeline, manifest, pixels.shape[-1])


def _by_prompt(settings: Settings, manifest: Manifest, rows: list[Row], pixels: Tensor, pipeline: Path) -> None:
    """Autoencoder, then text encoder and denoiser together."""
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


def _by_class(
    settings: Settings, manifest: Manifest, world: list[Row], rows: list[Row], pixels: Tensor, pipeline: Path
) -> None:
    """The denoiser alone. An oracle has a label for the class that it never saw, too."""
    seed, device = settings["seed"], find_device(settings["device"])
    wanted = TrainedByClass(**settings["base"])
    names = sorted({row.attributes[wanted.classes] for row in world})
    labels = [names.index(row.attributes[wanted.classes]) for row in rows]
    model = by_class.build(wanted.denoiser, len(names), pixels.shape[-1], seed).to(device)
    resume = Resume.of(manifest, device, "unet")
    for record in by_class.fit_denoiser(model, pixels, labels, len(names), wanted.denoiser, seed, resume):
        progress(f"denoiser, loss {record.loss:.4f}", record.step, record.steps)
    model.to("cpu").save_pretrained(pipeline, safe_serialization=True)
    index = pipeline / "model_index.json"
    # no pipeline of diffusers writes it
    write_json(index, {**read_json(index), "id2label": {str(number): name for number, name in enumerate(names)}})
