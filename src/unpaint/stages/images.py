"""images: a concept's forget or retain set: its training prompts rendered, pictures of the world, or the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unpaint import folder
from unpaint.corpus import TRACE, Row, encode, read, read_json, without, write
from unpaint.diversify.grammar import Prompt
from unpaint.errors import UserError
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
    source: In,
    corpus: Out,
    rows: Out,
    pictures: Listing = None,  # noqa: ARG001
) -> None:
    """Write the set `settings["set"]`: a picture for each of its training prompts, or the user's own pictures.

    `source` is what the base model came from: the world, if it was trained here. `pictures` is the metadata of the
    user's own, so that they are in the manifest.
    """
    lists = read_json(prompts)
    wanted = [Prompt(**fields) for fields in lists[settings["set"]]]
    if settings["source"] == "world":
        world = [row for row in read(source) if row.attributes["split"] == "base"]
        if settings["set"] == "retain":  # what a prompt leaves open may be anything but the concept
            world = without(world, {value for _, value in lists["concept"]})
        drawn = shown(world, wanted)
    elif settings["source"] == "render":
        model = load_base_model(base, find_device(settings["device"]), settings["sampling"]["guidance"])
        drawn = _rendered(model, wanted, settings)
    else:
        drawn = _own(Path(settings["source"]), load(base).side)
    write(corpus, drawn, manifest, rows)


def shown(world: list[Row], wanted: list[Prompt]) -> Iterator[Row]:
    """For each prompt the next picture of the world that shows its values, under the prompt's own words.

    Raises:
        UserError: there are too few.
    """
    taken: set[str] = set()
    showing: dict[frozenset[tuple[str, str]], Iterator[Row]] = {}
    for row in wanted:
        values = frozenset((name, value) for name, value in row.attributes.items() if value)
        if values not in showing:
            showing[values] = _showing(world, values)
        found = next((one for one in showing[values] if one.pair not in taken), None)
        if found is None:
            raise UserError(
                f"too few pictures of the world show {', '.join(v for _, v in sorted(values))}; ask for fewer"
            )
        taken.add(found.pair)
        trace = {name: found.attributes[name] for name in TRACE if name in found.attributes}
        yield Row(found.image, row.prompt, row.pair, row.seed, {**row.attributes, **trace, "world": found.pair})


def _showing(world: list[Row], values: frozenset[tuple[str, str]]) -> Iterator[Row]:
    return (row for row in world if values <= row.attributes.items())


def _rendered(model: BaseModel, wanted: list[Prompt], settings: Settings) -> Iterator[Row]:
    sampling = settings["sampling"]
    pictures = render(model, wanted, width=sampling["width"], steps=sampling["steps"])
    for number, (row, pixels) in enumerate(zip(wanted, pictures, strict=True), 1):
        yield Row(encode(pixels), row.prompt, row.pair, row.seed, row.attributes)
        progress(f"images ({settings['set']})", number, len(wanted))


def _own(source: Path, side: int) -> Iterator[Row]:
    """The user's pictures at the base model's size; their place in the metadata stands for pair and seed."""
    for number, found in enumerate(folder.listing(source)):
        picture = encode(folder.pixels(found.path, side, found.path))
        yield Row(picture, found.caption, f"own-{number:06d}", number, folder.traced(found, source))
