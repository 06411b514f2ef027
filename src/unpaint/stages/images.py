"""images: a concept's forget or retain set: its training prompts rendered, pictures of the world, or the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from unpaint import folder, tombstones
from unpaint.corpus import TRACE, Pixels, Row, encode, read, read_json, without, write
from unpaint.diversify.grammar import Prompt
from unpaint.errors import UserError
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Listing, Maybe, Out, Settings, find_device
from unpaint.models.base_model import load_base_model, refuse_unread
from unpaint.models.checkpoint import load
from unpaint.rendered import Rendered
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
    withdrawn: Maybe = None,
) -> None:
    """Write the set `settings["set"]`: a picture for each of its training prompts, or the user's own pictures.

    `source` is what the base model came from: the world, if it was trained here. `pictures` is the metadata of the
    user's own, so that they are in the manifest. What was `withdrawn` is left out, and of both sets its pair.
    """
    lists = read_json(prompts)
    wanted = [Prompt(**fields) for fields in lists[settings["set"]]]
    gone = tombstones.read(withdrawn)
    pairs = tombstones.pairs([*lists["forget"], *lists["retain"]], gone)
    rendered = None
    if settings["source"] == "world":
        world = [row for row in read(source) if row.attributes["split"] == "base"]
        if settings["set"] == "retain":  # what a prompt leaves open may be anything but the concept
            world = without(world, {value for _, value in lists["concept"]})
        drawn = shown(world, wanted)
    elif settings["source"] == "render":
        rendered = Rendered.here(manifest, corpus.parent, find_device(settings["device"]))
        drawn = _rendered([row for row in wanted if row.pair not in pairs], base, settings, rendered)
    else:
        drawn = _own(Path(settings["source"]), load(base).side)
    kept = [row for row in drawn if row.pair not in pairs and not tombstones.withdrawn(row, gone)]
    if gone and not kept:
        raise UserError(f"{withdrawn}: nothing is left of the {settings['set']} set; ask for more pictures")
    if settings["source"] not in ("world", "render"):
        refuse_unread(base, [row.prompt for row in kept])
    write(corpus, kept, manifest, rows)
    if rendered:
        rendered.clear()


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


def _rendered(wanted: list[Prompt], base: Path, settings: Settings, rendered: Rendered) -> Iterator[Row]:
    """The picture of each prompt; those that are there already are not rendered again."""
    sampling = settings["sampling"]

    def paint(lacking: Sequence[Prompt]) -> Iterator[Pixels]:
        model = load_base_model(base, find_device(settings["device"]), sampling["guidance"])
        return render(model, lacking, width=sampling["width"], steps=sampling["steps"])

    pictures = rendered.pictures(wanted, paint, sampling["width"], f"images ({settings['set']})")
    for row, image in zip(wanted, pictures, strict=True):
        yield Row(image, row.prompt, row.pair, row.seed, row.attributes)


def _own(source: Path, side: int) -> Iterator[Row]:
    """The user's pictures at the base model's size; their place in the metadata stands for pair and seed."""
    for number, found in enumerate(folder.listing(source)):
        picture = encode(folder.pixels(found.path, side, found.path))
        yield Row(picture, found.caption, f"own-{number:06d}", number, folder.traced(found, source))
