"""images: a concept's forget or retain set: the base model renders its training prompts, or they are the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unpaint import folder
from unpaint.corpus import Row, encode, read_json, write
from unpaint.diversify.grammar import Prompt
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Listing, Out, Settings, find_device, progress
from unpaint.models.checkpoint import load
from unpaint.models.latent_unet import load_pipeline
from unpaint.sample import render


def images(
    settings: Settings,
    manifest: Manifest,
    *,
    base: In,
    prompts: In,
    corpus: Out,
    rows: Out,
    pictures: Listing = None,  # noqa: ARG001
) -> None:
    """Write the set `settings["set"]`: its training prompts rendered, one picture a row, or the user's own pictures.

    `pictures` is the metadata of the user's own, so that they are in the manifest.
    """
    if settings["source"] == "render":
        wanted = [Prompt(**fields) for fields in read_json(prompts)[settings["set"]]]
        drawn = _rendered(load_pipeline(base, find_device(settings["device"])), wanted, settings)
    else:
        side = read_json(load(base).verified("vae") / "vae" / "config.json")["sample_size"]
        drawn = _own(Path(settings["source"]), side)
    write(corpus, drawn, manifest, rows)


def _rendered(pipeline: Any, wanted: list[Prompt], settings: Settings) -> Iterator[Row]:
    pictures = render(pipeline, wanted, **settings["sampling"])
    for number, (row, pixels) in enumerate(zip(wanted, pictures, strict=True), 1):
        yield Row(encode(pixels), row.prompt, row.pair, row.seed, row.attributes)
        progress(f"images ({settings['set']})", number, len(wanted))


def _own(source: Path, side: int) -> Iterator[Row]:
    """The user's pictures at the base model's size; their place in the metadata stands for pair and seed."""
    for number, found in enumerate(folder.listing(source)):
        picture = encode(folder.pixels(found.path, side))
        yield Row(picture, found.caption, f"own-{number:06d}", number, folder.traced(found, source))
