"""Audits: every attack is caught and named, and nothing benign is taken for one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.world import clone, commit, run
from unpaint import corpus
from unpaint.audit.hashes import INDEX
from unpaint.lineage.manifest import sha256

MODEL = "results/seven/rgd/seed0/model.safetensors"
NAME = "seven/rgd/seed0"


def audited(project: Path, name: str = NAME, *flags: str, fails: bool = False) -> dict[str, Any]:
    printed = run(project, "unpaint", "audit", "model", name, "--json", *flags, fails=fails)
    found: dict[str, Any] = json.loads(printed)
    return found


def contradictions(project: Path, name: str = NAME) -> list[str]:
    found = audited(project, name, fails=True)
    assert found["verdict"] == "contradicted"
    return [text for stage in found["stages"] for text in stage["contradictions"]]


def flip(path: Path, place: int = -9) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    replace(path, bytes(content))


def replace(path: Path, content: bytes) -> None:
    """New content in the file's place: a cache that it may be linked to stays as it is."""
    path.unlink()
    path.write_bytes(content)


def edit(path: Path, change: Any) -> None:
    held = json.loads(path.read_text(encoding="utf-8"))
    change(held)
    replace(path, json.dumps(held, indent=2, ensure_ascii=False).encode() + b"\n")


def lock(project: Path, change: Any) -> None:
    """Edit dvc.lock by hand."""
    path = project / "dvc.lock"
    held = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(held["stages"])
    path.write_text(yaml.safe_dump(held, sort_keys=False), encoding="utf-8")


def test_an_untouched_model_is_verified_to_its_world(finished: Path) -> None:
    found = audited(finished)
    assert found["verdict"] == "verified"
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert {"unlearn@seven-rgd-0", "images@seven-forget", "prompts@seven", "base", "world"} <= set(stages)
    assert "unlearn@seven-rg-0" not in stages
    assert stages["unlearn@seven-rgd-0"]["files"][MODEL] == sha256(finished / MODEL)
    # the Merkle graph: what a stage read is what another wrote
    images = stages["images@seven-forget"]["files"]
    assert stages["encode@seven-forget"]["inputs"]["corpus"] == images["results/seven/images/forget.parquet"]
    told = run(finished, "unpaint", "audit", "model")
    assert "verified: 34 stages verified" in told
    told = run(finished, "unpaint", "audit", "model", "seven/other/seed0", fails=True)
    assert "dvc.lock names no such model; they are seven/graddiff/seed0, seven/rg/seed0, seven/rgd/seed0" in told


