"""images: a concept's forget or retain set: the base model renders its training prompts, or they are the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unpaint import folder
from unpaint.corpus import Row, encode, read_json, write
from unpaint.diversify.grammar import Prompt
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Listing, Out, Settings, find_device, progress
from unpaint.models.base_model import BaseModel, load_base_model
from unpaint.models.checkpoint import load
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
        model = load_base_model(base, find_device(settings["device"]), settings["sampling"]["guidance"])
        drawn = _rendered(model, wanted, settings)
    else:
        drawn = _own(Path(settings["source"]), load(base).side)
    write(corpus, drawn, manifest, rows)


def _rendered(model: BaseModel, wanted: list[Prompt], settings: Settings) -> Iterator[Row]:
    sampling = settings["sampling"]
    pictures = render(model, wanted, width=sampling["width"], steps=sampling["steps"])
    for number, (row, pixels) in enumerate(zip(wanted, pictures, strict=True), 1):
        yield Row(encode(pixels), row.prompt, row.pair, row.seed, row.attributes)
        progress(f"images ({settings['set']})", number, len(wanted))


def _own(source: Path, side: int) -> Iterator[Row]:
    """The user's pictures at the base model's size; their place in the metadata stands for pair and seed."""
    for number, found in enumerate(folder.listing(source)):
        picture = encode(folder.pixels(found.path, side))
        yield Row(picture, found.caption, f"own-{number:06d}", number, folder.traced(found, source))
