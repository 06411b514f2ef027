"""Checkpoints from elsewhere: pinned by a small file that git keeps, and fetched where there is a network.

A pin names a folder of the project or a commit of the Hub, the family, the side of the pictures, and the sha256 of
every file that will be read. Both engines watch the pin alone; each job holds what it reads against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.lineage.manifest import sha256, write_json
from unpaint.models.checkpoint import cached
from unpaint.models.families import Family, find, named

FOLDER = Path("data/checkpoints")
"""Where pins are."""
KINDS = (".json", ".txt", ".model", ".safetensors")
"""The files of a component that diffusers and transformers read."""
VARIANTS = ("*.fp16[.-]*", "*.bf16[.-]*", "*.non_ema[.-]*")
"""Other variants of the weights."""
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
    if (folder := Path(source)).is_dir():
        if folder.is_absolute() or ".." in folder.parts:
            raise UserError(f"{source}: give a folder of the project, by its path in it")
        place = {"folder": folder.as_posix()}
    else:
        revision = revision or latest(source)
        place, folder = {"repository": source, "revision": revision}, download(source, revision)
    family, names = examine(folder)
    path = FOLDER / f"{name or Path(source).name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {part: sha256(folder / part) for part in names}
    said = {"family": family.name, "side": family.side(folder, side), **family.described(folder)}
    size = sum((folder / part).stat().st_size for part in names)
    write_json(path, {**place, **said, "bytes": size, "files": files})
    return path


def read(path: Path) -> Mapping[str, Any]:
    """A pin.

    Raises:
        UserError: it is none.
    """
    fields = read_json(path)
    wanted = {"family", "side", "files", "bytes"}
    if isinstance(fields, dict) and wanted <= set(fields) and named(fields["family"]).by_class:
        wanted |= {"classes", "label_of_none"}
    if not isinstance(fields, dict) or not wanted <= set(fields):
        raise UserError(f"{path}: not a pin of a checkpoint; make one: unpaint pin SOURCE")
    return fields


def fetch(path: Path) -> Path:
    """Bring what a pin names into the Hub's cache on this machine; jobs need no network then.

    Raises:
        UserError: it cannot be had; or a folder of the project is not there.
    """
    fields = read(path)
    if "folder" not in fields:
        return download(fields["repository"], fields["revision"])
    if not Path(fields["folder"]).is_dir():
        raise UserError(f"{fields['folder']}: missing; {path} pins it, and no network has it: put it there")
    return Path(fields["folder"])


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


def download(repository: str, revision: str) -> Path:
    """Bring a revision of a repository of the Hub into its cache; what is there already is not loaded again.

    Raises:
        UserError: no such repository or revision, its terms are not accepted, or there is no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = ["model_index.json", *(f"*/*{kind}" for kind in KINDS)]
    with _said(repository):
        try:
            return Path(
                snapshot_download(
                    repository, revision=revision, allow_patterns=wanted, ignore_patterns=[*VARIANTS, "*/*/*"]
                )
            )
        except LocalEntryNotFoundError:
            pass
    return cached(repository, revision)


def latest(repository: str) -> str:
    """The current revision of a repository of the Hub.

    Raises:
        UserError: there is none, or no network.
    """
    from huggingface_hub import HfApi

    with _said(repository):
        return str(HfApi().model_info(repository).sha)


@contextmanager
def _said(repository: str) -> Iterator[None]:
    """Errors of the Hub in words."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise UserError(f"{repository}: accept its terms on its page on the Hub, then `hf auth login` here") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{repository}: it has no such revision; leave it out for the current one") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise UserError(
            f"{repository}: neither a folder here nor a repository of the Hub that you may read; correct it, or "
            "`hf auth login`"
        ) from None
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]  # that of the HTTP library it is built on
        raise UserError(f"{repository}: the Hub cannot be reached ({type(error).__name__}); try again later") from None


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
