"""world: draw the embedded world into one corpus."""

from __future__ import annotations

from unpaint.corpus import Row, encode, write
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import Out, Settings, main
from unpaint.worlds import digits


def world(settings: Settings, manifest: Manifest, *, corpus: Out, rows: Out) -> None:
    """Draw every split of the world; the attributes of a row name its split and its handwriting sample."""
    pictures = digits.draw(settings["world"]["images"], settings["seed"])
    drawn = (
        Row(encode(picture.pixels), picture.prompt, f"world-{number:06d}", number, picture.attributes)
        for number, picture in enumerate(pictures)
    )
    write(corpus, drawn, manifest, rows)


if __name__ == "__main__":
    main(world)
