"""A model is made again from git alone; what is not what the books say is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.test_checkpoint import PIN, SOURCE, project_of
from tests.world import COMMIT, bring_pictures, clone, commit, environment, run, write_params
from unpaint import tombstones
from unpaint.lineage.manifest import sha256
from unpaint.tombstones import Tombstone

NAME = "seven/rgd/seed0"
MODEL = f"results/{NAME}/model.safetensors"
PROMPTS = "results/seven/prompts/train.json"

Reproduce = Callable[..., dict[str, Any]]
CODES = {"reproduced bit by bit": 0, "reproduced in its scores": 3, "not reproduced": 1}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; libraries leave some of their own there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def reproduce(temporary: Path) -> Reproduce:
    def made(project: Path, name: str, *flags: str) -> dict[str, Any]:
        """What is told of a model that is made again, and beforehand."""
        done = subprocess.run(
            ["unpaint", "reproduce", name, "--json", "--cores", "2", *flags],
            cwd=project,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr[-6000:]
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == CODES[found["verdict"]]
        assert not list(temporary.glob("unpaint-*"))
        return {**found, "before": done.stderr.partition("\nUsing workflow")[0]}

    return made


def stats(project: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file but for DVC's temporary ones, where an audit's index is."""
    files = (path for path in project.rglob("*") if ".dvc/tmp" not in str(path) and not path.is_dir())
    return {str(path): (path.lstat().st_size, path.lstat().st_ctime_ns) for path in files}


def rename_in_lock(project: Path, path: str) -> str:
    """Let dvc.lock name another content of a file, everywhere; committed."""
    book = project / "dvc.lock"
    (md5,) = {
        out["md5"]
        for stage in yaml.safe_load(book.read_text())["stages"].values()
        for out in stage.get("outs", [])
        if out["path"] == path
    }
    book.write_text(book.read_text().replace(md5, md5[::-1]))
    commit(project, "another hash")
    return md5[::-1]


def change_note(project: Path, path: str, stage: str, **fields: Any) -> None:
    note = project / f"{path}.run.json"
    held = json.loads(note.read_text())
    note.unlink()
    note.write_text(json.dumps({**held, **fields}))
    run(project, "dvc", "commit", "--force", stage)
    run(project, *COMMIT, "-a", "--amend", "--no-edit")


def test_the_unlearning_alone_is_repeated_bit_by_bit(project: Path, reproduce: Reproduce) -> None:
    withdrawn = Tombstone(why="request 7", on="2026-11-26", prompt="a prompt")
    tombstones.write(project / tombstones.of_concept("seven"), [withdrawn])
    before = stats(project)
    found = reproduce(project, NAME, "--last")
    assert stats(project) == before
    assert "tombstones that the commit does not have: 1;" in found["before"]
    assert found["verdict"] == "reproduced bit by bit"
    assert [stage["name"] for stage in found["stages"]] == [
        f"{rule}@seven-rgd-0" for rule in ("unlearn", "samples", "evaluate")
    ]
    assert all(stage["compared"] >= 2 and stage["inputs"] for stage in found["stages"])
    metrics = json.loads((project / f"results/{NAME}/metrics.json").read_text())
    for name, pair in found["scores"].items():
        assert pair["here"] == pair["there"] == {key: metrics[name][key] for key in ("value", "low", "high")}
    assert {"UA", "RA", "FD"} <= set(found["scores"])
    assert found["environment"]["due"] == (found["environment"]["device"] == "cpu")
    assert f"{NAME}: 3 stages to make again" in found["before"]


def test_a_wrong_hash_is_not_reproduced_and_its_stage_is_named(project: Path, reproduce: Reproduce) -> None:
    rename_in_lock(project, PROMPTS)
    found = reproduce(project, PROMPTS)
    assert (found["verdict"], found["first"]) == ("not reproduced", "prompts@seven")
    assert found["stages"] == [{"name": "prompts@seven", "inputs": True, "compared": 2, "differ": [PROMPTS]}]
    assert found["environment"]["due"]


