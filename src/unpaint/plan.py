"""What a params.yaml asks for, before anything runs: models to load, pictures, steps, GPU time, disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.diversify.grammar import Lists
from unpaint.params import WORLD_FILE, Dataset, Params, Pinned, parse, tables

FORWARD = {
    "Stable Diffusion 1 and 2": (1.50 / 24 / 3, 512),
    "Stable Diffusion XL": (3.50 / 3 / 4, 1024),
    "Stable Diffusion 3": (0.68 / 3 / 4, 1024),
    "FLUX.1": (2.41 / 3 / 4, 1024),
}
"""Seconds of one picture's way through the network, and its side, by family: of the steps of `benchmarks/rehearsal.py`
on one H200 (docs/base-models.md), by the pictures of a step and the ways of a gradient (3, with checkpointing 4).
"""
DISTILLED = "FLUX.1"
"""It is told the guidance in place of being asked twice."""


def plan(path: Path) -> str:
    """The plan of a params file, a line for each matter; nothing is loaded, and pins may be missing.

    Raises:
        UserError: the file is not sound.
    """
    params, lists = parse(path)
    # presets/ stands in the project
    root = path.parent.parent if path.parent.name == "presets" else path.parent
    return "\n".join([f"{path}", *(f"  {name:<12}{text}" for name, text in _lines(params, lists, root))])


def _lines(params: Params, lists: dict[str, dict[str, Lists]], root: Path) -> Iterator[tuple[str, str]]:
    pinned = _pin(params.base.source, root) if isinstance(params.base, Pinned) else None
    told = f"{pinned['family']}, {pinned['side']} pixels: " if pinned else ""
    if isinstance(params.world, Dataset):
        yield "world", _load(params.world.source, root, "--dataset ")
    yield "base model", told + _load(params.base.source, root, "")
    yield "judge", _load(params.judge.source, root, "--judge ")
    for name, model in params.models.items():
        yield "model", f"{name}: {_load(model.source, root, '')}"
    for name, proposal in params.proposals.items():
        yield "proposals", f"{name}: {_load(proposal.model, root, '--language ')}"
    for name, found in lists.items():
        counts = ", ".join(
            f"{len(both.forget):,} + {len(both.retain):,} to {verb} on"
            for verb, both in (("train", found["train"]), ("test", found["test"]))
        )
        yield "prompts", f"{name}: {counts}"
    models = len(params.methods) * len(params.seeds)
    pools = 1 + models + len(params.models)
    training = sum(
        len(rows)
        for name, found in lists.items()
        for rows, source in (
            (found["train"].forget, params.concepts[name].images.forget),
            (found["train"].retain, params.concepts[name].images.retain),
        )
        if source == "render"
    )
    pool = sum(len(found["test"].forget) + len(found["test"].retain) for found in lists.values())
    pool += sum(len(rows) for rows in tables(params, root).values())
    painted = training + pools * pool
    steps = params.sampling.steps
    yield (
        "pictures",
        f"{painted:,}, {steps} denoising steps each: {training:,} to train on, {pool:,} by each of {pools} models",
    )
    each = ", ".join(f"{name} {method.steps:,} steps" for name, method in params.methods.items())
    yield "unlearning", f"{len(lists) * models:,} models: {each}; concepts {len(lists)}, seeds {len(params.seeds)}"
    if pinned:
        yield "GPU time", _time(params, pinned, painted, len(lists))
        size = painted * pinned["side"] ** 2 * 3
        yield "disk", f"at most {_size(size)} of pictures; and the weights of {len(lists) * models:,} models"


def _pin(source: str, root: Path) -> Any:
    """What a pin says, if it is there."""
    return read_json(root / source) if (root / source).is_file() else None


def _load(source: str, root: Path, kind: str) -> str:
    """What is to be loaded of a model."""
    if source == WORLD_FILE:
        return "trained here"
    if (fields := _pin(source, root)) is None:
        return f"{source} is missing; first: unpaint pin {kind}SOURCE (a preset's first lines name it)"
    if "folder" in fields:
        return f"{_size(fields['bytes'])} in {fields['folder']}"
    return f"{_size(fields['bytes'])} to load (`unpaint fetch`): {fields['repository']} at {fields['revision'][:12]}"


def _time(params: Params, pinned: Any, painted: int, concepts: int) -> str:
    if pinned["family"] not in FORWARD:
        return f"not known: no rehearsal of {pinned['family']}"
    seconds, side = FORWARD[pinned["family"]]
    seconds *= (pinned["side"] / side) ** 2
    asked = 2 if params.sampling.guidance > 1 and pinned["family"] != DISTILLED else 1
    painting = painted * params.sampling.steps * asked
    training = 0
    for method in params.methods.values():
        batches = 1 + getattr(method, "retain_batches_per_step", 1)
        ways = 4 if method.gradient_checkpointing else 3
        training += method.steps * method.batch * batches * ways * len(params.seeds) * concepts
    hours = [f"{ways * seconds / 3600:,.1f} h" for ways in (painting + training, painting, training)]
    return (
        f"about {hours[0]} on one H200, by the rehearsal's steps (docs/base-models.md): painting {hours[1]}, "
        f"unlearning {hours[2]}; encoding, scoring and loading come on top"
    )


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
