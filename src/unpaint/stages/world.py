"""world: draw the embedded world, or pack a user's own captioned pictures or a data set, into one corpus."""

from __future__ import annotations

from unpaint import tombstones
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
    withdrawn: Maybe = None,
) -> None:
    """Draw every split of the world but what was `withdrawn`; a row's attributes name its split and its source.

    `pictures` is the metadata of a user's own, `source` the pin of a data set: so they are in the manifest. No world
    has no row.
    """
    drawn = (
        Row(encode(picture.pixels), picture.prompt, f"world-{number:06d}", number, picture.attributes)
        for number, picture in enumerate(find(settings["world"], (), settings["seed"]).draw())
    )
    gone = tombstones.read(withdrawn)
    kept = (row for row in drawn if not tombstones.withdrawn(row, gone))
    write(corpus, kept, manifest, rows, empty=settings["world"]["kind"] == "none")
