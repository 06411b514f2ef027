"""images: the base model renders a concept's training prompts, the forget or the retain list."""

from __future__ import annotations

from unpaint.corpus import Row, encode, read_json, write
from unpaint.diversify.grammar import Prompt
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device, main, progress
from unpaint.models.latent_unet import load_pipeline
from unpaint.sample import render


def images(settings: Settings, manifest: Manifest, *, base: In, prompts: In, corpus: Out, rows: Out) -> None:
    """Render the list named `settings["set"]`, one picture per row."""
    wanted = [Prompt(**fields) for fields in read_json(prompts)[settings["set"]]]
    pipeline = load_pipeline(base, find_device(settings["device"]))
    drawn = []
    for row, pixels in zip(wanted, render(pipeline, wanted, **settings["sampling"]), strict=True):
        drawn.append(Row(encode(pixels), row.prompt, row.pair, row.seed, row.attributes))
        progress(f"images ({settings['set']})", len(drawn), len(wanted))
    write(corpus, drawn, manifest, rows)


if __name__ == "__main__":
    main(images)
