"""Checkpoints from elsewhere, pinned: of a known family, whole, and safetensors throughout."""

from __future__ import annotations

from pathlib import Path

from unpaint.errors import UserError
from unpaint.intact import INDEX, mapping_in, refuse_broken, timesteps_in
from unpaint.models.families import Family, find
from unpaint.sources import CHECKPOINTS

WEIGHTS = ("model.safetensors", "diffusion_pytorch_model.safetensors")
"""What the weights of a network are called; in parts they have an index of that name."""
IN_ONE_FILE = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline")
"""Pipelines that diffusers can make of one file."""
PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
MODELS = {
    "diffusers": ("Model", "KL"),
    "transformers": ("Model", "Projection"),
    "stable_diffusion": ("SafetyChecker",),
}
"""How the classes end that have weights, by library."""
CONFIGS = {
    "Scheduler": ("scheduler_config.json",),
    "Tokenizer": ("tokenizer.json", "vocab.json", "spiece.model"),
    "Processor": ("preprocessor_config.json",),
    "Extractor": ("preprocessor_config.json",),
}
"""What a part is made from, one of these, by what its class is called; any other has a config.json."""


def pin(source: str, revision: str | None, name: str | None, side: int | None) -> Path:
    """Pin a folder of the project, or a repository of the Hub at a revision (its current one, if none is given).

    Args:
        name: of the pin; that of the folder or repository, if none is given.
        side: of its pictures, in pixels; that of its training, if none is given.

    Returns:
        The pin's path.

    Raises:
        UserError: it is not there, a single file, named as no pin can be, of no known family, incomplete, broken, or
            not safetensors throughout.
    """
    if (file := Path(source)).is_file():
        raise UserError(_one_file(file))
    path = CHECKPOINTS.path(source, name)
    place, folder = CHECKPOINTS.locate(source, revision, _look)
    family, names = examine(folder)
    said = {"family": family.name, "side": family.side(folder, side), **family.described(folder)}
    return CHECKPOINTS.write(path, place, folder, names, said)


def _one_file(file: Path) -> str:
    """Why one file is none, and what makes a folder of it."""
    if file.suffix != ".safetensors":
        return f"{file}: one file, and no safetensors, so it can run code; give a folder or OWNER/NAME of the Hub"
    return (
        f"{file}: one file, and a checkpoint is a folder; make one, with a FOLDER of the configs of its kind, and with "
        f"PIPELINE as its model_index.json has it ({', '.join(IN_ONE_FILE)}): "
        f"python -c \"import diffusers; diffusers.PIPELINE.from_single_file('{file}', "
        f"config='FOLDER', local_files_only=True).save_pretrained('checkpoints/{file.stem}')\"; then `unpaint pin "
        f"checkpoints/{file.stem}`"
    )


def examine(folder: Path) -> tuple[Family, list[str]]:
    """The family of a checkpoint, and the files of it that will be read, by relative path.

    Raises:
        UserError: it is of no known family, a part is missing or broken, or its weights are not safetensors.
    """
    there = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*") if path.is_file())
    family, names = _laid_out(folder.as_posix(), folder, there)
    refuse_broken(folder, names)
    for name in names:
        if name.endswith("/config.json"):
            mapping_in(folder / name)
    timesteps_in(folder)
    return family, names


def _look(repository: str, folder: Path, names: list[str]) -> None:
    """Refuse by the names of its files what would be loaded for nothing."""
    _laid_out(repository, folder, names)


def _laid_out(where: str, folder: Path, there: list[str]) -> tuple[Family, list[str]]:
    """The family of a checkpoint, and those of its files that will be read.

    Args:
        where: what it is called in errors.
        folder: of its model_index.json; no other file is looked at.
        there: its files, by relative path.
    """
    if not (folder / "model_index.json").is_file():
        raise UserError(f"{where}/model_index.json: missing; a checkpoint in diffusers' layout has it")
    family = find(folder)
    index = mapping_in(folder / "model_index.json")
    parts = {part: value for part, value in sorted(index.items()) if isinstance(value, list) and _classed(value)}
    if absent := [part for part in family.parts if part not in parts]:
        raise UserError(
            f"{where}/model_index.json: no {absent[0]}, and a {family.pipeline} is made of {', '.join(family.parts)}; "
            "is _class_name that of this checkpoint?"
        )
    names = ["model_index.json"]
    for part, value in parts.items():
        found = [name.removeprefix(f"{part}/") for name in there if name.startswith(f"{part}/")]
        names += [f"{part}/{name}" for name in _kept(where, part, found, *value)]
    return family, names


def _classed(value: list[object]) -> bool:
    return len(value) == 2 and all(isinstance(text, str) and text for text in value)


def _kept(where: str, part: str, found: list[str], library: str, kind: str) -> list[str]:
    """The files of a part that will be read; by its class it must have a config, and weights."""
    kept = [name for name in found if CHECKPOINTS.takes(f"{part}/{name}")]
    wanted = next((files for word, files in CONFIGS.items() if word in kind), ("config.json",))
    if library in MODELS and kind.endswith(MODELS[library]) and found:
        _refuse_without_weights(where, part, found, kept)
    if not kept:
        raise UserError(f"{where}/{part}: missing; model_index.json lists it")
    if not set(wanted) & set(kept):
        raise UserError(
            f"{where}/{part}: no {' or '.join(wanted)}; the {kind} is made from it, get it anew from where "
            "the rest came from"
        )
    return kept


def _refuse_without_weights(where: str, part: str, found: list[str], kept: list[str]) -> None:
    if any(name in kept or f"{name.removesuffix('.safetensors')}{INDEX}" in kept for name in WEIGHTS):
        return
    if pickled := [name for name in found if name.endswith(PICKLED)]:
        raise UserError(
            f"{where}/{part}/{pickled[0]}: a pickled checkpoint can run code and is refused; convert it where you "
            f"trust it: python -c \"import diffusers; diffusers.DiffusionPipeline.from_pretrained('{where}')"
            f".save_pretrained('{where}-safe', safe_serialization=True)\""
        )
    raise UserError(
        f"{where}/{part}: no {' or '.join(WEIGHTS)}; a checkpoint that has only pickled weights, or another variant "
        "(fp16), is refused: load it where you trust it, and save it by save_pretrained"
    )
