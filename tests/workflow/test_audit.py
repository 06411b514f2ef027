"""Audits: every attack is caught and named, and nothing benign is taken for one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from pyarrow import parquet
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.world import bring_pictures, clone, commit, environment, run
from unpaint import corpus
from unpaint.audit.books import LISTS, _setting
from unpaint.audit.hashes import INDEX, index
from unpaint.audit.history import ALONE
from unpaint.audit.model import audit
from unpaint.audit.text import verdict
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


def _forge(project: Path) -> None:
    """Another model of equal data, code and settings, with each book but git's rewritten."""
    before = sha256(project / MODEL)
    flip(project / MODEL)
    note = project / f"{MODEL}.run.json"
    replace(note, note.read_bytes().replace(before.encode(), sha256(project / MODEL).encode()))

    def change(stages: Any) -> None:
        for out in stages["unlearn@seven-rgd-0"]["outs"]:
            out["md5"] = hashlib.md5((project / out["path"]).read_bytes()).hexdigest()

    lock(project, change)


def _dependency(stages: Any, stage: str, path: str) -> Any:
    (found,) = (dep for dep in stages[stage]["deps"] if dep["path"] == path)
    return found


def _settings(stages: Any) -> Any:
    return stages[UNLEARN]["params"]["params.yaml"]


def _without(stages: Any, stage: str, kind: str, path: str) -> None:
    stages[stage][kind] = [one for one in stages[stage][kind] if one["path"] != path]


UNLEARN, EVALUATE = "unlearn@seven-rgd-0", "evaluate@seven-rgd-0"
METRICS = MODEL.replace("model.safetensors", "metrics.json")
CARD = "src/unpaint/card.py"
NOTE, LIKE = f"{MODEL}.run.json: it was made at a setting that", f"dvc.lock: {UNLEARN} is not as dvc.yaml has it: names"
EDITS: dict[str, Any] = {
    f"{NOTE} dvc.lock does not name: threads": lambda stages: _settings(stages).pop("threads"),
    f"{NOTE} dvc.lock does not name: method": lambda stages: stages[UNLEARN].pop("params"),
    f"{LIKE} no setting device": lambda stages: _settings(stages).pop("device"),
    f"{LIKE} a setting too many, seed": lambda stages: _settings(stages).update(seed=0),
    f"{LIKE} no dependency {CARD}": lambda stages: _without(stages, UNLEARN, "deps", CARD),
    f"dvc.lock: names code of {UNLEARN} that is neither here nor in a commit: {CARD}": lambda stages: _dependency(
        stages, UNLEARN, CARD
    ).update(md5="0" * 32),
    f"dvc.lock: does not name {METRICS}, which is here": lambda stages: _without(stages, EVALUATE, "outs", METRICS),
    "dvc.lock: does not name results/judgements/seven.rgd.seed0.parquet, ": lambda stages: stages.pop(EVALUATE),
}
"""Each way in which an entry can be made to differ from git's own, by what is told of it."""
DIFFERENT = f"dvc.lock: names another {MODEL} than the newest commit does, of equal data, code and settings"


def test_a_lock_that_differs_from_gits_own_is_held_against_dvc_yaml_and_the_code(project: Path) -> None:
    whole = (project / "dvc.lock").read_text()
    for told, change in EDITS.items():
        lock(project, change)
        assert [text for text in contradictions(project) if text.startswith(told)], told
        (project / "dvc.lock").write_text(whole)
    # none of them hides another model; nor does another name of its stage
    _forge(project)
    forged = (project / "dvc.lock").read_text()
    for change in EDITS.values():
        lock(project, change)
        assert contradictions(project)
        (project / "dvc.lock").write_text(forged)
    for name in ("unlearn@seven-rgd-1", "another"):
        lock(project, lambda stages, name=name: stages.update({name: stages.pop(UNLEARN)}))
        assert DIFFERENT in contradictions(project)
        (project / "dvc.lock").write_text(forged)


def test_a_folder_of_which_nothing_was_read_does_not_hide_other_scores(project: Path) -> None:
    note = project / f"{METRICS}.run.json"
    before = sha256(project / METRICS)
    edit(project / METRICS, lambda held: held["UA"].update(value=0.987))
    replace(note, note.read_bytes().replace(before.encode(), sha256(project / METRICS).encode()))

    def change(stages: Any) -> None:
        _dependency(stages, EVALUATE, "data/inception").update(md5="0" * 32 + ".dir")
        for out in stages[EVALUATE]["outs"]:
            out["md5"] = hashlib.md5((project / out["path"]).read_bytes()).hexdigest()

    lock(project, change)
    assert DIFFERENT.replace(MODEL, METRICS) in contradictions(project)


