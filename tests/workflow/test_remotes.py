"""Remotes, for real: a folder, S3 and SSH give back what was pushed, and say what they cannot give."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers import PATIENCE, STORES, Store, narrow
from tests.world import clone, environment, run

NOTHING = "Nothing to be done"
STAGE = "unlearn@seven-rgd-0"
MODEL = "results/seven/rgd/seed0/model.safetensors"
NEEDED = {STAGE, "base", "world", "prompts@seven", "anchors@seven"} | {
    f"{stage}@seven-{kept}" for stage in ("images", "encode") for kept in ("forget", "retain")
}
SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("s3", "ssh")]


@dataclass(frozen=True)
class Pushed:
    """The finished project and the store where the remote `whole` has all of it."""

    project: Path
    store: Store


@pytest.fixture(scope="module", params=["folder", *SERVERS])
def pushed(
    request: pytest.FixtureRequest, finished: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pushed]:
    place = tmp_path_factory.mktemp(request.param)
    with STORES[request.param](place) as store:
        project = clone(finished, place / "project")
        store.connect(project, "whole")
        run(project, "dvc", "push")
        yield Pushed(project, store)


def auditor(pushed: Pushed, folder: Path, remote: str = "whole") -> Path:
    """A clone of git alone, with a remote to pull from."""
    cloned = clone(pushed.project, folder, data=False)
    pushed.store.connect(cloned, remote)
    return cloned


def audited(project: Path, *, fails: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(project, "unpaint", "audit", "model", MODEL, "--json", fails=fails))
    return found


def missing(project: Path) -> set[str]:
    """The files that an audit misses; nothing that is here may contradict the books."""
    done = subprocess.run(
        ["unpaint", "audit", "model", MODEL, "--json"], cwd=project, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert found["verdict"] == "missing"
    assert not [text for stage in found["stages"] for text in stage["contradictions"]]
    return {path for stage in found["stages"] for path in stage["missing"]}


def stages(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return found


def objects(project: Path) -> set[str]:
    """The md5 of all that the cache holds."""
    return {f"{path.parent.name}{path.name}" for path in (project / ".dvc/cache/files/md5").glob("*/*")}


def outs(project: Path, names: set[str]) -> dict[str, set[str]]:
    """What DVC keeps of stages: by path the md5 of its object, and of a folder those of all that is in it."""
    in_git = set(run(project, "git", "ls-files", "results").split("\n"))
    found = {out["path"]: {out["md5"]} for name in names for out in stages(project)[name]["outs"]}
    for held in found.values():
        (first,) = held
        if first.endswith(".dir"):
            listed = json.loads((project / ".dvc/cache/files/md5" / first[:2] / first[2:]).read_text())
            held.update(each["md5"] for each in listed)
    return {path: held for path, held in found.items() if path not in in_git}


def md5(project: Path, path: str) -> str:
    (found,) = (
        out["md5"] for stage in stages(project).values() for out in stage.get("outs", []) if out["path"] == path
    )
    return str(found)


def test_one_model_comes_with_its_ancestry_alone_and_all_of_it_is_what_was_made(pushed: Pushed, tmp_path: Path) -> None:
    project = auditor(pushed, tmp_path / "clone")
    assert len(missing(project)) > 1
    run(project, "dvc", "pull", "--with-deps", STAGE)
    needed = set().union(*outs(project, NEEDED).values())
    assert objects(project) == needed < objects(pushed.project)
    assert audited(project)["verdict"] == "verified"

    run(project, "dvc", "pull")
    assert f"restored: {len(stages(project))} stages" in run(project, "unpaint", "restore")
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")
    assert "Running stage" not in run(project, "dvc", "repro")
    assert run(project, "git", "status", "--porcelain") == ""
    made = [path for path in (pushed.project / "results").rglob("*") if path.is_file() and path.name != ".gitignore"]
    for path in made:
        assert (project / path.relative_to(pushed.project)).read_bytes() == path.read_bytes()


def kill_a_push(pushed: Pushed, remote: str) -> set[str]:
    """`dvc push`, ended by SIGKILL once the remote has some objects and not all; those that it has then."""
    whole = pushed.store.objects("whole")
    with contextlib.ExitStack() as way:
        port = full = None
        if pushed.store.port:
            port, full = way.enter_context(narrow(pushed.store.port, sum(whole.values()) // 2))
        pushed.store.connect(pushed.project, remote, port)
        process = subprocess.Popen(
            ["dvc", "push", "--jobs", "2"], cwd=pushed.project, env=environment(), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while not (full.is_set() if full else pushed.store.objects(remote)):
            assert process.poll() is None, "the push ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()
        process.wait()
    pushed.store.connect(pushed.project, remote)
    return set(pushed.store.objects(remote))


def test_a_push_that_was_killed_is_seen_and_ends_at_the_next(pushed: Pushed, tmp_path: Path) -> None:
    whole = pushed.store.objects("whole")
    held = kill_a_push(pushed, "killed")
    assert set() < held < set(whole)

    project = auditor(pushed, tmp_path / "clone", "killed")
    assert "failed to pull data from the cloud" in run(project, "dvc", "pull", fails=True)
    assert objects(project) <= held
    assert missing(project) == {path for path, md5s in outs(pushed.project, NEEDED).items() if not md5s <= held}

    run(pushed.project, "dvc", "push")
    assert pushed.store.objects("killed") == whole
    run(project, "dvc", "pull")
    assert audited(project)["verdict"] == "verified"
    assert objects(project) == set(whole)


def test_a_lost_object_is_named_and_a_rotten_one_does_not_come_in(pushed: Pushed, tmp_path: Path) -> None:
    lost = md5(pushed.project, MODEL)
    content = pushed.store.read("whole", lost)
    pushed.store.lose("whole", lost)
    project = auditor(pushed, tmp_path / "clone")
    printed = run(project, "dvc", "pull", "--with-deps", STAGE, fails=True)
    assert MODEL in printed
    assert missing(project) == {MODEL}

    pushed.store.rot("whole", lost, content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    printed = run(project, "dvc", "pull", "--with-deps", STAGE, fails=True)
    assert MODEL in printed
    assert not (project / MODEL).exists()
    assert lost not in objects(project)
    assert missing(project) == {MODEL}

    # DVC looks at an object's name alone: what is rotten has to go first
    pushed.store.connect(pushed.project, "whole")
    assert "Everything is up to date" in run(pushed.project, "dvc", "push")
    pushed.store.lose("whole", lost)
    run(pushed.project, "dvc", "push")
    assert pushed.store.read("whole", lost) == content
    run(project, "dvc", "pull", "--with-deps", STAGE)
    assert audited(project)["verdict"] == "verified"


@pytest.mark.parametrize("pushed", SERVERS, indirect=True)
def test_a_stranger_is_refused_and_harms_nothing(pushed: Pushed, tmp_path: Path) -> None:
    """A wrong secret, or the key of another."""
    import asyncssh

    if "keyfile" in pushed.store.settings:
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "other")
        wrong, said = {"keyfile": str(tmp_path / "other")}, "Permission denied"
    else:
        wrong, said = {"secret_access_key": "another"}, "403"
    before = pushed.store.objects("whole")
    project = auditor(pushed, tmp_path / "clone")
    pushed.store.connect(project, "whole", **wrong)
    printed = run(project, "dvc", "pull", "--with-deps", STAGE, "-v", fails=True)
    assert said in printed
    assert objects(project) == set()
    assert MODEL in missing(project)
    pushed.store.connect(pushed.project, "stranger", **wrong)
    assert said in run(pushed.project, "dvc", "push", "-v", fails=True)
    pushed.store.connect(pushed.project, "whole")
    assert pushed.store.objects("whole") == before
    assert pushed.store.objects("stranger") == {}
