"""Where models and data sets from elsewhere lie, and the pins that say which is meant.

A pin is a small file that git keeps: a folder of the project or a commit of the Hub, the sha256 of every file that will
be read, and what the thing says of itself. Both engines watch the pin alone; a job holds what it reads against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256, write_json
from unpaint.models.checkpoint import cached, restored

Look = Callable[[str, Path, list[str]], None]
NAME = re.compile(r"[^/{}.][^/{}]*")
"""What a pin is called, as params.yaml takes it."""


@dataclass(frozen=True)
class Pins:
    """The pins of one kind.

    Attributes:
        folder: where they are.
        command: what makes one.
        said: what one says of the thing, by key.
        wanted, unwanted: patterns of the files that are loaded from the Hub.
        kind: what the Hub calls it, model or dataset.
    """

    folder: Path
    command: str
    said: frozenset[str]
    wanted: Sequence[str]
    unwanted: Sequence[str] = ()
    kind: str = "model"

    def path(self, source: str, name: str | None) -> Path:
        """Where the pin of `source` will be.

        Args:
            name: of the pin; that of the folder or repository, if none is given.

        Raises:
            UserError: no source, or a name that params.yaml could not give.
        """
        if not source.strip():
            raise UserError("SOURCE: empty; give a folder of the project, or OWNER/NAME of the Hub")
        found = Path(source).name if name is None else name
        if not NAME.fullmatch(found):
            raise UserError(
                f"--name: {found!r} cannot be that of a pin, which begins with no point and has no / and no braces; "
                "give another"
            )
        return self.folder / f"{found}.json"

    def locate(self, source: str, revision: str | None, look: Look | None = None) -> tuple[dict[str, str], Path]:
        """Where something lies, as a pin says it, and its folder on this machine.

        Args:
            source: a folder of the project, or a repository of the Hub.
            revision: of the repository; its current one, if none is given.
            look: is given a repository, a folder with its model_index.json and the names of its files before any
                other is loaded, where there is a network.

        Raises:
            UserError: it is not there, `look` refuses it, or not inside the project.
        """
        if (folder := Path(source)).is_dir():
            if folder.is_absolute() or ".." in folder.parts:
                raise UserError(f"{source}: give a folder of the project, by its path in it")
            if revision:
                raise UserError(f"--revision: {source} is a folder here, which has no revisions; leave it out")
            return {"folder": folder.as_posix()}, folder
        revision = revision or self._latest(source)
        if look and (names := self._names(source, revision)):
            look(source, self._download(source, revision, ["model_index.json"]), names)
        return {"repository": source, "revision": revision}, self._download(source, revision)

    def write(
        self, path: Path, place: Mapping[str, str], folder: Path, files: Sequence[str], said: Mapping[str, Any]
    ) -> Path:
        """Write a pin of `files` in `folder`, with what the thing says of itself.

        Returns:
            The pin's path.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        size = sum((folder / file).stat().st_size for file in files)
        write_json(path, {**place, **said, "bytes": size, "files": {file: sha256(folder / file) for file in files}})
        return path

    def read(self, path: Path, *more: str) -> Mapping[str, Any]:
        """A pin of this kind.

        Args:
            more: further keys that it has.

        Raises:
            UserError: it is none, or missing.
        """
        if not path.is_file():
            raise UserError(f"{path} is missing; make it: {self.command}")
        fields = read_json(path)
        keys = {*self.said, *more, "bytes", "files"}
        places = ({"folder"}, {"repository", "revision"})
        if not isinstance(fields, dict) or not any(keys | place <= set(fields) for place in places):
            raise UserError(f"{path}: not a pin of this kind; make one: {self.command}")
        return fields

    def fetch(self, path: Path) -> Path:
        """The folder of what a pin names, loaded from the Hub into its cache here if need be, and verified.

        Raises:
            UserError: it cannot be had; a file is missing or another one; or a folder of the project is not there.
        """
        fields = self.read(path)
        if "repository" in fields:
            self._download(fields["repository"], fields["revision"])
        return self.verified(path)

    def verified(self, path: Path) -> Path:
        """The folder of what a pin names, once every file is held against its sha256; nothing is loaded.

        Raises:
            UserError: a file is missing or another one.
        """
        fields = self.read(path)
        here = "folder" in fields
        folder = _folder(path, fields) if here else self._cached(fields["repository"], fields["revision"])
        for name, digest in fields["files"].items():
            file = folder / name
            if not file.is_file():
                raise UserError(f"{file}: missing, {path} lists it; {restored(here, self.command)}")
            if sha256(file) != digest:
                raise UserError(
                    f"{file}: not the file that {path} lists (truncated or changed); "
                    f"{restored(here, self.command, file)}"
                )
        return folder

    def takes(self, file: str) -> bool:
        """Whether a file, by its path in the folder, is among those that are read."""
        wanted, unwanted = (
            any(fnmatchcase(file, pattern) for pattern in patterns) for patterns in (self.wanted, self.unwanted)
        )
        return wanted and not unwanted

    def _names(self, repository: str, revision: str) -> list[str]:
        """The files of a repository; none, where the Hub does not tell (what is in its cache here is taken then)."""
        from huggingface_hub import HfApi, errors

        try:
            return sorted(HfApi().list_repo_files(repository, revision=revision, repo_type=self.kind))
        except (errors.HTTPError, OSError, ValueError):  # type: ignore[attr-defined]  # as in _in_words
            return []

    def _download(self, repository: str, revision: str, only: Sequence[str] = ()) -> Path:
        """Bring what is read of a repository into the Hub's cache; what is there already is not loaded again.

        Args:
            only: patterns in place of those of this kind.

        Raises:
            UserError: no such repository or revision, its terms are not accepted, or there is no network.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        wanted, unwanted = list(only or self.wanted), list(self.unwanted)
        with _in_words(repository):
            try:
                return Path(
                    snapshot_download(
                        repository,
                        repo_type=self.kind,
                        revision=revision,
                        allow_patterns=wanted,
                        ignore_patterns=unwanted,
                    )
                )
            except LocalEntryNotFoundError:
                pass
        return self._cached(repository, revision)

    def _cached(self, repository: str, revision: str) -> Path:
        return cached(repository, revision, self.kind)

    def _latest(self, repository: str) -> str:
        """The current revision of a repository of the Hub.

        Raises:
            UserError: there is none, or no network.
        """
        from huggingface_hub import HfApi

        with _in_words(repository, "no such folder here, and "):
            return str(HfApi().repo_info(repository, repo_type=self.kind).sha)


CHECKPOINTS = Pins(
    Path("data/checkpoints"),
    "unpaint pin SOURCE",
    frozenset({"family", "side"}),
    ("model_index.json", *(f"*/*{kind}" for kind in (".json", ".txt", ".model", ".safetensors"))),
    # other variants of the weights, and what lies deeper
    ("*.fp16[.-]*", "*.bf16[.-]*", "*.non_ema[.-]*", "*/*/*"),
)
"""Base models. Of itself one says its family and the side of its pictures; one by class also its classes."""
JUDGES = Pins(
    Path("data/judges"),
    "unpaint pin --judge SOURCE",
    frozenset({"embedding"}),
    ("open_clip_config.json", "open_clip_model.safetensors"),
)
"""Judges, in the layout of open_clip's repositories. Of itself one says the width of its features, and how
many tokens of a text it reads (one that was made before that was asked: 77)."""
LANGUAGE_MODELS = Pins(
    Path("data/language"),
    "unpaint pin --language SOURCE",
    frozenset({"model"}),
    ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors"),
    ("*/*",),
)
"""Causal language models of transformers. Of itself one says its kind."""


DATASETS = Pins(
    Path("data/worlds"),
    "unpaint pin --dataset SOURCE",
    frozenset({"rows", "copies", "image", "columns"}),
    ("*.parquet",),
    kind="dataset",
)
"""Labelled data sets in Parquet. Of itself one says its rows, its column of pictures, and the values of the others."""


def _folder(path: Path, fields: Mapping[str, Any]) -> Path:
    if not (folder := Path(fields["folder"])).is_dir():
        raise UserError(f"{folder}: missing; {path} pins it, and no network has it: put it there")
    return folder


@contextmanager
def _in_words(repository: str, before: str = "") -> Iterator[None]:
    """Errors of the Hub in words, with what is said before one that may have another cause."""
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
        raise UserError(
            f"{repository}: {before}the Hub cannot be reached ({type(error).__name__}); "
            f"{'correct it, or ' if before else ''}try again later"
        ) from None