def test_what_is_not_committed_yet_is_told_once_and_is_no_forgery(project: Path) -> None:
    def remarks() -> set[str]:
        found = audited(project, MODEL)
        assert found["verdict"] == "verified"
        (model,) = (stage for stage in found["stages"] if stage["stage"] == UNLEARN)
        return {*model["remarks"]}

    def repro() -> None:
        run(project, "dvc", "repro", "--force", "--single-item", UNLEARN)

    card, folder = project / CARD, project / "src/unpaint/unlearn/monotone.py"
    whole = card.read_text(), folder.read_text()
    assert ALONE not in remarks()
    # run again, from code of a commit that is not the newest
    for path, text in zip((card, folder), whole, strict=True):
        path.write_text(f"{text}# more\n")
    commit(project, "other code")
    repro()
    for path, text in zip((card, folder), whole, strict=True):
        path.write_text(text)
    assert ALONE in remarks()
    run(project, "git", "commit", "-q", "-m", "back", "--", "src")
    assert ALONE in remarks()
    assert f"note: {ALONE}" in run(project, "unpaint", "audit", "model", MODEL)
    # dvc.yaml has changed since, as in an update
    books = project / "dvc.yaml"
    books.write_text(books.read_text().replace(f"      - {CARD}\n", ""))
    assert ALONE in remarks()
    run(project, "git", "checkout", "--", "dvc.yaml")
    # from code that nobody can know any more
    card.write_text(f"{whole[0]}# tried\n")
    repro()
    card.write_text(whole[0])
    assert any("code that is neither here nor in a commit" in text for text in remarks())
    commit(project, "kept")
    assert ALONE not in remarks()


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


def test_a_list_that_hides_a_row_is_named_whatever_the_books_say(project: Path) -> None:
    name = "results/seven/images/forget.rows.tsv"
    head, first, *others = (project / name).read_bytes().splitlines(keepends=True)
    for lines, where in (
        ([head, b"0\ttrain-0000.0\t" + b"0" * 64 + b"\t" + b"1" * 64 + b"\n", *others], "row 0"),
        ([head, first, *others[:-1]], f"row {len(others)}"),
        ([head, first, *others, first], f"row {len(others) + 1}"),
        ([head.replace(b"prompt", b"none"), first, *others], "its head"),
    ):
        replace(project / name, b"".join(lines))
        digest = sha256(project / name)
        edit(project / "results/seven/images/forget.parquet.run.json", partial(_name_list, digest))
        run(project, "dvc", "commit", "--force", "images@seven-forget")
        commit(project, "hidden")
        for _ in range(2):  # also once the index has it
            assert contradictions(project) == [f"{name}: {where} is not as results/seven/images/forget.parquet has it"]


def _name_list(digest: str, note: Any) -> None:
    note["outputs"]["rows"] = digest


