"""Published judges: open_clip models, pinned as checkpoints are."""

from __future__ import annotations

from pathlib import Path

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.intact import refuse_broken
from unpaint.params.length import DEFAULT
from unpaint.sources import JUDGES

CONFIG = JUDGES.wanted[0]
FOREIGN = ("hf_model_name", "hf_tokenizer_name")
"""Settings of a text tower that has to be fetched from a repository of its own."""


def pin(source: str, revision: str | None, name: str | None) -> Path:
    """Pin an open_clip model: a folder of the project, a repository of the Hub, or MODEL/TAG of open_clip's own list.

    Returns:
        The pin's path.

    Raises:
        UserError: it is not there, has no safetensors, or its text tower is none of CLIP's.
    """
    path = JUDGES.path(source, _short(source) if name is None else name)
    place, folder = JUDGES.locate(source if Path(source).is_dir() else _listed(source) or source, revision)
    return JUDGES.write(path, place, folder, JUDGES.wanted, _described(folder))


def _listed(source: str) -> str | None:
    """The repository of MODEL/TAG where open_clip lists it, such as ViT-B-32/laion2b_s34b_b79k."""
    from open_clip import get_pretrained_cfg

    model, _, tag = source.partition("/")
    hub: str = get_pretrained_cfg(model, tag).get("hf_hub", "")
    return "/".join(hub.split("/")[:2]) or None


def _short(source: str) -> str:
    """What a pin is called: MODEL-TAG of open_clip's list, else as the folder or repository."""
    return source.replace("/", "-") if _listed(source) else Path(source).name


def _described(folder: Path) -> dict[str, int]:
    """The width of its features, and how many tokens of a text it reads, once both files are there, and whole."""
    for file in JUDGES.wanted:
        if not (folder / file).is_file():
            raise UserError(
                f"{folder}/{file}: missing; a judge is a folder or repository with {' and '.join(JUDGES.wanted)}"
            )
    refuse_broken(folder, JUDGES.wanted)
    try:
        config = read_json(folder / CONFIG)["model_cfg"]
        width, text = int(config["embed_dim"]), dict(config["text_cfg"])
        tokens = int(text.get("context_length", DEFAULT))
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{folder}/{CONFIG}: not the config of an open_clip model") from None
    if foreign := [key for key in FOREIGN if text.get(key)]:
        raise UserError(
            f"{folder}/{CONFIG}: {foreign[0]}: {text[foreign[0]]}; a text tower from a repository of its own is not "
            "known here, take a judge with CLIP's own"
        )
    return {"embedding": width, "tokens": tokens}
