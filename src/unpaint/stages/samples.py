"""samples: one pool per model, the pictures that every metric reads: the test prompts of every list."""

from __future__ import annotations

from collections.abc import Sequence

from unpaint import weights
from unpaint.corpus import Pixels, Row, encode, read_json, refuse_repeats, write
from unpaint.diversify import table as tables
from unpaint.diversify.grammar import Prompt
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device, progress
from unpaint.models.base_model import BaseModel, load_base_model, network_of
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
    drawn: list[Row] = []
    pictures = render(painter, [prompt for _, prompt in wanted], width=sampling["width"], steps=sampling["steps"])
    for (name, row), pixels in zip(wanted, pictures, strict=True):
        drawn.append(Row(encode(pixels), row.prompt, row.pair, row.seed, {"set": name, **row.attributes}))
        progress("samples", len(drawn), len(wanted))
    if settings.get("distinct"):
        refuse_repeats(drawn)
    others = [tables.Row(**fields) for fields in lists.get("table", [])]
    for given, pixels in zip(others, _render(painter, others, sampling["width"], sampling["steps"]), strict=True):
        drawn.append(Row(encode(pixels), given.prompt, given.pair, given.seed, {"set": "table", **given.attributes}))
    # a model may render one picture twice: a ruined one is a result, and of a table two prompts may be cut to one
    write(pool, drawn, manifest, rows, distinct=False)


def _render(painter: BaseModel, rows: Sequence[tables.Row], width: int, steps: int) -> list[Pixels]:
    """The pictures of a table: those of one guidance and size together, cut off where a prompt is too long.

    Others' prompts often are, and what they publish was made so.
    """
    side, guidance = painter.side, painter.guidance
    alike: dict[tuple[float, int, int], list[int]] = {}
    for number, row in enumerate(rows):
        own = guidance if row.guidance is None else row.guidance
        across = side if row.width is None else row.width
        down = side if row.height is None else row.height
        alike.setdefault((own, across, down), []).append(number)
    found: dict[int, Pixels] = {}
    for (own, across, down), numbers in alike.items():
        painter.guidance, painter.frame = own, (across, down)
        asked = [rows[number] for number in numbers]
        for number, pixels in zip(numbers, render(painter, asked, width=width, steps=steps, cut=True), strict=True):
            found[number] = pixels
            progress("samples (table)", len(found), len(rows))
    return [found[number] for number in range(len(rows))]
