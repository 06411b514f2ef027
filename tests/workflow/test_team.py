"""What docs/team.md says of several people, branches and experiments, done."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.world import clone, commit, environment, run

NOTHING = "Nothing to be done"
RGD, RG = "results/seven/rgd/seed0/model.safetensors", "results/seven/rg/seed0/model.safetensors"


def change(project: Path, edit: Any) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(params)
    path.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")


def add(name: str, steps: int) -> Any:
    """The edit that adds a method."""

    def edit(params: Any) -> None:
        params["methods"][name] = {**params["methods"]["rg"], "steps": steps}

    return edit


def ran(printed: str) -> set[str]:
    return {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}


def pulled(project: Path) -> int:
    return len(list((project / ".dvc/cache/files/md5").glob("*/*")))


@pytest.mark.slow
def test_two_branches_that_added_a_model_each_become_one(finished: Path, tmp_path: Path) -> None:
    project = clone(finished, tmp_path / "ours")
    run(project, "dvc", "remote", "add", "-q", "-d", "kept", str(tmp_path / "remote"))
    commit(project, "a remote")
    other = clone(project, tmp_path / "theirs")
    assert "no git merge has stopped at dvc.lock here" in run(project, "unpaint", "merge", fails=True)
    for folder, name, steps in ((project, "first", 3), (other, "second", 4)):
        run(folder, "git", "checkout", "-q", "-b", name)
        change(folder, add(name, steps))
        run(folder, "unpaint", "warm", "snakemake", "--cores", "2")
        run(folder, "unpaint", "record")
        commit(folder, name)
        run(folder, "dvc", "push")
    made = (other / "results/seven/second/seed0/model.safetensors").read_bytes()

    run(project, "git", "fetch", "-q", str(other), "second:second")
    run(project, "git", "merge", "second", fails=True)
    assert "<<<<<<<" not in (project / "dvc.lock").read_text()
    printed = run(project, "unpaint", "merge")
    assert "Both sides changed params, compare, report: ours are taken." in printed
    run(project, "git", "checkout", "--ours", "params.yaml")
    change(project, add("second", 4))
    run(project, "dvc", "pull")
    assert ran(run(project, "dvc", "repro")) == {"params", "compare", "report"}
    run(project, "unpaint", "restore")
    commit(project, "merged")
    assert run(project, "git", "rev-list", "--merges", "HEAD").strip()
    assert (project / "results/seven/second/seed0/model.safetensors").read_bytes() == made
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")
    assert "Data and pipelines are up to date." in run(project, "dvc", "status")
    run(project, "unpaint", "audit", "model")
    names = (project / "results/comparison.json").read_text(encoding="utf-8")
    assert '"first"' in names
    assert '"second"' in names


@pytest.mark.slow
def test_a_clone_makes_one_model_anew_of_what_it_pulls(finished: Path, tmp_path: Path) -> None:
    source = clone(finished, tmp_path / "source")
    run(source, "dvc", "remote", "add", "-q", "-d", "kept", str(tmp_path / "remote"))
    run(source, "dvc", "push")
    project = clone(finished, tmp_path / "clone", data=False)
    run(project, "dvc", "remote", "add", "-q", "-d", "kept", str(tmp_path / "remote"))
    asked = ("dvc", "repro", "--pull", "--allow-missing", "unlearn@seven-rg-0")
    # what nobody changed is neither run nor brought
    assert ran(run(project, *asked)) == set()
    assert pulled(project) == 0
    change(project, lambda params: params["methods"]["rg"].update(steps=3))
    # base.json alone is a dependency; the files that it lists are not
    printed = run(project, *asked, fails=True)
    assert "missing, base.json lists it; restore it with `dvc checkout` or `dvc pull`" in printed
    run(project, "dvc", "pull", "base")
    assert ran(run(project, *asked)) == {"unlearn@seven-rg-0"}
    assert not (project / RGD).exists()
    done = subprocess.run(
        ["unpaint", "audit", "model", RG], cwd=project, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "unlearn@seven-rg-0: verified" in done.stdout


@pytest.mark.slow
def test_an_experiment_is_run_left_and_taken_up_again(project: Path) -> None:
    before = (project / RGD).read_bytes()
    printed = run(project, "unpaint", "warm", "dvc", "exp", "run", "-n", "three", "-S", "methods.rgd.steps=3")
    models = {f"{stage}@seven-rgd-0" for stage in ("unlearn", "samples", "evaluate", "summary")}
    assert ran(printed) == models | {"params", "compare", "report"}
    made = (project / RGD).read_bytes()
    assert made != before
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")

    run(project, "git", "checkout", "-q", "--", ".")
    run(project, "unpaint", "restore")
    assert (project / RGD).read_bytes() == before
    run(project, "dvc", "exp", "apply", "three")
    assert (project / RGD).read_bytes() == made
    assert "params have changed" in run(project, "snakemake", "--cores", "1", "-n")
    run(project, "unpaint", "restore")
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")
    assert ran(run(project, "dvc", "repro")) == set()
    commit(project, "three")
    run(project, "unpaint", "audit", "model")

    printed = run(project, "dvc", "exp", "run", "-S", "methods.rgd.learning_rate=0.00003", fails=True)
    assert "3e-05 is a text to one engine and a number to the other; write 3.0e-05" in printed
    assert (project / RGD).read_bytes() == made


@pytest.mark.slow
def test_two_clones_share_a_cache(finished: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    projects = [clone(finished, tmp_path / name, data=False) for name in ("one", "two")]
    for project in projects:
        run(project, "dvc", "cache", "dir", "--local", str(cache))
        run(project, "dvc", "config", "--local", "cache.shared", "group")
    source = clone(finished, tmp_path / "source")
    for project in (source, projects[0]):
        run(project, "dvc", "remote", "add", "--local", "-q", "-d", "kept", str(tmp_path / "remote"))
    run(source, "dvc", "push")
    run(projects[0], "dvc", "pull")
    run(projects[1], "dvc", "checkout")
    run(projects[1], "unpaint", "audit", "model", RGD)
    assert {path.stat().st_mode & 0o7777 for path in (cache / "files/md5").iterdir()} == {0o2775}
    assert {path.stat().st_mode & 0o777 for path in (cache / "files/md5").glob("*/*")} == {0o444}
