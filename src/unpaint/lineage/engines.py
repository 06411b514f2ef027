"""What the two engines would do: Snakemake's plan and graph, DVC's status and graph."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from unpaint.errors import UserError, some

CHOICES = {"data/inception", "data/sets", "data/tables", "data/withdrawn/concepts", "data/worlds"}
"""Folders of what a user brings: a stage depends on all of it, and which of it is read, if any, is a parameter."""


@dataclass(frozen=True)
class Job:
    """A rule or stage with the files it makes, the files it reads and, of a rule, how many threads it uses."""

    name: str
    outputs: frozenset[str]
    inputs: frozenset[str]
    threads: int = 1


def snakemake(*arguments: str) -> str:
    """Run Snakemake in this environment and return what it prints to standard output.

    Raises:
        UserError: it failed; with its own words.
    """
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise UserError(f"snakemake {' '.join(arguments)} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout


def refuse_running(what: str) -> None:
    """Refuse something that a job under way would not see.

    Raises:
        UserError: Snakemake runs here, by itself or for DVC; or was killed.
    """
    if any(Path(".snakemake/locks").glob("*")):
        raise UserError(
            f"{what} while Snakemake runs here, as a job under way would not see it; wait, or stop it (if none runs, "
            "it was killed: snakemake --unlock)"
        )


def outdated() -> list[str]:
    """The files that Snakemake would still make or update; those with a cause of their own come first."""
    table = csv.DictReader(io.StringIO(snakemake("--summary")), delimiter="\t")
    stale = [row for row in table if row["plan"] != "no update"]
    # "ok" is a file that is stale only because of one before it
    return [row["output_file"] for row in sorted(stale, key=lambda row: row["status"] == "ok")]


def rules() -> list[Job]:
    """Snakemake's jobs for the whole campaign; needs no data."""
    from snakemake.api import DAGSettings, OutputSettings, ResourceSettings, SnakemakeApi
    from snakemake.settings.enums import Quietness

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))
        # the summary goes to standard output, which belongs to our own caller
        kept, sys.stdout = sys.stdout, io.StringIO()
        try:
            workflow.dag(DAGSettings(forceall=True)).summary()
        finally:
            sys.stdout = kept
        jobs = workflow._workflow.dag.jobs
    return [
        # of the rule, as those of the job are cut to the cores above
        Job(
            job.rule.name,
            frozenset(map(str, job.output)),
            frozenset(map(str, job.input)),
            int(job.rule.resources["_cores"].value),
        )
        for job in jobs
        if job.rule.name != "all"
    ]


def stages() -> list[Job]:
    """DVC's stages, but for `params`, which has no rule."""
    from dvc.stage import PipelineStage

    with repository() as repo:
        return [
            Job(
                stage.name.partition("@")[0],
                frozenset(out.def_path for out in stage.outs),
                frozenset(dep.def_path for dep in stage.deps if dep.def_path != "params.yaml"),
            )
            for stage in repo.index.stages
            # what `dvc add` keeps is no stage of the pipeline
            if isinstance(stage, PipelineStage) and stage.name != "params"
        ]


def repository(settings: Mapping[str, Mapping[str, str]] | None = None) -> Any:
    """The DVC repository here, as a context manager.

    Args:
        settings: of DVC, by section, that go before those of its configuration.

    Raises:
        UserError: there is no git repository, or none of DVC; dvc.yaml or dvc.lock cannot be read.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import SCMError
    from dvc.utils.serialize import YAMLFileCorruptedError

    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        raise UserError("no git repository here: DVC keeps its books beside git's; run `git init` and commit first")
    try:
        repo = Repo(".", config=settings)
        repo.index  # noqa: B018 (it is read here)
    except (NotDvcRepoError, SCMError):
        raise UserError("no DVC repository here; run `dvc init` and commit first") from None
    except YAMLFileCorruptedError as error:
        raise UserError(f"{error}; restore it from git (`unpaint merge`, if a merge has stopped at dvc.lock)") from None
    return repo


def differences(rules: Iterable[Job], stages: Iterable[Job]) -> list[str]:
    """Where the two graphs disagree, in words; empty if they are one.

    A stage may depend on a folder, or make one, where the rule lists the files in it.
    """
    kept = {stage.outputs: stage for stage in stages}
    whole = {path for outputs in kept for path in outputs}
    made = {frozenset(_covering(path, whole) for path in rule.outputs): rule for rule in rules}
    found = [f"rule {rule.name}: no stage makes {_some(rule.outputs)}" for key, rule in made.items() if key not in kept]
    found += [
        f"stage {stage.name}: no rule makes {_some(stage.outputs)}" for key, stage in kept.items() if key not in made
    ]
    for key in made.keys() & kept.keys():
        rule, stage = made[key], kept[key]
        if rule.name != stage.name:
            found.append(f"rule {rule.name} and stage {stage.name} make the same file {_some(key)}")
        read, known = rule.inputs, stage.inputs
        if unseen := {path for path in read if not any(_covers(dep, path) for dep in known)}:
            found.append(f"stage {stage.name}: {_some(unseen)} is an input of the rule and no dependency")
        if unread := {dep for dep in known - CHOICES if not any(_covers(dep, path) for path in read)}:
            found.append(f"stage {stage.name}: {_some(unread)} is a dependency and no input of the rule")
    return sorted(set(found))


def _covering(path: str, folders: Set[str]) -> str:
    """The path itself, or the folder among `folders` that it is in."""
    above = (parent.as_posix() for parent in PurePosixPath(path).parents)
    return path if path in folders else next((parent for parent in above if parent in folders), path)


def _covers(dependency: str, path: str) -> bool:
    return path == dependency or path.startswith(f"{dependency}/")


def _some(paths: Iterable[str]) -> str:
    return some(sorted(paths), 1)