def test_pictures_are_not_read_again_for_their_list(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    for _ in range(2):
        with index() as database:
            assert verdict(audit(NAME, database)) == "verified"
        monkeypatch.delattr(corpus, "unlike", raising=False)


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


def test_a_copy_elsewhere_leads_to_what_it_is_a_copy_of(project: Path, tmp_path: Path) -> None:
    shutil.copy(project / MODEL, tmp_path / "copy.safetensors")
    found = audited(project, str(tmp_path / "copy.safetensors"))
    assert (found["verdict"], found["stages"][0]["stage"]) == ("verified", "unlearn@seven-rgd-0")
    for name in (str(project / MODEL), f"./{MODEL}", "unlearn@seven-rgd-0"):
        assert audited(project, name) == found
    # a file within an output that is a folder
    part = "results/base/pipeline/unet/diffusion_pytorch_model.safetensors"
    shutil.copy(project / part, tmp_path / "part.safetensors")
    found = audited(project, str(tmp_path / "part.safetensors"))
    assert (found["verdict"], found["stages"][0]["stage"]) == ("verified", "base")
    assert f"{tmp_path}/part.safetensors is {part}, by its md5 and by its run note's sha256" in remarks(found)
    # what no book names says of itself what it is
    flip(tmp_path / "copy.safetensors")
    found = audited(project, str(tmp_path / "copy.safetensors"), fails=True)
    (stage,) = found["stages"]
    assert (found["verdict"], stage["stage"]) == ("missing", "unlearn")
    sets = {role: f"results/seven/encoded/{role}.safetensors" for role in ("forget", "retain")}
    assert stage["origins"] == {"base": "results/base/base.json", **sets}
    assert stage["inputs"]["forget"] == sha256(project / sets["forget"])
    assert f"its header is that of {MODEL}" in "".join(remarks(found))
    told = run(project, "unpaint", "audit", "model", str(tmp_path / "copy.safetensors"), fails=True)
    assert f"  forget {stage['inputs']['forget'][:12]}: {sets['forget']}\n" in told
    printed = run(project, "unpaint", "diff", str(tmp_path / "copy.safetensors"), NAME, fails=True)
    assert "no dvc.lock here names such content" in printed


def test_a_copy_of_what_only_an_older_commit_names_leads_to_it(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    shutil.copy(project / MODEL, copy)
    before = run(project, "git", "rev-parse", "HEAD").strip()[:12]
    lock(project, lambda stages: [stages.pop(name) for name in list(stages) if "rgd" in name])
    shutil.rmtree(project / "results/seven/rgd")
    commit(project, "another")
    found = audited(project, str(copy), fails=True)
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert found["verdict"] == "missing"
    assert stages["unlearn@seven-rgd-0"]["missing"][MODEL] == f"git checkout {before} && unpaint restore"
    assert stages["encode@seven-forget"]["verdict"] == "verified"
    assert f"{copy} is {MODEL} of commit {before}, by its md5 and by its run note's sha256" in remarks(found)
    run(project, "sh", "-c", stages["unlearn@seven-rgd-0"]["missing"][MODEL])
    assert audited(project, str(copy))["verdict"] == "verified"
    run(project, "git", "checkout", "-q", "main")
    # a run note that is nowhere holds nothing
    for folder in (project / ".dvc/cache/files/md5", project / "results"):
        shutil.rmtree(folder)
    told = f"{copy} is {MODEL} of commit {before} by its md5 alone: its run note, which has the sha256, is not here"
    assert told in remarks(audited(project, str(copy), fails=True))
    flip(copy)
    (stage,) = audited(project, str(copy), fails=True)["stages"]
    assert set(stage["origins"].values()) == {"unknown here"}


def remarks(found: dict[str, Any]) -> list[str]:
    return [text for stage in found["stages"] for text in stage["remarks"]]


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
    assert found["next"] == ["dvc pull --with-deps evaluate@seven-rgd-0"]
    # of a sparse checkout git would not bring the results' small files by a checkout
    run(project, "git", "sparse-checkout", "set", "src", "data", "workflow", ".dvc")
    remedies = audited(project, fails=True)["next"]
    assert remedies == ["dvc pull --with-deps evaluate@seven-rgd-0", "git sparse-checkout add results"]
    run(project, *remedies[1].split())
    assert audited(project, fails=True) == found
    run(project, "git", "sparse-checkout", "disable")
    # an auditor brings one model with what it was made from, and nothing else
    for folder in (source, project):
        run(folder, "dvc", "remote", "add", "-d", "kept", str(tmp_path / "remote"))
    run(source, "dvc", "push")
    run(project, "dvc", "pull", "--with-deps", "unlearn@seven-rgd-0")
    assert audited(project, MODEL)["verdict"] == "verified"
    assert "missing:" in run(project, "unpaint", "audit", "model", fails=True)
    here = {str(path.relative_to(project)) for path in (project / "results").rglob("*") if path.is_file()}
    needed = {path for stage in audited(project, MODEL)["stages"] for path in stage["files"]}
    assert here - set(run(project, "git", "ls-files", "results").split("\n")) <= needed
    assert audited(project, fails=True)["verdict"] == "missing"  # its scores are not here
    run(project, "dvc", "pull")
    assert audited(project)["verdict"] == "verified"


def test_a_rotten_object_of_a_remote_that_dvc_does_not_verify_is_named(project: Path, tmp_path: Path) -> None:
    """What is verified, lost or half pushed: test_remotes.py."""
    auditor = clone(project, tmp_path / "clone", data=False)
    for folder in (project, auditor):
        run(folder, "dvc", "remote", "add", "-d", "kept", str(tmp_path / "remote"))
    run(project, "dvc", "push")
    outs = yaml.safe_load((project / "dvc.lock").read_text())["stages"]["unlearn@seven-rgd-0"]["outs"]
    (md5,) = (out["md5"] for out in outs if out["path"] == MODEL)
    kept = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    flip(kept)
    kept.chmod(0o444)  # as DVC left it: one that can be written to is read again
    run(auditor, "dvc", "pull", "--with-deps", "unlearn@seven-rgd-0")
    (found,) = (text for text in contradictions(auditor, MODEL) if "(md5)" in text)
    assert found.startswith(f"{MODEL}: its content is not what dvc.lock names (md5); nor is that of DVC's cache: rm ")


def test_a_rotten_object_of_the_cache_is_named_with_what_mends_it(project: Path, tmp_path: Path) -> None:
    run(project, "dvc", "remote", "add", "-d", "kept", str(tmp_path / "remote"))
    run(project, "dvc", "push")
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    md5 = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    folder, part = "results/base/pipeline", "unet/diffusion_pytorch_model.safetensors"
    listed = json.loads((project / ".dvc/cache/files/md5" / md5[folder][:2] / md5[folder][2:]).read_bytes())
    (inner,) = (each["md5"] for each in listed if each["relpath"] == part)
    for path, file, digest, stage, what in (
        (MODEL, MODEL, md5[MODEL], "unlearn@seven-rgd-0", "its content is"),
        (folder, f"{folder}/{part}", inner, "base", "its files are"),
    ):
        kept = f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"
        flip(project / kept)
        (project / kept).chmod(0o444)  # as DVC left it: one that can be written to is read again
        (project / file).unlink()
        run(project, "dvc", "checkout", path)
        told = f"{path}: {what} not what dvc.lock names (md5); nor is that of DVC's cache: rm {kept} {file}, and then "
        assert f"{told}dvc pull {path} or, to make it again, dvc repro {stage}" in contradictions(project)
        run(project, "rm", kept, file)
        run(project, "dvc", "pull", path)
        assert audited(project)["verdict"] == "verified"


def test_a_file_too_many_is_named(finished: Path, tmp_path: Path) -> None:
    project = clone(finished, tmp_path / "own")
    folder = project / "results/base/pipeline"
    (folder / "more of it").write_text("x")
    told = "results/base/pipeline: its files are not what dvc.lock names (md5); too many: rm "
    assert f"{told}'results/base/pipeline/more of it'" in contradictions(project)
    (folder / "more of it").unlink()
    pictures = bring_pictures(project, 12)
    corpus_of = "results/seven/images/forget.parquet"
    run(project, "dvc", "repro", "images@seven-forget")
    commit(project, "own pictures")
    for name in (".DS_Store", "a b.txt"):
        (pictures / name).write_text("x")
    found = audited(project, corpus_of, fails=True)
    assert found["verdict"] == "missing"
    remove = "rm data/sets/mine/.DS_Store 'data/sets/mine/a b.txt'"
    (images,) = (stage for stage in found["stages"] if stage["stage"] == "images@seven-forget")
    assert images["missing"] == {"data/sets/mine": remove}
    printed = run(project, "unpaint", "audit", "model", corpus_of, fails=True)
    assert f"  too many: {remove}\n" in printed
    assert "git checkout" not in printed
    run(project, "sh", "-c", remove)
    assert audited(project, corpus_of)["verdict"] == "verified"


def test_every_setting_that_a_lock_names_is_looked_up(finished: Path) -> None:
    stages = yaml.safe_load((finished / "dvc.lock").read_text())["stages"]
    seen = set()
    for name, stage in stages.items():
        notes = [out["path"] for out in stage.get("outs", []) if out["path"].endswith(".run.json")]
        if notes and name not in LISTS:
            settings = json.loads((finished / notes[0]).read_text())["manifest"]["settings"]
            for key in stage.get("params", {}).get("params.yaml", {}):
                assert _setting(key, settings) is not None, (name, key)
                seen.add(key)
    assert {"threads", "base", "world.kind", "methods.rgd", "grammars.digits", "concepts.seven.table"} <= seen


def test_what_dvc_ignores_is_no_part_of_a_folder(finished: Path, tmp_path: Path) -> None:
    project = clone(finished, tmp_path / "own")
    folder = project / "results/base/pipeline"
    with (project / ".dvcignore").open("a") as file:
        file.write("# an editor's\n *.swp \n/results/base/*/kept/\n!told.swp\n")
    (project / "results/.dvcignore").write_text("*.tmp\n")
    (folder / "unet/__pycache__").mkdir()
    (folder / "kept").mkdir()
    for name in (
        ".y.swp",
        "unet/.y.swp",
        "unet/a.tmp",
        "a.pyc",
        "unet/__pycache__/x",
        "kept/x",
        ".snakemake_timestamp",
    ):
        (folder / name).write_text("x")
    assert "results/base/pipeline" not in run(project, "dvc", "status", "base")
    assert audited(project)["verdict"] == "verified"
    (folder / "told.swp").write_text("x")
    assert "results/base/pipeline" in run(project, "dvc", "status", "base")
    assert contradictions(project)[0].startswith("results/base/pipeline: its files are not what dvc.lock names (md5)")


def test_what_is_no_file_is_named_and_not_waited_at(project: Path) -> None:
    readme, inside = MODEL.replace("model.safetensors", "README.md"), "results/base/pipeline/pipe"
    (project / readme).unlink()
    os.mkfifo(project / readme)
    os.mkfifo(project / inside)
    found = contradictions(project)
    for path in (readme, inside):
        assert f"{path}: is no file, but what a program may wait at for ever" in found


def test_a_setting_is_held_against_its_own_key(project: Path) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["threads"] = 2  # as many as methods.rgd.steps
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    run(project, "dvc", "commit", "--force")
    found = contradictions(project)
    assert f"{MODEL}.run.json: it was made at other settings than dvc.lock names: threads" in found


def test_a_book_that_is_taken_away_is_named(project: Path) -> None:
    def change(stages: Any) -> None:
        outs = stages["unlearn@seven-rgd-0"]["outs"]
        stages["unlearn@seven-rgd-0"]["outs"] = [out for out in outs if not out["path"].endswith(".run.json")]
        del stages["images@seven-forget"]

    lock(project, change)
    found = contradictions(project)
    assert "dvc.lock: names no run note of unlearn@seven-rgd-0" in found
    corpus_of = "results/seven/images/forget.parquet"
    assert f"dvc.lock: encode@seven-forget read {corpus_of}, which no stage of it makes" in found


def test_a_note_that_no_stage_wrote_cannot_be_read(project: Path) -> None:
    path = project / f"{MODEL}.run.json"
    whole = path.read_bytes()
    for change in (
        lambda note: note.update(commit=["x"]),
        lambda note: note["manifest"]["inputs"].update(forget={"x": 1}),
        lambda note: note["outputs"].update(model=["x"]),
    ):
        edit(path, change)
        assert f"{MODEL}.run.json: not a run note that can be read" in contradictions(project)
        printed = run(project, "unpaint", "diff", NAME, "seven/rg/seed0", fails=True)
        assert f"the run note {MODEL}.run.json cannot be read; `unpaint audit model {NAME}` says more" in printed
        replace(path, whole)


def test_a_lock_that_no_dvc_wrote_cannot_be_read(project: Path) -> None:
    lock(project, lambda stages: stages["unlearn@seven-rgd-0"]["outs"][0].update(path=3))
    printed = run(project, "unpaint", "audit", "model", NAME, fails=True)
    assert "cannot be read; restore it from git" in printed
    assert "Traceback" not in printed


def test_what_was_withdrawn_under_a_run_is_named_with_what_mends_it(project: Path) -> None:
    run(project, "unpaint", "withdraw", "train-0001.0", "--why", "x")
    run(project, "dvc", "commit", "--force", "images@seven-forget")  # as a run that had begun before it ends
    path = "results/seven/images/forget.parquet"
    (text,) = contradictions(project, path)
    told, command, then = text.split("; ")[0], *text.split("; ")[1].split(", and then ")
    assert told.endswith("says that it heeded data/withdrawn/concepts/seven.jsonl, and it did not")
    run(project, *command.split())
    assert audited(project, path)["verdict"] == "verified"
    assert then == "dvc repro"


def test_a_manifest_that_is_taken_out_is_named(project: Path) -> None:
    path = "results/seven/images/forget.parquet"
    table = parquet.read_table(project / path)
    (project / path).unlink()
    parquet.write_table(table.replace_schema_metadata({}), project / path)
    edit(project / f"{path}.run.json", lambda note: note["outputs"].update(corpus=sha256(project / path)))
    run(project, "dvc", "commit", "--force", "images@seven-forget")
    assert f"{path}: carries no manifest, and its stage writes one into it" in contradictions(project, path)


def test_a_link_of_a_folder_to_elsewhere_is_named(project: Path, tmp_path: Path) -> None:
    path = project / "results/base/pipeline"
    path.rename(tmp_path / "pipeline")
    path.symlink_to(tmp_path / "pipeline")
    message = f"results/base/pipeline: is a link to {tmp_path}/pipeline, not into DVC's cache"
    assert message in contradictions(project)


def test_a_folder_above_that_is_a_link_to_elsewhere_is_named(project: Path, tmp_path: Path) -> None:
    picture = rows_of(project / "results/seven/images/forget.rows.tsv")[1][2]
    for folder, rest in (("results/seven/rgd", "seed0/"), ("results/seven", "rgd/seed0/")):
        (project / folder).rename(tmp_path / "elsewhere")
        (project / folder).symlink_to(tmp_path / "elsewhere")
        where = f"{tmp_path}/elsewhere/{rest}model.safetensors"
        assert f"{MODEL}: is a link to {where}, not into DVC's cache" in contradictions(project)
        (tmp_path / "elsewhere/round").symlink_to(project / "results")  # which leads round for ever
        assert {match["now"] for match in searched(project, picture)} == {True}
        (tmp_path / "elsewhere/round").unlink()
        (project / folder).unlink()
        (tmp_path / "elsewhere").rename(project / folder)
    # all results on another disk is nothing odd
    (project / "results").rename(tmp_path / "elsewhere")
    (project / "results").symlink_to(tmp_path / "elsewhere")
    assert audited(project)["verdict"] == "verified"


def test_a_model_of_older_data_is_told_from_one_of_the_data_that_is_there(project: Path) -> None:
    (before,) = searched(project, rows_of(project / "results/seven/images/forget.rows.tsv")[0][2])
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["sampling"]["steps"] = 3
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    run(project, "dvc", "repro", "--single-item", "images@seven-forget")
    found = audited(project, fails=True)
    assert found["verdict"] == "missing"
    (encode,) = (stage for stage in found["stages"] if stage["stage"] == "encode@seven-forget")
    assert encode["missing"] == {"results/seven/images/forget.parquet": "dvc repro encode@seven-forget"}
    assert "images@seven-forget" not in {stage["stage"] for stage in found["stages"]}
    # the new picture made nothing yet; the old one made the model that is there
    image = rows_of(project / "results/seven/images/forget.rows.tsv")[0][2]
    (new,) = searched(project, image)
    assert (new["now"], new["made"]) == (True, [])
    (old,) = searched(project, rows_of_commit(project)[0][2])
    assert not old["now"]
    assert made(old) == made(before)


def test_own_pictures_are_held_by_their_files(finished: Path, tmp_path: Path) -> None:
    project = clone(finished, tmp_path / "own")
    folder = bring_pictures(project, 12)
    corpus_of = "results/seven/images/forget.parquet"
    run(project, "dvc", "repro", "images@seven-forget")
    assert audited(project, corpus_of)["verdict"] == "verified"
    (found, *_) = searched(project, str(folder / "3.png"))
    assert (found["corpus"], found["row"]) == ("results/seven/images/forget.rows.tsv", 3)
    Image.new("RGB", (32, 32), "red").save(folder / "3.png")
    found = audited(project, corpus_of, fails=True)
    assert found["verdict"] == "missing"
    (images,) = (stage for stage in found["stages"] if stage["stage"] == "images@seven-forget")
    assert images["missing"] == {"data/sets/mine": "git checkout -- data/sets/mine"}
    run(project, "dvc", "commit", "--force", "images@seven-forget")
    found = contradictions(project, corpus_of)
    assert any("the pictures that it was made from" in text for text in found)


@pytest.fixture
def reflinking(tmp_path: Path) -> Iterator[Path]:
    """A disk on which files can share their blocks."""
    image, disk = tmp_path / "disk.xfs", tmp_path / "disk"
    if os.geteuid() or not shutil.which("mkfs.xfs"):
        pytest.skip("a disk with reflinks is made by root, with xfsprogs")
    with image.open("wb") as file:
        file.truncate(2**30)
    run(tmp_path, "mkfs.xfs", "-q", "-m", "reflink=1", str(image))
    disk.mkdir()
    if subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=False).returncode:
        pytest.skip("no loop devices here")
    yield disk
    run(tmp_path, "umount", "--lazy", str(disk))


@pytest.mark.parametrize("link", ["copy", "symlink", "hardlink"])
def test_nothing_benign_is_an_attack(link: str, project: Path) -> None:
    nothing_is_an_attack(project, link)


def test_nothing_benign_is_an_attack_where_files_share_blocks(finished: Path, reflinking: Path) -> None:
    nothing_is_an_attack(clone(finished, reflinking / "project"), "reflink")


def nothing_is_an_attack(project: Path, link: str) -> None:
    run(project, "dvc", "config", "--local", "cache.type", link)
    run(project, "dvc", "checkout", "--relink", "--force")
    assert (project / MODEL).is_symlink() is (link == "symlink")
    assert ((project / MODEL).stat().st_nlink > 1) is (link == "hardlink")
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
    moved = project.rename(project.with_name("moved here"))
    found = audited(moved, fails=link == "symlink")
    # DVC's links are absolute: of a moved folder they lead nowhere until the next checkout
    assert found["verdict"] == ("missing" if link == "symlink" else "verified")
    run(moved, "dvc", "checkout", "--force")
    assert audited(moved)["verdict"] == "verified"


def test_a_clone_that_would_change_line_ends_changes_none(finished: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(
        finished,
        "git",
        "-c",
        "core.autocrlf=true",
        "clone",
        "-q",
        "-c",
        "core.autocrlf=true",
        str(finished),
        str(clone),
    )
    shutil.copytree(finished / ".dvc/cache", clone / ".dvc/cache")
    run(clone, "unpaint", "restore")
    assert audited(clone)["verdict"] == "verified"


def test_an_index_that_cannot_be_written_is_left_out(project: Path) -> None:
    audited(project)
    index = project / INDEX
    # another command has it, for long
    with sqlite3.connect(index) as other:
        other.execute("BEGIN IMMEDIATE")
        assert audited(project)["verdict"] == "verified"
    other.close()
    content = bytearray(index.read_bytes())
    content[4096:] = b"?" * (len(content) - 4096)
    index.write_bytes(bytes(content))
    printed = run(project, "unpaint", "audit", "model", NAME, fails=True)
    assert f"{INDEX}: database disk image is malformed; delete it" in printed
    assert audited(project, NAME, "--full")["verdict"] == "verified"


def test_exit_codes_say_what_was_searched(project: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "clone", "-q", "--depth", "1", f"file://{project}", "shallow")
    for folder, code, told in (
        (project, 1, "in no commit"),
        (tmp_path / "shallow", 3, "nowhere in what this clone has"),
    ):
        for machine in ([], ["--json"]):
            asked = ["unpaint", "audit", "data", "f" * 64, *machine]
            done = subprocess.run(
                asked, cwd=folder, env=environment(), capture_output=True, text=True, encoding="utf-8", check=False
            )
            assert (done.returncode, done.stdout == "[]\n" if machine else told in done.stdout) == (code, True)
            assert ("clone is shallow" in done.stderr) is (code == 3)


def test_a_file_whose_name_is_no_text_is_named(project: Path) -> None:
    (project / "results/base/pipeline/\udcff").touch()
    told = "results/base/pipeline: its files are not what dvc.lock names (md5); too many: rm "
    assert any(text.startswith(told) for text in contradictions(project))
    assert f"{told}'results/base/pipeline/\\udcff'" in run(project, "unpaint", "audit", "model", NAME, fails=True)


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


def rows_of_commit(project: Path) -> list[list[str]]:
    text = run(project, "git", "show", "HEAD:results/seven/images/forget.rows.tsv")
    return [line.split("\t") for line in text.splitlines()[1:]]


def test_a_split_of_the_world_leads_to_those_who_read_it(finished: Path) -> None:
    rows = rows_of(finished / "results/world.rows.tsv")
    splits = {row[4]: row[2] for row in rows}
    assert set(splits) == {"base", "judge", "reference"}
    judge = "results/judge/open_clip_model.safetensors"
    (base,) = searched(finished, splits["base"])
    assert {"results/base/base.json", "results/seven/retrain/seed2/base.json", MODEL, judge} <= made(base)
    for split in ("judge", "reference"):
        (found,) = searched(finished, splits[split])
        assert found["split"] == split
        assert judge in made(found)
        # it was scored by it, and learnt nothing from it
        assert not {"results/base/base.json", MODEL} & made(found)
        assert "results/seven/rgd/seed0/metrics.json" in made(found)


def test_a_commit_that_cannot_be_read_is_passed_over(project: Path) -> None:
    image = rows_of(project / "results/seven/images/forget.rows.tsv")[0][2]
    whole = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text("<<<<<<< ours\n" + whole)
    assert "YAML file structure is corrupted; restore it from git" in run(project, "unpaint", "restore", fails=True)
    replace(project / "results/seven/images/retain.rows.tsv", b"")
    told = "results/seven/images/retain.rows.tsv: not a list of rows that can be read; git checkout -- results/seven/"
    (project / "dvc.lock").write_text(whole)
    assert told in run(project, "unpaint", "audit", "data", image, fails=True)
    (project / "dvc.lock").write_text("<<<<<<< ours\n" + whole)
    commit(project, "broken")
    run(project, "git", "revert", "--no-edit", "HEAD")
    for _ in range(2):  # also once the index has it
        printed = run(project, "unpaint", "audit", "data", image)
        assert printed.count("note: passed over, as it cannot be read: ") == 2
        assert f"leads to {MODEL}" in printed


def test_questions_that_have_no_answer_are_said_in_words(project: Path, tmp_path: Path) -> None:
    assert searched(project, "a word " * 60, fails=True) == []
    for query, message in {
        "": "give a picture, its sha256, the text of a prompt, or the id of a pair",
        "photo.JPG": "photo.JPG: no such file",
        "results": "results: a folder; give one picture",
        "7a9bd48431ee": "a sha256 has 64 digits, this has 12; give it whole",
    }.items():
        assert message in run(project, "unpaint", "audit", "data", query, fails=True)
    image = rows_of(project / "results/seven/images/forget.rows.tsv")[0][2]
    assert searched(project, image.upper()) == searched(project, image)
    (tmp_path / "empty").mkdir()
    printed = run(tmp_path / "empty", "unpaint", "audit", "model", fails=True)
    assert "no dvc.lock here; go to the project's folder" in printed
    assert not list((tmp_path / "empty").iterdir())
    lock(project, lambda stages: [stages.pop(name) for name in list(stages) if name != "params"])
    assert "dvc.lock names no result" in run(project, "unpaint", "audit", "model", fails=True)
    (project / "dvc.lock").unlink()
    assert "note: nothing is recorded here" in run(project, "unpaint", "audit", "data", image)


def test_what_was_withdrawn_is_found_in_history(project: Path) -> None:
    path = project / "results/seven/images/forget.rows.tsv"
    _, _, image, _ = rows_of(path)[1]
    (before,) = searched(project, image)
    head, first, _, *others = path.read_text().splitlines()
    replace(path, "\n".join([head, first, *others, ""]).encode())

    # as after a run: all that was made of it is other content
    text = (project / "dvc.lock").read_text()
    stages = yaml.safe_load(text)["stages"]
    for name in stages:
        if name.startswith(("images@seven-forget", "encode@seven-forget", "unlearn@", "samples@seven", "evaluate@")):
            for out in stages[name]["outs"]:
                new = hashlib.md5(path.read_bytes()).hexdigest() if out["path"] in str(path) else out["md5"][::-1]
                text = text.replace(out["md5"], new)
    (project / "dvc.lock").write_text(text)
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

    note = "results/seven/graddiff/seed0/model.safetensors.run.json"
    edit(project / note, told)
    found = json.loads(run(project, "unpaint", "diff", NAME, "seven/graddiff/seed0", "--json", fails=True))
    # a note that was edited is told first
    named = {"of": "contradicted", "where": f"{note}: its content is not what dvc.lock names (md5)"}
    assert found.pop(0) == {**named, "one": None, "other": True}
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
    printed = run(project, "unpaint", "diff", NAME, "seven/graddiff/seed0", fails=True)
    assert printed.startswith(f"contradicted: {named['where']}\n")
    assert "unlearn.method.method: rgd | graddiff" in printed
    assert "unlearn.method.method: rgd | rg\n" in run(project, "unpaint", "diff", NAME, "seven/rg/seed0")
    assert "they differ in nothing" in run(project, "unpaint", "diff", NAME, NAME)


def test_a_difference_of_forged_scores_is_said_to_be_one(project: Path) -> None:
    path = "results/seven/rgd/seed0/metrics.json"
    edit(project / path, lambda held: held["UA"].update(value=0.987))
    printed = run(project, "unpaint", "diff", NAME, "seven/rg/seed0", fails=True)
    assert printed.startswith(f"contradicted: {path}: its content is not what ")
    replace(project / path, b'{"UA": ')
    printed = run(project, "unpaint", "diff", NAME, "seven/rg/seed0", fails=True)
    assert f"{path}: no scores that can be read; `unpaint audit model {path}` says more" in printed
    assert "Traceback" not in printed


def test_a_folder_is_all_that_is_in_it(finished: Path) -> None:
    assert audited(finished, "results") == json.loads(run(finished, "unpaint", "audit", "model", "--json"))
    roots = {one["stage"] for one in audited(finished, "seven/rgd")["stages"] if one["depth"] == 0}
    assert roots == {f"{rule}@seven-rgd-0" for rule in ("unlearn", "samples", "evaluate")}
