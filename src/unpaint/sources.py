"""Where models from elsewhere lie, and the pins that say which is meant.

A pin is a small file that git keeps: a folder of the project or a commit of the Hub, the sha256 of every file that will
be read, and what the model says of itself. Both engines watch the pin alone; a job holds what it reads against it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256, write_json
from unpaint.models.checkpoint import cached


def locate(
    source: str, revision: str | None, wanted: Sequence[str], unwanted: Sequence[str] = ()
) -> tuple[dict[str, str], Path]:
    """Where a model lies, as a pin says it, and its folder on this machine.

    Args:
        source: a folder of the project, or a repository of the Hub.
        revision: of the repository; its current one, if none is given.
        wanted, unwanted: patterns of the files that are loaded from the Hub.

    Raises:
        UserError: it is not there, or not inside the project.
    """
    if (folder := Path(source)).is_dir():
        if folder.is_absolute() or ".." in folder.parts:
            raise UserError(f"{source}: give a folder of the project, by its path in it")
        return {"folder": folder.as_posix()}, folder
    revision = revision or latest(source)
    return {"repository": source, "revision": revision}, download(source, revision, wanted, unwanted)


def write_pin(
    path: Path, place: Mapping[str, str], folder: Path, names: Sequence[str], said: Mapping[str, Any]
) -> None:
    """Write a pin of the files `names` in `folder`, with what the model says of itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = sum((folder / name).stat().st_size for name in names)
    files = {name: sha256(folder / name) for name in names}
    write_json(path, {**place, **said, "bytes": size, "files": files})


def read_pin(path: Path, said: Collection[str], again: str) -> Mapping[str, Any]:
    """A pin, which has the keys `said`.

    Args:
        again: the command that makes one.

    Raises:
        UserError: it is none.
    """
    fields = read_json(path)
    if not isinstance(fields, dict) or not {*said, "bytes", "files"} <= set(fields):
        raise UserError(f"{path}: not a pin of this kind; make one: {again}")
    return fields


def bring(path: Path, fields: Mapping[str, Any], wanted: Sequence[str], unwanted: Sequence[str] = ()) -> Path:
    """The folder of what a pin names, loaded from the Hub into its cache here if need be.

    Raises:
        UserError: it cannot be had; or a folder of the project is not there.
    """
    if "folder" not in fields:
        return download(fields["repository"], fields["revision"], wanted, unwanted)
    return _folder(path, fields)


def verified(path: Path, fields: Mapping[str, Any], again: str) -> Path:
    """The folder of what a pin names, once every file is held against its sha256; nothing is loaded.

    Raises:
        UserError: a file is missing or another one.
    """
    folder = _folder(path, fields) if "folder" in fields else cached(fields["repository"], fields["revision"])
    for name, digest in fields["files"].items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: missing, {path} lists it; `unpaint fetch` brings it")
        if sha256(folder / name) != digest:
            raise UserError(
                f"{folder / name}: not the file that {path} lists (truncated or changed); bring back the pinned one "
                f"(`unpaint fetch`), or pin anew what is there (`{again}`)"
            )
    return folder


def _folder(path: Path, fields: Mapping[str, Any]) -> Path:
    if not (folder := Path(fields["folder"])).is_dir():
        raise UserError(f"{folder}: missing; {path} pins it, and no network has it: put it there")
    return folder


def latest(repository: str) -> str:
    """The current revision of a repository of the Hub.

    Raises:
        UserError: there is none, or no network.
    """
    from huggingface_hub import HfApi

    with _in_words(repository):
        return str(HfApi().model_info(repository).sha)


def download(repository: str, revision: str, wanted: Sequence[str], unwanted: Sequence[str] = ()) -> Path:
    """Bring files of a revision of a repository of the Hub into its cache; what is there already is not loaded again.

    Args:
        wanted, unwanted: patterns of the files.

    Raises:
        UserError: no such repository or revision, its terms are not accepted, or there is no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with _in_words(repository):
        try:
            return Path(
                snapshot_download(
                    repository, revision=revision, allow_patterns=list(wanted), ignore_patterns=list(unwanted)
                )
            )
        except LocalEntryNotFoundError:
            pass
    return cached(repository, revision)


@contextmanager
def _in_words(repository: str) -> Iterator[None]:
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
