"""A clone of this project at a commit, in which stages are made again by that commit's own code."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unpaint import warm
from unpaint.audit.hashes import Hashes
from unpaint.audit.lock import Entry
from unpaint.errors import UserError, some
from unpaint.lineage.engines import repository
from unpaint.lineage.git import git, here
from unpaint.models.checkpoint import cached
from unpaint.reproduce.environment import computes
from unpaint.reproduce.target import NOTE, RESULTS, Target
from unpaint.sources import CHECKPOINTS, DATASETS, JUDGES


@contextlib.contextmanager
def clone(keep: Path | None) -> Iterator[Path]:
    """A clone without files yet, that is deleted in the end, unless it is to be kept in a folder.

    It has git's objects from this project, so it costs no disk; and is of no use without it.

    Raises:
        UserError: the folder is not empty, or in this project; this is a part of a larger repository.
    """
    if inside := git("rev-parse", "--show-prefix").strip():
        raise UserError(f"{inside} is a folder of a larger git repository; a model is made again in one of its own")
    with contextlib.ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unpaint-reproduce-")))
        else:
            folder = keep.absolute()
            if folder.resolve().is_relative_to(Path.cwd().resolve()):
                raise UserError(f"{keep}: is in this project, which stays as it is; give a folder elsewhere")
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UserError(f"{keep}: is there already; give a new folder")
        git("clone", "--quiet", "--shared", "--no-checkout", str(Path.cwd()), str(folder))
        yield folder


def check_out(folder: Path, target: Target, stages: Sequence[Entry], cache: Path) -> list[str]:
    """Bring a commit's files into a clone, and those that `dvc add` keeps, as far as `stages` read them.

    Returns:
        What the stages were made with that is not the commit's, by its own dvc.lock.

    Raises:
        UserError: what `dvc add` keeps is not in DVC's cache.
    """
    with contextlib.chdir(folder):
        git("clean", "--quiet", "-ffdx")  # of a commit that was tried before
        git("checkout", "--quiet", "--force", "--detach", target.commit)
    with _inside(folder, cache) as repo:
        read = {path for entry in stages for path in entry.deps if not path.startswith(RESULTS)}
        kept = [path for path in Path().rglob("*.dvc") if path.is_file() and any(map(path.is_relative_to, read))]
        _bring(repo, list(map(str, kept)), target.commit)
        # `repo.status` of some stages parses dvc.lock for each of them
        known = {stage.addressing: stage for stage in repo.index.stages}
        gone = [f"dvc.yaml: no stage {entry.name}" for entry in stages if entry.name not in known]
        with repo.lock:
            told = [known[entry.name].status() for entry in stages if entry.name in known]
    found = {place: None for each in told for changes in each.values() for place in _changed(changes)}
    return [*gone, *found, *target.broken]


def prepare(folder: Path, target: Target, cache: Path, hashes: Hashes, *, last: bool) -> None:
    """Take out of a clone what is to be made again, and bring what that is made from.

    Args:
        last: whether a model's own stages alone are made again; what they read is brought from DVC's cache.

    Raises:
        UserError: something is not here: a result in the cache, a checkpoint in the Hub's cache or in its folder.
    """
    _link_pinned(folder, target)
    if not last:
        shutil.rmtree(folder / RESULTS, ignore_errors=True)
        return
    for path in (folder / out for entry in target.own for out in entry.outs):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    with _inside(folder, cache) as repo:
        _bring(repo, [entry.name for entry in target.read], target.commit)
    for entry in target.read:
        for out, digest in entry.outs.items():
            if not out.endswith(NOTE) and hashes.digest(folder / out) != digest:
                raise UserError(
                    f"{out}: commit {target.commit[:12]} or DVC's cache has another than its dvc.lock names; "
                    "leave out --last to make it again"
                )


def make(folder: Path, target: Target, cores: int, *, last: bool) -> None:
    """Make a target's stages again by Snakemake, whose words go to standard error.

    Where they compute, they share one import of the libraries, as far as the commit knows how.

    Raises:
        UserError: it failed or was stopped.
    """
    rules = list(dict.fromkeys(entry.name.partition("@")[0] for entry in target.own))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
    command += ["--allowed-rules", *rules] if last else []
    command += ["--", *(entry.note for entry in target.own)]
    if any(map(computes, target.own)) and (folder / "src/unpaint/warm.py").is_file():
        command = [sys.executable, "-c", "from unpaint.cli import main; main()", "warm", *command]
    if code := warm.wait(command, _environment(folder), folder, sys.stderr):
        raise UserError(
            f"not made again: Snakemake ended with {code}, and says above why, with the log of a job that failed; "
            "--keep FOLDER keeps everything"
        )


def _environment(folder: Path) -> dict[str, str]:
    """Where the clone's own sources and this interpreter come first."""
    kept = {name: value for name, value in here().items() if name != warm.VARIABLE}
    for name, first in (("PYTHONPATH", folder / "src"), ("PATH", Path(sys.executable).parent)):
        kept[name] = os.pathsep.join(filter(None, (str(first), kept.get(name))))
    return kept


@contextlib.contextmanager
def _inside(folder: Path, cache: Path) -> Iterator[Any]:
    """The clone as the current folder, and its DVC repository with another cache and nothing outside it."""
    own = {"cache": {"dir": str(cache)}, "core": {"site_cache_dir": str(folder / ".dvc/tmp/site")}}
    with contextlib.chdir(folder), repository(own) as repo:
        yield repo


def _bring(repo: Any, targets: list[str], commit: str) -> None:
    """Check out of DVC's cache what is named; what is not there is not looked for in a remote."""
    from dvc.exceptions import CheckoutError, DvcException

    if not targets:
        return
    try:
        repo.checkout(targets=targets, force=True)
    except CheckoutError as error:
        missing = some(sorted(map(str, error.target_infos)), 3)
        raise UserError(
            f"not in DVC's cache: {missing}; where commit {commit[:12]} is checked out, `dvc pull` brings it from a "
            "remote"
        ) from None
    except DvcException as error:
        raise UserError(f"DVC's cache: {error}") from None


def _changed(told: Any) -> Iterator[str]:
    """What DVC says that a stage was made with otherwise, but for results, which are to be made again."""
    for part in told:
        changed = part.get("changed deps", {}) if isinstance(part, Mapping) else {}
        for place, how in changed.items():
            if isinstance(how, Mapping):
                yield from (f"{place}: {key}" for key in how)
            elif not place.startswith(RESULTS):
                yield place


def _link_pinned(folder: Path, target: Target) -> None:
    """Link what is pinned in folders of this project, of which git and DVC may know no more than the pins.

    A job holds each file against its pin.
    """
    for pin in _pins(target.stages):
        fields = json.loads((folder / pin).read_text(encoding="utf-8"))
        if "repository" in fields:
            cached(
                fields["repository"], fields["revision"], DATASETS.kind if pin.parent == DATASETS.folder else "model"
            )
        elif not (place := folder / fields["folder"]).exists():
            if not (mine := Path(fields["folder"]).absolute()).is_dir():
                raise UserError(f"{fields['folder']}: missing; {pin} pins it, and no network has it: put it there")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(mine)


def _pins(stages: Sequence[Entry]) -> set[Path]:
    """The pins of what is from elsewhere: a data set's is a setting, a checkpoint's an input."""
    read = {Path(path) for entry in stages for path in entry.deps}
    worlds = {Path(str(entry.params["world"].get("source"))) for entry in stages if "world" in entry.params}
    return {path for path in read | worlds if path.parent in (CHECKPOINTS.folder, JUDGES.folder, DATASETS.folder)}
