"""The two verbs that join the engines' books: record (after Snakemake ran), restore (after git or DVC moved files)."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from unpaint import rendered
from unpaint.audit.hashes import Hashes, index, place_of
from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.lineage.engines import Job, outdated, repository, rules, snakemake
from unpaint.lineage.git import git
from unpaint.lineage.manifest import sha256

GONE = {"deleted", "not in cache"}
"""What DVC says of files that are not here."""


def record() -> int:
    """Write what Snakemake made into dvc.lock and the cache; return the number of stages.

    `dvc commit --force` on a stale tree would record a falsehood and poison the run-cache, so this refuses as long as
    Snakemake has anything left to do.

    Raises:
        UserError: no repository, or files that are not up to date, were changed after they were made, or have no job.
    """
    with repository() as repo:
        if stale := outdated():
            raise UserError(f"not recorded: Snakemake would still make {some(stale, 5)}; run snakemake first")
        jobs = rules()
        if changed := _changed(jobs):
            raise UserError(
                f"not recorded: {some(changed, 5)} differ from what their run notes say was made; "
                f"make them again: snakemake --cores 1 --forcerun {' '.join(changed)}"
            )
        if strays := _strays(jobs):
            raise UserError(
                f"not recorded: no job makes {some(strays, 5)} any more; delete what is no longer wanted (or all: rm "
                "-r results/summaries results/judgements results/comparison.json results/report.html; snakemake makes "
                "those of this campaign again from their pools)"
            )
        _drop_rotten(jobs, Path(repo.cache.local_cache_dir))
        repo.commit(force=True)
        # every corpus and every pool is there
        rendered.clear_all()
        if left := repo.status():
            raise UserError(f"recorded, but DVC still sees changes in {', '.join(left)}; run `dvc status`")
        return len(list(repo.index.stages))


def restore() -> tuple[int, list[str]]:
    """Check out what dvc.lock names, and let Snakemake take the files as up to date.

    What git keeps and is gone comes from git: a job that fails takes its outputs with it, the lists of rows among them.

    Returns the number of stages and the files that the cache does not hold (a partial pull, say), which stay missing.

    Raises:
        UserError: no repository, small files are missing that git does not know, or the tree differs from dvc.lock in
            more than missing files.
    """
    with repository() as repo:
        missing = _missing_data(repo)
        outs = [out for stage in repo.index.stages for out in stage.outs if not out.use_cache]
        gone = [out.def_path for out in outs if not Path(out.def_path).exists()]
        if (
            kept := set(git("--literal-pathspecs", "ls-files", "-z", "--", *gone).split("\0")) & set(gone)
            if gone
            else set()
        ):
            git("checkout-index", "-u", "--", *kept)  # never over a file that is there
        if lost := sorted(set(gone) - kept):
            raise UserError(
                f"not restored: {len(lost)} files that DVC leaves to git are missing, and git does not know them, the "
                f"first is {lost[0]}; they belong into the commit of dvc.lock (git add results)"
            )
        changes = {name: found for name, found in repo.status().items() if not _only(found, GONE)}
        if changes:
            raise UserError(
                f"not restored: {', '.join(changes)} differ from dvc.lock (`dvc status` says how); "
                "check out the commit that belongs to these files; `dvc pull`, if some are not here; or run `dvc repro`"
            )
        stages = len(list(repo.index.stages))
    snakemake("--touch", "--forceall", "--cores", "1", "--quiet", "all", "--", "all")
    return stages, missing


def _changed(jobs: list[Job]) -> list[str]:
    """The files whose content is none of those that the run note beside their job's outputs names."""
    found = []
    for job in jobs:
        for note in (name for name in job.outputs if name.endswith(".run.json")):
            written = set(read_json(Path(note))["outputs"].values())
            found += [path for path in job.outputs - {note} if sha256(Path(path)) not in written]
    return sorted(found)


def _drop_rotten(jobs: list[Job], cache: Path) -> None:
    """Delete what DVC's cache has under the hash of a file here, and is another: DVC would put it in its place."""
    with index() as database:
        hashes = Hashes(database)
        for path in (Path(path) for job in jobs for path in job.outputs):
            if hashes.is_rotten(kept := place_of(cache, hashes.of(path).md5)):
                kept.unlink()


def _strays(jobs: list[Job]) -> list[str]:
    """Files of concepts, methods or seeds that are gone: DVC would record them as a part of the folder."""
    made = {path for job in jobs for path in job.outputs}
    kept = [path for folder in ("summaries", "judgements") for path in Path("results", folder).glob("*")]
    return sorted(str(path) for path in kept if path.as_posix() not in made)


def _missing_data(repo: object) -> list[str]:
    from dvc.exceptions import CheckoutError, DvcException

    try:
        repo.checkout()  # type: ignore[attr-defined]
    except CheckoutError as error:
        return sorted(str(path) for path in error.target_infos)
    except DvcException as error:
        if "unsaved" not in str(error):
            raise
        raise UserError(
            "not restored: files here are in none of DVC's books and would be lost; run `unpaint record` to keep them, "
            "or delete them"
        ) from None
    return []


def _only(found: object, states: Set[str]) -> bool:
    """Whether every leaf of DVC's nested status is one of `states`."""
    if isinstance(found, dict):
        return all(_only(part, states) for part in found.values())
    if isinstance(found, list):
        return all(_only(part, states) for part in found)
    return found in states
