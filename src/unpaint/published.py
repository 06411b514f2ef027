"""Published judges: open_clip models, pinned as checkpoints are; of itself a judge says the width of its features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unpaint import sources
from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.sources import bring, locate, read_pin, write_pin

FOLDER = Path("data/judges")
"""Where pins are."""
CONFIG, WEIGHTS = FILES = ("open_clip_config.json", "open_clip_model.safetensors")
"""The layout of open_clip's repositories on the Hub."""
AGAIN = "unpaint pin --judge SOURCE"
FOREIGN = ("hf_model_name", "hf_tokenizer_name")
"""Settings of a text tower that has to be fetched from a repository of its own."""


def pin(source: str, revision: str | None, name: str | None) -> Path:
    """Pin an open_clip model: a folder of the project, a repository of the Hub, or MODEL/TAG of open_clip's own list.

    Returns:
        The pin's path.

    Raises:
        UserError: it is not there, has no safetensors, or its text tower is none of CLIP's.
    """
    place, folder = locate(source if Path(source).is_dir() else _listed(source) or source, revision, FILES)
    embedding = _width(folder)
    path = FOLDER / f"{name or _short(source)}.json"
    write_pin(path, place, folder, FILES, {"embedding": embedding})
    return path


def read(path: Path) -> Mapping[str, Any]:
    """A pin.

    Raises:
        UserError: it is none.
    """
    return read_pin(path, {"embedding"}, AGAIN)


def fetch(path: Path) -> Path:
    """Bring what a pin names into the Hub's cache on this machine.

    Raises:
        UserError: it cannot be had; or a folder of the project is not there.
    """
    return bring(path, read(path), FILES)


def verified(path: Path) -> Path:
    """The folder of the model that the pin at `path` names, once both files are held against their sha256.

    Raises:
        UserError: it is not here, or another one.
    """
    return sources.verified(path, read(path), AGAIN)


def _listed(source: str) -> str | None:
    """The repository of MODEL/TAG where open_clip lists it, such as ViT-B-32/laion2b_s34b_b79k."""
    from open_clip import get_pretrained_cfg

    model, _, tag = source.partition("/")
    hub: str = get_pretrained_cfg(model, tag).get("hf_hub", "")
    return "/".join(hub.split("/")[:2]) or None


def _short(source: str) -> str:
    """What a pin is called: MODEL-TAG of open_clip's list, else as the folder or repository."""
    return source.replace("/", "-") if _listed(source) else Path(source).name


def _width(folder: Path) -> int:
    """The width of its features, once both files are there."""
    for file in FILES:
        if not (folder / file).is_file():
            raise UserError(f"{folder}/{file}: missing; a judge is a folder or repository with {' and '.join(FILES)}")
    try:
        config = read_json(folder / CONFIG)["model_cfg"]
        width, text = int(config["embed_dim"]), dict(config["text_cfg"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{folder}/{CONFIG}: not the config of an open_clip model") from None
    if foreign := [key for key in FOREIGN if text.get(key)]:
        raise UserError(
            f"{folder}/{CONFIG}: {foreign[0]}: {text[foreign[0]]}; a text tower from a repository of its own is not "
            "known here, take a judge with CLIP's own"
        )
    return width