@pytest.mark.parametrize(
    "path",
    [
        "results/seven/images/forget.parquet",
        MODEL,
        "results/seven/rgd/seed0/metrics.json",
        "results/base/pipeline/unet/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_flipped_byte_is_named(path: str, project: Path) -> None:
    flip(project / path)
    found = contradictions(project)
    assert f"{path}: its content is not what its run note says was made (sha256)" in found


def test_a_hand_edited_score_is_named(project: Path) -> None:
    path = "results/seven/rgd/seed0/metrics.json"
    edit(project / path, lambda held: held["UA"].update(value=0.987))
    assert f"{path}: its content is not what dvc.lock names (md5)" in contradictions(project)


def rewrite(project: Path, change: Any, *, note: bool) -> None:
    """Rewrite the header of the model, and each hash that names it; and its run note as well, if wanted."""
    with safe_open(project / MODEL, framework="np") as file:
        held = json.loads(file.metadata()["unpaint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    change(held)
    (project / MODEL).unlink()
    save_file(tensors, project / MODEL, metadata={"unpaint": json.dumps(held)})

    def told(run_note: Any) -> None:
        run_note["outputs"]["model"] = sha256(project / MODEL)
        if note:
            change(run_note["manifest"])

    edit(project / f"{MODEL}.run.json", told)
    run(project, "dvc", "commit", "--force", "unlearn@seven-rgd-0")


def test_a_rewritten_header_is_named_even_if_every_hash_was_rewritten_with_it(project: Path) -> None:
    rewrite(project, lambda held: held["settings"]["method"].update(steps=1000), note=False)
    found = contradictions(project)
    assert f"{MODEL}: its header and its run note differ in settings.method.steps" in found
    assert f"dvc.lock: names another {MODEL} than the newest commit does, of equal data, code and settings" in found


def test_a_model_of_swapped_roles_is_named(project: Path) -> None:
    def swap(held: Any) -> None:
        read = held["inputs"]
        read["forget"], read["retain"] = read["retain"], read["forget"]

    rewrite(project, swap, note=True)
    commit(project, "swapped")  # so that no commit says otherwise
    found = contradictions(project)
    for role, other in (("forget", "retain"), ("retain", "forget")):
        name = f"results/seven/encoded/{other}.safetensors"
        assert f"{MODEL}.run.json: what it read as its {role} set is {name}" in found


def test_a_commit_of_a_stale_tree_is_named(project: Path) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["methods"]["rgd"]["steps"] = 3
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    run(project, "dvc", "commit", "--force")
    found = contradictions(project)
    assert f"{MODEL}.run.json: it was made at other settings than dvc.lock names: methods.rgd" in found


def test_a_poisoned_run_cache_is_named(project: Path) -> None:
    other = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["unlearn@seven-graddiff-0"]["outs"]
    poison = {out["path"].replace("graddiff", "rgd"): (out["md5"], out["size"]) for out in other}
    for path in (project / ".dvc/cache/runs").glob("*/*/*"):
        held = yaml.safe_load(path.read_text())
        if any(out["path"] == MODEL for out in held["outs"]):
            for out in held["outs"]:
                out["md5"], out["size"] = poison[out["path"]]
            path.chmod(0o644)
            path.write_text(yaml.safe_dump(held))
    lock(project, lambda stages: stages.pop("unlearn@seven-rgd-0"))
    run(project, "dvc", "repro", "--single-item", "unlearn@seven-rgd-0")
    assert sha256(project / MODEL) == sha256(project / MODEL.replace("rgd", "graddiff"))
    found = contradictions(project)
    assert f"{MODEL}.run.json: it was made at other settings than dvc.lock names: methods.rgd" in found


def test_an_edited_lock_is_named(project: Path) -> None:
    def change(stages: Any) -> None:
        (out,) = (out for out in stages["unlearn@seven-rgd-0"]["outs"] if out["path"] == MODEL)
        out["md5"] = "0" * 32
        dep = stages["encode@seven-forget"]["deps"][1]
        assert dep["path"] == "results/seven/images/forget.parquet"
        dep["md5"] = "1" * 32

    lock(project, change)
    found = contradictions(project)
    assert f"{MODEL}: its content is not what dvc.lock names (md5)" in found
    assert (
        "dvc.lock: says that encode@seven-forget read another results/seven/images/forget.parquet than the one that it "
        "was made from"
    ) in found


def test_a_link_to_elsewhere_is_named(project: Path, tmp_path: Path) -> None:
    shutil.copy(project / MODEL, tmp_path / "elsewhere.safetensors")
    (project / MODEL).unlink()
    (project / MODEL).symlink_to(tmp_path / "elsewhere.safetensors")
    assert f"{MODEL}: is a link to {tmp_path}/elsewhere.safetensors, not into DVC's cache" in contradictions(project)


def test_a_renamed_row_is_named(project: Path) -> None:
    path = project / "results/seven/images/forget.rows.tsv"
    replace(path, path.read_bytes().replace(b"train-0001.0", b"train-9999.0"))
    found = contradictions(project)
    assert "results/seven/images/forget.rows.tsv: its content is not what dvc.lock names (md5)" in found


def test_results_of_another_commit_are_named(project: Path, tmp_path: Path) -> None:
    other = clone(project, tmp_path / "other")
    params = yaml.safe_load((other / "params.yaml").read_text())
    params["methods"]["rgd"]["steps"] = 3
    (other / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    run(other, "unpaint", "warm", "snakemake", "--cores", "2", MODEL)
    shutil.rmtree(project / "results/seven/rgd")
    shutil.copytree(other / "results/seven/rgd", project / "results/seven/rgd")
    assert f"{MODEL}: its content is not what dvc.lock names (md5)" in contradictions(project)
    # with the other's book as well: then params.yaml is not what made it, which both engines say; the audit holds
    # dvc.lock and the file against git's own
    run(project, "dvc", "commit", "--force", "unlearn@seven-rgd-0")
    found = contradictions(project)
    assert f"{MODEL}.run.json: it was made at other settings than dvc.lock names: methods.rgd" in found


def test_a_change_under_an_old_time_is_named(project: Path) -> None:
    assert audited(project)["verdict"] == "verified"
    assert (project / INDEX).is_file()
    path = project / "results/seven/encoded/forget.safetensors"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as file:  # in place: the same size and inode
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
    found = contradictions(project)
    assert "results/seven/encoded/forget.safetensors: its content is not what dvc.lock names (md5)" in found


def test_a_clone_without_data_misses_files_and_no_more(project: Path, tmp_path: Path) -> None:
    source, project = project, clone(project, tmp_path / "clone", data=False)
    found = audited(project, fails=True)
    assert found["verdict"] == "missing"
    assert not [text for stage in found["stages"] for text in stage["contradictions"]]
    (model,) = (stage for stage in found["stages"] if stage["stage"] == "unlearn@seven-rgd-0")
    assert model["missing"][MODEL] == f"dvc pull {MODEL}"
    # an auditor brings one model with what it was made from, and nothing else
    for folder in (source, project):
        run(folder, "dvc", "remote", "add", "-d", "kept", str(tmp_path / "remote"))
    run(source, "dvc", "push")
    run(project, "dvc", "pull", "--with-deps", "unlearn@seven-rgd-0")
    assert audited(project, MODEL)["verdict"] == "verified"
    here = {str(path.relative_to(project)) for path in (project / "results").rglob("*") if path.is_file()}
    needed = {path for stage in audited(project, MODEL)["stages"] for path in stage["files"]}
    assert here - set(run(project, "git", "ls-files", "results").split("\n")) <= needed
    assert audited(project, fails=True)["verdict"] == "missing"  # its scores are not here
    run(project, "dvc", "pull")
    assert audited(project)["verdict"] == "verified"


def test_a_rotten_or_lost_object_of_a_remote_is_seen(project: Path, tmp_path: Path) -> None:
    auditor = clone(project, tmp_path / "clone", data=False)
    for folder in (project, auditor):
        run(folder, "dvc", "remote", "add", "-d", "kept", str(tmp_path / "remote"))
    run(project, "dvc", "push")
    outs = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["unlearn@seven-rgd-0"]["outs"]
    (md5,) = (out["md5"] for out in outs if out["path"] == MODEL)
    kept = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    flip(kept)
    kept.chmod(0o444)  # as DVC left it: one that can be written to is read again
    # DVC takes the object at its word, unless it is told to verify
    run(auditor, "dvc", "pull", "--with-deps", "unlearn@seven-rgd-0")
    assert f"{MODEL}: its content is not what dvc.lock names (md5)" in contradictions(auditor, MODEL)
    for left in (auditor / ".dvc/cache/files", auditor / MODEL):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    run(auditor, "dvc", "remote", "modify", "kept", "verify", "true")
    run(auditor, "dvc", "pull", "--with-deps", "unlearn@seven-rgd-0", fails=True)
    assert not (auditor / MODEL).exists()
    # lost, and pushed again by whoever has it: so ends a push that was interrupted
    kept.unlink(missing_ok=True)
    found = audited(auditor, MODEL, fails=True)
    assert (found["verdict"], found["stages"][0]["missing"][MODEL]) == ("missing", f"dvc pull {MODEL}")
    run(project, "dvc", "push")
    run(auditor, "dvc", "pull", "--with-deps", "unlearn@seven-rgd-0")
    assert audited(auditor, MODEL)["verdict"] == "verified"


@pytest.mark.parametrize("link", ["copy", "symlink"])
def test_nothing_benign_is_an_attack(link: str, project: Path, tmp_path: Path) -> None:
    run(project, "dvc", "config", "--local", "cache.type", link)
    run(project, "dvc", "checkout", "--relink", "--force")
    assert (project / MODEL).is_symlink() is (link == "symlink")
    assert audited(project)["verdict"] == "verified"
    # gone and back
    shutil.rmtree(project / "results")
    run(project, "git", "checkout", "--", "results")
    assert audited(project, fails=True)["verdict"] == "missing"
    run(project, "dvc", "checkout", "--force")
    assert audited(project)["verdict"] == "verified"
    # touched, from another day, of another's umask
    for path in (project / "results").rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (1e9, 4e9))
            path.chmod(0o600)
    assert audited(project)["verdict"] == "verified"
    # a commit of something else, and another folder
    (project / "notes.txt").write_text("about something else")
    commit(project, "something else")
    moved = project.rename(tmp_path / "moved here")
    found = audited(moved, fails=link == "symlink")
    # DVC's links are absolute: of a moved folder they lead nowhere until the next checkout
    assert found["verdict"] == ("missing" if link == "symlink" else "verified")
    run(moved, "dvc", "checkout", "--force")
    assert audited(moved)["verdict"] == "verified"


def searched(project: Path, query: str, *, fails: bool = False) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(project, "unpaint", "audit", "data", query, "--json", fails=fails))
    return found


def rows_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


def made(match: dict[str, Any], *, now: bool = True) -> set[str]:
    return {one["path"] for one in match["made"] if one["now"] is now}


def test_a_picture_leads_to_what_it_made_and_to_nothing_else(finished: Path, tmp_path: Path) -> None:
    _, pair, image, _ = rows_of(finished / "results/seven/images/forget.rows.tsv")[1]
    (found,) = searched(finished, image)
    assert (found["corpus"], found["row"], found["pair"]) == ("results/seven/images/forget.rows.tsv", 1, pair)
    assert found["now"]
    assert len(found["commits"]) == 1
    names = {f"results/seven/{method}/seed0" for method in ("rgd", "rg", "graddiff")}
    files = ("model.safetensors", "samples.parquet", "metrics.json")
    # no base model, no oracle
    assert made(found) == {f"{name}/{file}" for name in names for file in files}
    # a file of the picture, the prompt's text, and the pair, which the retain set has as well
    (row, *_) = (row for row in corpus.read(finished / "results/seven/images/forget.parquet") if row.sha256 == image)
    (tmp_path / "it.png").write_bytes(row.image)
    assert searched(finished, str(tmp_path / "it.png")) == [found]
    assert found in searched(finished, row.prompt)
    assert {one["corpus"] for one in searched(finished, pair)} == {
        f"results/seven/images/{name}.rows.tsv" for name in ("forget", "retain")
    }
    # a picture of the world made everything but the prompts
    (world,) = searched(finished, rows_of(finished / "results/world.rows.tsv")[0][2])
    assert {"results/base/base.json", "results/seven/retrain/seed2/base.json", MODEL} <= made(world)
    # a picture of a pool was scored, and taught nothing
    (pool,) = searched(finished, rows_of(finished / "results/seven/rgd/seed0/samples.rows.tsv")[0][2])
    assert made(pool) == {"results/seven/rgd/seed0/metrics.json"}
    assert searched(finished, "f" * 64, fails=True) == []


def test_what_was_withdrawn_is_found_in_history(project: Path) -> None:
    path = project / "results/seven/images/forget.rows.tsv"
    _, _, image, _ = rows_of(path)[1]
    (before,) = searched(project, image)
    head, first, _, *others = path.read_text().splitlines()
    replace(path, "\n".join([head, first, *others, ""]).encode())

    def remade(stages: Any) -> None:
        for name in ("unlearn@seven-rgd-0", "images@seven-forget"):
            for out in stages[name]["outs"]:
                out["md5"] = out["md5"][::-1]

    lock(project, remade)
    commit(project, "withdrawn")
    (found,) = searched(project, image)
    assert not found["now"]
    assert found["commits"] == before["commits"]
    assert made(found) == set()
    assert made(found, now=False) == made(before)
    # a row that stayed made both models, the one of the tree and the one of history
    (stayed,) = searched(project, rows_of(path)[0][2])
    assert len(stayed["commits"]) == 2
    md5 = {one["md5"]: one["now"] for one in stayed["made"] if one["path"] == MODEL}
    old = next(one["md5"] for one in before["made"] if one["path"] == MODEL)
    assert md5 == {old: False, old[::-1]: True}


def test_an_experiment_of_dvc_is_history(project: Path) -> None:
    _, _, image, _ = rows_of(project / "results/seven/images/forget.rows.tsv")[1]
    (before,) = searched(project, image)
    run(project, "dvc", "exp", "run", "--set-param", "methods.rgd.steps=3", "--single-item", "unlearn@seven-rgd-0")
    changed = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["unlearn@seven-rgd-0"]["outs"]
    run(project, "git", "checkout", "--", ".")
    (found,) = searched(project, image)
    (md5,) = (out["md5"] for out in changed if out["path"] == MODEL)
    assert {"path": MODEL, "md5": md5, "now": False} in found["made"]
    assert len(found["commits"]) == len(before["commits"]) + 1


def test_two_models_differ_in_what_was_changed(project: Path) -> None:
    def told(note: Any) -> None:
        note["packages"]["torch"] = "1.0"

    edit(project / "results/seven/graddiff/seed0/model.safetensors.run.json", told)
    found = json.loads(run(project, "unpaint", "diff", NAME, "seven/graddiff/seed0", "--json"))
    told_of: dict[str, dict[str, Any]] = {}
    for one in found:
        told_of.setdefault(one["of"], {})[one["where"]] = (one["one"], one["other"])
    assert set(told_of) == {"settings", "environment", "scores"}
    methods = yaml.safe_load((project / "params.yaml").read_text())["methods"]
    keys = {*methods["rgd"], *methods["graddiff"]}
    changed = {key for key in keys if methods["rgd"].get(key) != methods["graddiff"].get(key)}
    assert set(told_of["settings"]) == {f"unlearn.method.{key}" for key in changed}
    assert [pair[1] for pair in told_of["environment"].values()] == ["1.0"]
    scores = [
        json.loads((project / f"results/seven/{method}/seed0/metrics.json").read_text())
        for method in ("rgd", "graddiff")
    ]
    for name, values in told_of["scores"].items():
        assert values == tuple(one[name]["value"] for one in scores)
    assert "unlearn.method.method: rgd | graddiff" in run(project, "unpaint", "diff", NAME, "seven/graddiff/seed0")
    assert "they differ in nothing" in run(project, "unpaint", "diff", NAME, NAME)
