"""samples: one pool per model, the pictures that every metric reads: the test prompts of both lists."""

from __future__ import annotations

from unpaint import weights
from unpaint.corpus import Row, encode, read_json, write
from unpaint.diversify.grammar import Prompt
from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings, find_device, progress
from unpaint.models.base_model import load_base_model, network_of
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
    # an unlearned model may render one picture twice: a ruined model is a result
    write(pool, drawn, manifest, rows, distinct=model is None)
