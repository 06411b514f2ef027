"""What a params.yaml asks for, before anything runs: models to load, pictures, steps, GPU time, disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaint import known
from unpaint.corpus import read_json
from unpaint.diversify.grammar import Lists
from unpaint.learned import learned
from unpaint.params import (
    WORLD_FILE,
    Dataset,
    JudgeTraining,
    Params,
    Pinned,
    Trained,
    TrainedByClass,
    parse,
    tables,
)
from unpaint.worlds.digits import SIDE

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


@dataclass(frozen=True)
class Counts:
    """What is painted and learned.

    Attributes:
        training, pool: pictures to train on, and in the pools of one model, over all concepts.
        models: that unlearn.
        pools: models that paint all pools.
        theirs: pictures in the pools of all oracles.
        concepts: how many.
        oracles: how many base models are retrained.
    """

    training: int
    pool: int
    models: int
    pools: int
    theirs: int
    concepts: int
    oracles: int

    @property
    def painted(self) -> int:
        """Pictures in all."""
        return self.training + self.pools * self.pool + self.theirs


def plan(path: Path) -> str:
    """The plan of a params file, a line for each matter; no model is loaded, and pins may be missing.

    Raises:
        UserError: the file is not sound.
    """
    params, lists = parse(path)
    # presets/ stands in the project
    root = path.parent.parent if path.parent.name == "presets" else path.parent
    return "\n".join([f"{path}", *(f"  {name:<12}{text}" for name, text in _lines(params, lists, root))])


def _lines(params: Params, lists: dict[str, dict[str, Lists]], root: Path) -> Iterator[tuple[str, str]]:
    told = _told(params.base.source, root) if isinstance(params.base, Pinned) else {}
    if isinstance(params.world, Dataset):
        yield "world", _load(params.world.source, root, "--dataset ")
    about = f"{told['family']}, {told['side']} pixels: " if told else ""
    yield "base model", about + _load(params.base.source, root, "")
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
    counted = _count(params, lists, root)
    yield from _training(params, counted)
    theirs = f", {counted.theirs:,} by {counted.oracles} oracles" if counted.oracles else ""
    yield (
        "pictures",
        f"{counted.painted:,}, {params.sampling.steps} denoising steps each: {counted.training:,} to train on, "
        f"{counted.pool:,} by each of {counted.pools} models{theirs}",
    )
    each = ", ".join(f"{name} {method.steps:,} steps" for name, method in params.methods.items())
    yield "unlearning", f"{counted.models:,} models: {each}; concepts {counted.concepts}, seeds {len(params.seeds)}"
    yield "passes", _passes(params, told, counted)
    yield "GPU time", _time(params, told, counted)
    yield "disk", _disk(params, told, counted, root)


def _count(params: Params, lists: dict[str, dict[str, Lists]], root: Path) -> Counts:
    rows = tables(params, root)
    training = sum(
        len(prompts)
        for name, found in lists.items()
        for prompts, source in (
            (found["train"].forget, params.concepts[name].images.forget),
            (found["train"].retain, params.concepts[name].images.retain),
        )
        if source == "render"
    )
    pool = {
        name: len(found["test"].forget) + len(found["test"].retain) + len(rows[name]) for name, found in lists.items()
    }
    seeds, models = len(params.oracles.seeds), len(params.methods) * len(params.seeds)
    return Counts(
        training,
        sum(pool.values()),
        len(lists) * models,
        1 + models + len(params.models),
        sum(pool[name] for name in params.oracles.concepts) * seeds,
        len(lists),
        len(params.oracles.concepts) * seeds,
    )


def _training(params: Params, counted: Counts) -> Iterator[tuple[str, str]]:
    """What learns from the world, and what does so again without a concept."""
    parts = []
    if isinstance(params.base, Trained):
        parts.append(f"autoencoder {_steps(params.base.autoencoder)}")
    if isinstance(params.base, Trained | TrainedByClass):
        parts.append(f"base model {_steps(params.base.denoiser)}")
    if isinstance(params.judge, JudgeTraining):
        parts.append(f"judge {_steps(params.judge)}")
    if parts:
        yield "training", "; ".join(parts)
    if counted.oracles:
        yield (
            "retraining",
            f"{counted.oracles} oracles, each as much work as the base model: concepts {len(params.oracles.concepts)}, "
            f"seeds {len(params.oracles.seeds)}",
        )


def _steps(training: Any) -> str:
    return f"{training.steps:,} steps of {training.batch:,} pictures"


def _told(source: str, root: Path) -> Mapping[str, Any]:
    """Family, side and more of a checkpoint: what its pin says, or before that, what is published of it."""
    if fields := _pin(source, root):
        return dict(fields)
    if found := known.CHECKPOINTS.get(Path(source).stem):
        return {"family": found.family, "side": found.side, "network": found.network}
    return {}


def _pin(source: str, root: Path) -> Any:
    """What a pin says, if it is there."""
    return read_json(root / source) if (root / source).is_file() else None


def _load(source: str, root: Path, kind: str) -> str:
    """What is to be loaded of a model."""
    if source == WORLD_FILE:
        return "trained here"
    if (fields := _pin(source, root)) is None:
        return f"{source} is missing; first: unpaint pin {kind}{_unpinned(Path(source).stem)}"
    if "folder" in fields:
        return f"{_size(fields['bytes'])} in {fields['folder']}"
    return f"{_size(fields['bytes'])} to load (`unpaint fetch`): {fields['repository']} at {fields['revision'][:12]}"


def _unpinned(name: str) -> str:
    """What to pin, and about how much that loads."""
    if found := known.CHECKPOINTS.get(name):
        return f"{found.repository}, which loads {_numbers(found.parameters)}"
    if other := known.OTHERS.get(name):
        size = _numbers(other.parameters) if other.parameters else f"at most about {_size(other.pixels)}"
        return f"{other.source}, which loads {size}"
    return "SOURCE (a preset's first lines name it), which loads it; its size is not known before"


def _numbers(parameters: int) -> str:
    return f"about {_size(4 * parameters)} of float32, or {_size(2 * parameters)} where its files are of half precision"


def _passes(params: Params, told: Mapping[str, Any], counted: Counts) -> str:
    """How often a picture goes through the network."""
    parts = [f"painting {_painting(params, told, counted):,} forward"]
    if isinstance(params.base, Trained | TrainedByClass):
        denoiser = params.base.denoiser
        parts.append(f"training {denoiser.steps * denoiser.batch * (1 + counted.oracles):,} forward and back")
    seen = sum(_seen(method) for method in params.methods.values()) * len(params.seeds) * counted.concepts
    return f"of one picture through the network: {', '.join(parts)}, unlearning {seen:,} forward and back"


def _painting(params: Params, told: Mapping[str, Any], counted: Counts) -> int:
    asked = 2 if params.sampling.guidance > 1 and told.get("family") != DISTILLED else 1
    return counted.painted * params.sampling.steps * asked


def _seen(method: Any) -> int:
    """Pictures that a method sees."""
    return int(method.steps * method.batch * (1 + getattr(method, "retain_batches_per_step", 1)))


def _time(params: Params, told: Mapping[str, Any], counted: Counts) -> str:
    if not isinstance(params.base, Pinned):
        return "not known: such a network was not timed on one (two CPU cores: docs/laboratory.md, base-models.md)"
    if not told:
        return "not known before it is pinned"
    if told["family"] not in FORWARD:
        return f"not known: no rehearsal of {told['family']}"
    seconds, side = FORWARD[told["family"]]
    seconds *= (told["side"] / side) ** 2
    painting = _painting(params, told, counted)
    training = 0
    for method in params.methods.values():
        ways = 4 if method.gradient_checkpointing else 3
        training += _seen(method) * ways * len(params.seeds) * counted.concepts
    hours = [f"{ways * seconds / 3600:,.1f} h" for ways in (painting + training, painting, training)]
    return (
        f"about {hours[0]} on one H200, by the rehearsal's steps (docs/base-models.md): painting {hours[1]}, "
        f"unlearning {hours[2]}; encoding, scoring and loading come on top"
    )


def _disk(params: Params, told: Mapping[str, Any], counted: Counts, root: Path) -> str:
    """Pictures as they are uncompressed, and what learned, in float32."""
    if isinstance(params.base, Pinned) and not told:
        return f"not known before it is pinned: {counted.painted:,} pictures, the weights of {counted.models:,} models"
    side = told["side"] if isinstance(params.base, Pinned) else getattr(params.world, "side", SIDE)
    numbers = sum(learned(params, told, side, root)) * len(params.seeds) * counted.concepts
    size = (
        f"about {_size(4 * numbers)} of the weights" if numbers else "the weights (their size shows once it is fetched)"
    )
    return (
        f"at most {_size(counted.painted * side**2 * 3)} of pictures, {size} of {counted.models:,} models; encoded "
        "sets, scores and what is loaded or trained come on top"
    )


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
