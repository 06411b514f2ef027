"""Checkpoints from elsewhere, pinned: of a known family, whole, and safetensors throughout."""

from __future__ import annotations

from pathlib import Path

from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.models.families import Family, find
from unpaint.sources import CHECKPOINTS

WEIGHTS = ("model.safetensors", "diffusion_pytorch_model.safetensors")
"""What the weights of a network are called; in parts they have an index of that name."""
PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
MODELS = {"diffusers": ("Model", "KL"), "transformers": ("Model", "Projection")}
"""How the classes end that have weights, by library."""


def pin(source: str, revision: str | None, name: str | None, side: int | None) -> Path:
    """Pin a folder of the project, or a repository of the Hub at a revision (its current one, if none is given).

    Args:
        name: of the pin; that of the folder or repository, if none is given.
        side: of its pictures, in pixels; that of its training, if none is given.

    Returns:
        The pin's path.

    Raises:
        UserError: it is not there, a single file, of no known family, incomplete, or not safetensors throughout.
    """
    if (file := Path(source)).is_file():
        raise UserError(
            f"{file}: one file, and a checkpoint is a folder; make one, with a FOLDER of the configs of its kind: "
            f"python -c \"import diffusers; diffusers.StableDiffusionPipeline.from_single_file('{file}', "
            f"config='FOLDER', local_files_only=True).save_pretrained('checkpoints/{file.stem}')\"; then `unpaint pin "
            f"checkpoints/{file.stem}`"
        )
    place, folder = CHECKPOINTS.locate(source, revision)
    family, names = examine(folder)
    said = {"family": family.name, "side": family.side(folder, side), **family.described(folder)}
    return CHECKPOINTS.write(name or Path(source).name, place, folder, names, said)


def examine(folder: Path) -> tuple[Family, list[str]]:
    """The family of a checkpoint, and the files of it that will be read, by relative path.

    Raises:
        UserError: it is of no known family, a part is missing, or its weights are not safetensors.
    """
    if not (folder / "model_index.json").is_file():
        raise UserError(f"{folder}/model_index.json: missing; a checkpoint in diffusers' layout has it")
    family = find(folder)
    index = read_json(folder / "model_index.json")
    names = ["model_index.json"]
    for part, value in sorted(index.items()):
        if isinstance(value, list) and len(value) == 2 and value[0]:
            found = [path.name for path in sorted((folder / part).glob("*")) if path.is_file()]
            kept = [name for name in found if CHECKPOINTS.takes(f"{part}/{name}")]
            if not kept:
                raise UserError(f"{folder}/{part}: missing; model_index.json lists it")
            if value[0] in MODELS and value[1].endswith(MODELS[value[0]]):
                _refuse_without_weights(folder, part, found, kept)
            names += [f"{part}/{name}" for name in kept]
    if "scheduler/scheduler_config.json" not in names:
        raise UserError(f"{folder}/scheduler/scheduler_config.json: missing; a checkpoint has it")
    return family, names


def _refuse_without_weights(folder: Path, part: str, found: list[str], kept: list[str]) -> None:
    for name in WEIGHTS:
        if name in kept:
            return
        if f"{name}.index.json" in kept:
            parts = set(read_json(folder / part / f"{name}.index.json")["weight_map"].values())
            if missing := sorted(parts - set(kept)):
                raise UserError(f"{folder}/{part}: {some(missing, 2)} missing, of which {name}.index.json is the list")
            return
    if pickled := [name for name in found if name.endswith(PICKLED)]:
        raise UserError(
            f"{folder}/{part}/{pickled[0]}: a pickled checkpoint can run code and is refused; convert it where you "
            f"trust it: python -c \"import diffusers; diffusers.DiffusionPipeline.from_pretrained('{folder}')"
            f".save_pretrained('{folder}-safe', safe_serialization=True)\""
        )
    raise UserError(
        f"{folder}/{part}: no {' or '.join(WEIGHTS)}; a checkpoint that has only pickled weights, or another variant "
        "(fp16), is refused: load it where you trust it, and save it by save_pretrained"
    )
