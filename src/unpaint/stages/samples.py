"""samples: one pool per model, the pictures that every metric reads: the test prompts of every list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from unpaint import weights
from unpaint.corpus import Pixels, Row, read_json, refuse_repeats, write
from unpaint.diversify import table as tables
from unpaint.diversify.grammar import Prompt
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device
from unpaint.models.base_model import BaseModel, load_base_model, network_of
from unpaint.rendered import Rendered
from unpaint.sample import render


def samples(
    settings: Settings, manifest: Manifest, *, base: In, prompts: In, model: In | None = None, pool: Out, rows: Out
) -> None:
    """Render the test prompts with the base model, or with the unlearned weights if `model` is given."""
    lists = read_json(prompts)
    wanted = [(name, Prompt(**fields)) for name in ("forget", "retain") for fields in lists[name]]
    sampling = settings["sampling"]
    painter = load_base_model(base, find_device(settings["device"]), sampling["guidance"])
    if model is not None:
        weights.apply(network_of(painter), model, base)
    job = (manifest, pool.parent, find_device(settings["device"]))
    rendered = Rendered.here(*job)
    asked = [prompt for _, prompt in wanted]
    width, steps = sampling["width"], sampling["steps"]

    def paint(lacking: Sequence[Prompt]) -> Iterator[Pixels]:
        return render(painter, lacking, width=width, steps=steps)

    pictures = rendered.pictures(asked, paint, width, "samples")
    drawn = [_row(name, row, image) for (name, row), image in zip(wanted, pictures, strict=True)]
    if settings.get("distinct"):
        refuse_repeats(drawn)
    others = [tables.Row(**fields) for fields in lists.get("table", [])]
    drawn += _of_table(painter, others, sampling, job)
    # a model may render one picture twice: a ruined one is a result, and of a table two prompts may be cut to one
    write(pool, drawn, manifest, rows, distinct=False)
    rendered.clear()


def _row(name: str, asked: Prompt, image: bytes) -> Row:
    """A row of the set `name` of a pool."""
    return Row(image, asked.prompt, asked.pair, asked.seed, {"set": name, **asked.attributes})


def _of_table(
    painter: BaseModel, rows: Sequence[tables.Row], sampling: Settings, job: tuple[Manifest, Path, str]
) -> list[Row]:
    """The rows of a table: those of one guidance and size are painted together, cut off where a prompt is too long.

    Others' prompts often are, and what they publish was made so.
    """
    width, steps = sampling["width"], sampling["steps"]
    side, guidance = painter.side, painter.guidance
    alike: dict[tuple[float, int, int], list[int]] = {}
    for number, row in enumerate(rows):
        own = guidance if row.guidance is None else row.guidance
        across = side if row.width is None else row.width
        down = side if row.height is None else row.height
        alike.setdefault((own, across, down), []).append(number)

    def paint(lacking: Sequence[Prompt]) -> Iterator[Pixels]:
        return render(painter, lacking, width=width, steps=steps, cut=True)

    found: dict[int, bytes] = {}
    manifest, place, device = job
    for (own, across, down), numbers in alike.items():
        painter.guidance, painter.frame = own, (across, down)
        said = {**manifest.settings, "table": [own, across, down]}
        rendered = Rendered.here(replace(manifest, settings=said), place, device)
        asked = [rows[number] for number in numbers]
        pictures = rendered.pictures(asked, paint, width, "samples (table)", before=len(found), total=len(rows))
        found |= dict(zip(numbers, pictures, strict=True))
    return [_row("table", row, found[number]) for number, row in enumerate(rows)]
