"""world: draw the embedded world, or pack a user's own captioned pictures or a data set, into one corpus."""

from __future__ import annotations

from unpaint.corpus import Row, encode, write
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import Listing, Maybe, Out, Settings
from unpaint.worlds import find


def world(
    settings: Settings,
    manifest: Manifest,
    *,
    corpus: Out,
    rows: Out,
    pictures: Listing = None,  # noqa: ARG001
    source: Maybe = None,  # noqa: ARG001
) -> None:
    """Draw every split of the world; the attributes of a row name its split and its source. No world has no row.

    `pictures` is the metadata of a user's own, `source` the pin of a data set: so they are in the manifest.
    """
    drawn = (
        Row(encode(picture.pixels), picture.prompt, f"world-{number:06d}", number, picture.attributes)
        for number, picture in enumerate(find(settings["world"], (), settings["seed"]).draw())
    )
    write(corpus, drawn, manifest, rows, empty=settings["world"]["kind"] == "none")
