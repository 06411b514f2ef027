"""encode: latents and prompt embeddings of a corpus, made once instead of at every step of every model."""

from __future__ import annotations

import torch

from unpaint import encoded as encodings
from unpaint.corpus import read, stack
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device
from unpaint.models import latent_unet


def encode(settings: Settings, manifest: Manifest, *, base: In, corpus: In, encoded: Out) -> None:
    """Encode every row of the corpus by the base model's autoencoder and text encoder."""
    rows = read(corpus)
    pipeline = latent_unet.load_pipeline(base, find_device(settings["device"]))
    pictures = torch.from_numpy(stack(rows)).permute(0, 3, 1, 2)
    prompts, pairs = [row.prompt for row in rows], [row.pair for row in rows]
    result = latent_unet.encode(pipeline, pictures, prompts, pairs, settings["sampling"]["width"])
    encodings.write(encoded, result, manifest)