def test_git_alone_is_enough_and_another_environment_is_told(
    project: Path, tmp_path: Path, reproduce: Reproduce
) -> None:
    packages = json.loads((project / f"{PROMPTS}.run.json").read_text())["packages"]
    here = packages["torch"]
    lock = project / "requirements.lock"
    lock.write_text(re.sub("^torch==[^ ]+", "torch==1.1", lock.read_text(), flags=re.MULTILINE))
    change_note(project, PROMPTS, "prompts@seven", packages={**packages, "torch": "1.0"}, lock="0" * 64)
    found = reproduce(project, PROMPTS)
    assert found["verdict"] == "reproduced bit by bit"
    assert found["environment"]["differences"] == [{"what": "torch", "there": "1.0", "here": here}]
    assert not found["environment"]["due"]
    assert f"torch 1.0 there, {here} here" in found["before"]
    assert "requirements.lock of the commit is not the one that was there" in found["before"]
    assert "the environment it was made in is another: bits may differ" in found["before"]
    # the run notes are DVC's, so git alone does not have them; what the commit pins is then what is known
    auditor = clone(project, tmp_path / "auditor", data=False)
    assert not (auditor / f"{PROMPTS}.run.json").exists()
    found = reproduce(auditor, PROMPTS)
    assert found["verdict"] == "reproduced bit by bit"
    assert found["environment"]["unknown"] == ["prompts@seven"]
    assert found["environment"]["differences"] == [{"what": "torch", "there": "1.1", "here": here}]
    assert "the run notes of prompts@seven are not here" in found["before"]


@pytest.mark.slow
def test_a_model_of_an_older_commit_is_made_by_the_code_and_settings_of_then(
    project: Path, tmp_path: Path, reproduce: Reproduce
) -> None:
    """The newer commit's dvc.lock names it as well, but neither its settings nor its code made it."""
    then = run(project, "git", "rev-parse", "HEAD").strip()
    shutil.copy(project / MODEL, tmp_path / "copy.safetensors")
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["methods"]["rgd"]["steps"] = 3
    write_params(project, params)
    loop = project / "src/unpaint/unlearn/loop.py"
    loop.write_text(loop.read_text() + "\nraise RuntimeError('the code of now')\n")
    commit(project, "other settings, other code")
    found = reproduce(project, MODEL, "--last", "--keep", str(tmp_path / "kept"))
    assert (found["verdict"], found["commit"]) == ("reproduced bit by bit", then)
    assert (found["scores"], [stage["name"] for stage in found["stages"]]) == ({}, ["unlearn@seven-rgd-0"])
    # what stays is what was made, by the sources of then
    kept = tmp_path / "kept"
    assert sha256(kept / MODEL) == sha256(project / MODEL)
    notes = [json.loads((folder / f"{MODEL}.run.json").read_text()) for folder in (kept, project)]
    assert notes[0]["commit"] == then
    assert notes[0]["sources"] == notes[1]["sources"]
    assert notes[0]["finished"] > notes[1]["finished"]
    # what dvc.lock names no more is found by its content
    rename_in_lock(project, MODEL)
    told = run(project, "unpaint", "reproduce", NAME, "--last", fails=True)
    assert "params.yaml: methods.rgd" in told
    assert "src/unpaint/unlearn" in told
    assert "no commit whose dvc.lock names it has the code, data and settings that made it" in told
    printed = run(project, "unpaint", "reproduce", str(tmp_path / "copy.safetensors"), "--last")
    assert f"copy.safetensors of commit {then[:12]}; 7 files of 3 stages" in printed


@pytest.mark.slow
def test_in_another_environment_the_scores_decide(project: Path, reproduce: Reproduce) -> None:
    """Of a model of other bytes, whose pool and scores come out as recorded."""
    change_note(project, MODEL, "unlearn@seven-rgd-0", processor="another")
    rename_in_lock(project, MODEL)
    found = reproduce(project, NAME, "--last")
    assert (found["verdict"], found["first"]) == ("reproduced in its scores", "unlearn@seven-rgd-0")
    assert [stage["differ"] for stage in found["stages"]] == [[MODEL], [], []]
    assert [stage["inputs"] for stage in found["stages"]] == [True, False, True]
    assert [one["what"] for one in found["environment"]["differences"]] == ["processor"]


