"""Checkpoints from elsewhere: pinned, and fetched where there is a network.

Of itself a checkpoint says its family and the side of its pictures; one by class also what its classes are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.models.families import Family, find, named
from unpaint.sources import bring, locate, read_pin, write_pin

FOLDER = Path("data/checkpoints")
"""Where pins are."""
AGAIN = "unpaint pin SOURCE"
KINDS = (".json", ".txt", ".model", ".safetensors")
"""The files of a component that diffusers and transformers read."""
VARIANTS = ("*.fp16[.-]*", "*.bf16[.-]*", "*.non_ema[.-]*")
"""Other variants of the weights."""
WANTED, UNWANTED = ["model_index.json", *(f"*/*{kind}" for kind in KINDS)], [*VARIANTS, "*/*/*"]
"""The files of a repository that are loaded, and of those the ones that are not."""
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
        UserError: it is not there, of no known family, incomplete, or not safetensors throughout.
    """
    place, folder = locate(source, revision, WANTED, UNWANTED)
    family, names = examine(folder)
    path = FOLDER / f"{name or Path(source).name}.json"
    said = {"family": family.name, "side": family.side(folder, side), **family.described(folder)}
    write_pin(path, place, folder, names, said)
    return path


def read(path: Path) -> Mapping[str, Any]:
    """A pin.

    Raises:
        UserError: it is none.
    """
    fields = read_pin(path, {"family", "side"}, AGAIN)
    if named(fields["family"]).by_class:
        read_pin(path, {"classes", "label_of_none"}, AGAIN)
    return fields


def fetch(path: Path) -> Path:
    """Bring what a pin names into the Hub's cache on this machine; jobs need no network then.

    Raises:
        UserError: it cannot be had; or a folder of the project is not there.
    """
    return bring(path, read(path), WANTED, UNWANTED)


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
            kept = [name for name in found if _read(name)]
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


def _read(name: str) -> bool:
    """Whether a file of a component is read."""
    return name.endswith(KINDS) and not any(fnmatchcase(name, pattern) for pattern in VARIANTS)