def test_what_cannot_be_made_again_is_said_before_anything_is_made(
    project: Path, tmp_path: Path, temporary: Path
) -> None:
    def told(folder: Path, *arguments: str) -> str:
        printed = run(folder, "unpaint", "reproduce", *arguments, fails=True)
        assert "SNAKEMAKE" not in printed
        assert not list(temporary.glob("unpaint-*"))
        return printed

    assert "dvc.lock names no such model" in told(project, "seven/other/seed0")
    shutil.copy(project / MODEL, tmp_path / "other.safetensors")
    with (tmp_path / "other.safetensors").open("ab") as file:
        file.write(b"0")
    assert "no dvc.lock of this clone names such content" in told(project, str(tmp_path / "other.safetensors"))
    assert "is in this project, which stays as it is" in told(project, NAME, "--keep", "kept")
    assert "is there already; give a new folder" in told(project, NAME, "--keep", str(tmp_path))
    assert not (project / "kept").exists()
    # what git alone has is not enough for a repetition of the last stages
    auditor = clone(project, tmp_path / "auditor", data=False)
    assert "not in DVC's cache: results/base/base.json" in told(auditor, NAME, "--last")
    # a hash that only one of two stages names
    whole = (project / "dvc.lock").read_text()
    stages = yaml.safe_load(whole)
    (out,) = (one for one in stages["stages"]["unlearn@seven-rgd-0"]["outs"] if one["path"] == MODEL)
    out["md5"] = "0" * 32
    (project / "dvc.lock").write_text(yaml.safe_dump(stages, sort_keys=False))
    assert f"{NAME}: no commit's dvc.lock names its hash; git add dvc.lock results" in told(project, NAME)
    commit(project, "wrong")
    assert f"samples@seven-rgd-0 read another {MODEL} than any stage of dvc.lock made" in told(project, NAME)


@pytest.mark.slow
def test_the_whole_chain_is_made_again_from_git_alone(finished: Path, tmp_path: Path, reproduce: Reproduce) -> None:
    auditor = clone(finished, tmp_path / "auditor", data=False)
    found = reproduce(auditor, NAME)
    assert found["verdict"] == "reproduced bit by bit"
    names = [stage["name"] for stage in found["stages"]]
    assert {"world", "base", "judge", "images@seven-forget", "evaluate_base@seven", "unlearn@seven-rgd-0"} <= set(names)
    assert names.index("base") < names.index("images@seven-forget") < names.index("unlearn@seven-rgd-0")
    assert "unlearn@seven-rg-0" not in names
    assert len(found["environment"]["unknown"]) == len(names)
    assert not (auditor / "results/base").exists()


@pytest.mark.slow
def test_own_pictures_that_dvc_keeps_come_from_its_cache(finished: Path, tmp_path: Path, reproduce: Reproduce) -> None:
    project = clone(finished, tmp_path / "own")
    bring_pictures(project, 12)
    run(project, "dvc", "add", "data/sets/mine")
    run(project, "dvc", "repro", "images@seven-forget")
    commit(project, "own pictures")
    corpus = "results/seven/images/forget.parquet"
    found = reproduce(project, corpus)
    assert found["verdict"] == "reproduced bit by bit"
    assert [stage["name"] for stage in found["stages"]][-1] == "images@seven-forget"
    shutil.rmtree(project / ".dvc/cache/files")
    told = run(project, "unpaint", "reproduce", corpus, fails=True)
    assert "not in DVC's cache: data/sets/mine" in told


@pytest.mark.slow
def test_a_checkpoint_of_the_project_is_read_where_it_lies(tmp_path: Path, reproduce: Reproduce) -> None:
    """Git and DVC know its pin alone."""
    project = project_of("SD1", tmp_path / "SD1")
    (project / ".git/info/exclude").write_text("/checkpoints/\n")
    run(project, "dvc", "repro", "unlearn@seven-rgd-0")
    commit(project, "made")
    before = stats(project)
    found = reproduce(project, MODEL)
    assert found["verdict"] == "reproduced bit by bit"
    assert [stage["name"] for stage in found["stages"]][-1] == "unlearn@seven-rgd-0"
    assert stats(project) == before
    (project / SOURCE).rename(tmp_path / "away")
    told = run(project, "unpaint", "reproduce", MODEL, fails=True)
    assert f"{SOURCE}: missing; {PIN} pins it" in told


@pytest.mark.slow
def test_a_rebuild_that_is_stopped_leaves_nothing(finished: Path, tmp_path: Path, temporary: Path) -> None:
    with subprocess.Popen(
        ["unpaint", "reproduce", NAME],
        cwd=finished,
        env=environment(),
        start_new_session=True,
        # a process that a shell put into the background ignores Ctrl-C, and so do all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        stdin=subprocess.DEVNULL,
        stderr=(tmp_path / "said").open("w"),
    ) as started:
        while " of " not in (tmp_path / "said").read_text().partition("Execute")[2]:
            assert started.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.1)
        assert list(temporary.glob("unpaint-reproduce-*"))
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(timeout=60) == 2
    said = (tmp_path / "said").read_text()
    assert "not made again: Snakemake ended with" in said
    assert "Traceback" not in said
    assert not list(temporary.glob("unpaint-*"))
