"""Snakemake and DVC over the same files: what each thinks is stale, recorded and restored."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.world import ROOT, clone, commit, make_project, run, tiny_params, write_params

NOTHING = "Nothing to be done"


def test_a_second_run_does_nothing(finished: Path) -> None:
    assert NOTHING in run(finished, "snakemake", "--cores", "2")
    printed = run(finished, "dvc", "repro")
    assert "Running stage" not in printed
    assert "up to date" in printed
    assert run(finished, "git", "status", "--porcelain") == ""


def test_both_graphs_are_one(finished: Path) -> None:
    assert "have the same" in run(finished, "unpaint", "check")


def test_progress_counts_the_jobs_of_a_campaign(finished: Path, project: Path) -> None:
    jobs, _, said = run(finished, "unpaint", "progress").partition(" of ")
    assert said.strip() == f"{jobs} jobs done"
    write_params(project, tiny_params() | {"seeds": [0, 1]})
    assert " left on 2 cores" in run(project, "unpaint", "progress", "--cores", "2")


def test_check_names_a_dependency_that_one_engine_lacks(project: Path) -> None:
    text = (project / "dvc.yaml").read_text()
    removed = re.sub(r" +- results/\$\{item.concept\}/encoded/retain.safetensors\n", "", text, count=1)
    assert removed != text
    (project / "dvc.yaml").write_text(removed)
    printed = run(project, "unpaint", "check", fails=True)
    assert (
        "stage unlearn: results/seven/encoded/retain.safetensors is an input of the rule and no dependency" in printed
    )


def test_check_refuses_an_image_tower_that_timm_does_not_have(project: Path) -> None:
    params = tiny_params()
    params["judge"]["image_tower"] = "test_resnat"
    write_params(project, params)
    assert "timm has no model test_resnat; did you mean test_resnet" in run(project, "unpaint", "check", fails=True)


def test_dvc_repro_runs_only_what_depends_on_a_change(project: Path) -> None:
    params = tiny_params()
    params["methods"]["rg"]["retain_weight"] = 4.5
    write_params(project, params)
    printed = run(project, "dvc", "repro")
    ran = {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}
    assert ran == {
        "params",
        "unlearn@seven-rg-0",
        "samples@seven-rg-0",
        "evaluate@seven-rg-0",
        "summary@seven-rg-0",
        "compare",
        "report",
    }
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")
    commit(project, "changed")

    run(project, "git", "checkout", "-q", "HEAD~1")
    assert "restored" in run(project, "unpaint", "restore")
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")
    assert "Running stage" not in run(project, "dvc", "repro")


def test_record_refuses_while_anything_is_stale(project: Path) -> None:
    params = tiny_params()
    params["methods"]["rg"]["retain_weight"] = 4.5
    write_params(project, params)
    before = (project / "dvc.lock").read_bytes()
    printed = run(project, "unpaint", "record", fails=True)
    assert "not recorded: Snakemake would still make results/seven/rg/seed0/model.safetensors" in printed
    assert (project / "dvc.lock").read_bytes() == before


def test_record_refuses_a_file_that_was_edited_after_it_was_made(project: Path) -> None:
    """Snakemake looks at no output's content: a hand-edited score would go into the books."""
    path = project / "results/seven/rgd/seed0/metrics.json"
    edited = path.read_text().replace('"n": 16', '"n": 61', 1)
    times = path.stat()
    path.write_text(edited)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    printed = run(project, "unpaint", "record", fails=True)
    assert "not recorded: results/seven/rgd/seed0/metrics.json differ from what their run notes say was made" in printed


def test_record_takes_the_file_and_not_a_rotten_object_of_the_cache(project: Path) -> None:
    """DVC would put the object that it has under the file's hash into the file's place."""
    path = project / "results/seven/encoded/forget.safetensors"
    content = path.read_bytes()
    digest = hashlib.md5(content).hexdigest()
    kept = project / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    assert kept.read_bytes() == content
    path.unlink()
    path.write_bytes(content)  # no link to the object
    run(project, "snakemake", "--touch", "--cores", "1", "--quiet", "all", "--", "all")
    kept.unlink()
    kept.write_bytes(content[:-1] + b"?")
    kept.chmod(0o444)
    run(project, "unpaint", "record")
    assert path.read_bytes() == content
    assert kept.read_bytes() == content


def test_record_refuses_summaries_of_a_method_that_is_gone(project: Path) -> None:
    params = tiny_params()
    del params["methods"]["graddiff"]
    write_params(project, params)
    assert "report" in run(project, "snakemake", "--cores", "1", "-n", "--quiet", "rules")
    assert "report" in run(project, "dvc", "status")
    run(project, "snakemake", "--cores", "1")
    printed = run(project, "unpaint", "record", fails=True)
    assert "not recorded: no job makes results/judgements/seven.graddiff.seed0.parquet" in printed


def test_restore_brings_back_what_a_failing_job_took_with_it(project: Path) -> None:
    """Snakemake deletes all that a failing job should have made, and of a corpus git keeps a part."""
    folder = project / "results/seven/images"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rule = project / "workflow/rules/images.smk"
    text = rule.read_text()
    rule.write_text(text.replace("unpaint.stages images", "unpaint.stages imagines"))
    assert rule.read_text() != text
    run(project, "snakemake", "--cores", "1", "--keep-going", fails=True)
    assert not (folder / "forget.rows.tsv").exists()
    rule.write_text(text)
    # the report of before is there, and yet there is something to do
    assert "images" in run(project, "snakemake", "--cores", "1", "-n", "--quiet", "rules")
    assert "Snakemake would still make" in run(project, "unpaint", "record", fails=True)
    run(project, "unpaint", "restore")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")


def test_all_asks_for_what_every_job_makes(finished: Path) -> None:
    """Of what only another job asks for, a failing job would leave nothing to do as long as the report is there."""
    graph = run(finished, "snakemake", "--cores", "1", "--forceall", "--rulegraph", "mermaid-js")
    name = dict(re.findall(r"(id\d+)\[(\w+)\]", graph))
    asked = {name[one] for one, other in re.findall(r"(id\d+) --> (id\d+)", graph) if name[other] == "all"}
    assert asked == set(name.values()) - {"all"}


def test_restore_says_what_was_never_committed_to_git(project: Path) -> None:
    run(project, "git", "rm", "--quiet", "results/seven/rgd/seed0/metrics.json")
    printed = run(project, "unpaint", "restore", fails=True)
    assert "not restored: 1 files that DVC leaves to git are missing, and git does not know them" in printed
    assert "results/seven/rgd/seed0/metrics.json" in printed


def test_restore_refuses_to_lose_what_was_never_recorded(project: Path) -> None:
    params = tiny_params()
    params["methods"]["rg"]["retain_weight"] = 4.5
    write_params(project, params)
    run(project, "snakemake", "--cores", "1")
    printed = run(project, "unpaint", "restore", fails=True)
    assert "run `unpaint record` to keep them" in printed
    assert "Traceback" not in printed


def test_restore_refuses_a_tree_that_differs_from_the_lock(project: Path) -> None:
    params = tiny_params()
    params["methods"]["rg"]["retain_weight"] = 4.5
    write_params(project, params)
    printed = run(project, "unpaint", "restore", fails=True)
    assert "not restored: " in printed
    assert "unlearn@seven-rg-0" in printed


def test_a_clone_without_data_has_nothing_to_do(finished: Path, tmp_path: Path) -> None:
    bare = clone(finished, tmp_path / "clone", data=False)
    assert not (bare / "results/seven/rgd/seed0/model.safetensors").exists()
    printed = run(bare, "dvc", "repro", "--allow-missing", "--dry")
    assert "Running stage" not in printed
    assert (bare / "results/seven/images/forget.rows.tsv").is_file()
    assert (bare / "results/seven/prompts/train.json").is_file()


def test_a_clone_is_restored_from_the_cache(finished: Path, tmp_path: Path) -> None:
    bare = clone(finished, tmp_path / "clone", data=False)
    shutil.copytree(finished / ".dvc/cache", bare / ".dvc/cache")
    run(bare, "unpaint", "restore")
    assert NOTHING in run(bare, "snakemake", "--cores", "1", "-n")
    assert run(bare, "dvc", "status").strip().endswith("up to date.")


def test_swapped_roles_are_seen(project: Path) -> None:
    """Snakemake compares inputs as a sorted list: swapped, they are equal unless the paths differ by rule."""
    rule = project / "workflow/rules/unlearn.smk"
    text = rule.read_text()
    forget, retain = 'forget="results/{concept}/encoded/forget', 'retain="results/{concept}/encoded/retain'
    assert forget in text
    assert retain in text
    swapped = text.replace(forget, 'forget="results/{concept}/encoded/retain')
    rule.write_text(swapped.replace(retain, 'retain="results/{concept}/encoded/forget'))
    assert NOTHING not in run(project, "snakemake", "--cores", "1", "-n")
    assert "unlearn@seven-rgd-0" in run(project, "dvc", "status")


def test_an_edited_source_file_is_seen_by_both(project: Path) -> None:
    path = project / "src/unpaint/unlearn/gradient.py"
    path.write_text(path.read_text() + "\n# edited\n")
    planned = run(project, "snakemake", "--cores", "1", "-n", "--quiet", "rules")
    assert "unlearn" in planned
    status = run(project, "dvc", "status")
    assert "unlearn@seven-rgd-0" in status
    assert "samples@seven-rgd-0" not in status


def test_a_touched_file_is_no_change(project: Path) -> None:
    time.sleep(1.1)
    for name in ("results/world.parquet", "src/unpaint/unlearn/gradient.py", "params.yaml"):
        os.utime(project / name)
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n")
    assert "Running stage" not in run(project, "dvc", "repro", "--dry")


def test_conda_after_a_plain_run_plans_nothing(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim answers what Snakemake asks of conda in a dry run; conda itself is not exercised."""
    shim = tmp_path / "bin" / "conda"
    shim.parent.mkdir()
    shim.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        '  --version) echo "conda 25.1.0" ;;\n'
        '  info) echo \'{"conda_prefix": "/nowhere", "platform": "linux-64", "conda_version": "25.1.0"}\' ;;\n'
        '  config) echo \'{"get": {"channel_priority": "strict"}}\' ;;\n'
        "esac\n"
    )
    shim.chmod(shim.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    assert NOTHING in run(project, "snakemake", "--cores", "1", "-n", "--use-conda")


def test_no_git_repository_is_said_before_long_work(project: Path) -> None:
    shutil.rmtree(project / ".git")
    for verb in ("check", "record", "restore"):
        printed = run(project, "unpaint", verb, fails=True)
        assert "no git repository here: DVC keeps its books beside git's; run `git init` and commit first" in printed


@pytest.mark.parametrize("engine", [("snakemake", "--cores", "1"), ("dvc", "repro"), ("unpaint", "check", "--params")])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threads: 1", "threads: 1\nthread: 2", "params.yaml: thread: unknown key; delete it or correct its spelling"),
        ("seed: 0", "seed: none", "params.yaml: seed: input should be a valid integer, got 'none'"),
        ("threads: 1", "threads: 1\nthreads: 2", "the key threads stands twice"),
        (
            "kl_weight: 1.0e-06",
            "kl_weight: 1e-6",
            "1e-6 is a text to one engine and a number to the other; write 1.0e-6",
        ),
        ("guard: true", "guard: yes", "yes is a word to one engine and a truth value to the other"),
        ("digit: seven", "digit: heptagon", "concepts.seven.forget.digit: heptagon is not in the grammar"),
    ],
)
def test_bad_params_stop_both_engines(project: Path, engine: tuple[str, ...], old: str, new: str, message: str) -> None:
    text = (project / "params.yaml").read_text()
    assert old in text
    (project / "params.yaml").write_text(text.replace(old, new, 1))
    printed = run(project, *engine, fails=True)
    if engine[0] == "dvc" and "stands twice" in message:
        assert "duplicate key" in printed  # DVC's own parser is before ours here
    else:
        assert message in printed
    assert "Rule: world" not in printed


def test_command_line_settings_are_refused(project: Path) -> None:
    printed = run(project, "snakemake", "--cores", "1", "-n", "--config", "seed=5", fails=True)
    assert "change params.yaml instead" in printed


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every leaf of params.yaml; lists of plain values count as one."""
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]
    return [path]


def mutated(params: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Params with one leaf changed to another value that the schema allows."""
    other = copy.deepcopy(params)
    node = other
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = _another(path, node[path[-1]])
    return other


def _another(path: tuple[Any, ...], value: Any) -> Any:
    known = {
        "device": "cpu",
        "beta_schedule": "linear",
        "surgery": "pcgrad",
        "optimizer": "sgd",
        "scope": "cross-attention",
        "retain_target": "pictures",
        "mode": "skip",
        "replacement": "drop",
        "anchor": "one",
        "guidance": 2.5,
        "none": ["a blob"],
        "blur": ["seven"],
        "template": "a {ink} {digit} at the {place} of the {ground} square",
        "method": None,
    }
    if path[-1] in known:
        return known[path[-1]]
    if path[:1] == ("concepts",) and path[2:3] == ("forget",):
        return "three"
    match value:
        case bool():
            other = not value
        case int() if path[-1].endswith("width"):
            other = value * 2  # heads divide it
        case int():
            other = value + 1
        case float():
            other = value * 0.5 or 0.5
        case str():
            other = f"{value} indeed"
        case [bool(), *_]:
            other = [not item for item in value]
        case [[*_]]:
            other = [value[0][::-1]]
        case _:
            other = value[::-1] if value[::-1] != value else [*value[:-1], value[-1] * 2]
    return other


# what has only one value so far, or alone; needs files of the user's; or changes the names of the stages themselves
SINGLE = {
    ("world", "kind"),
    ("base", "source"),
    ("judge", "source"),
    ("seeds",),
    ("concepts", "seven", "grammar"),
    ("oracles", "concepts"),
    ("oracles", "seeds"),
    ("methods", "graddiff", "settle"),
    ("evaluation", "inception"),
    ("concepts", "seven", "table"),
    ("concepts", "seven", "images", "forget"),
    ("concepts", "seven", "images", "retain"),
}


@pytest.mark.slow
def test_every_leaf_of_params_makes_both_engines_stale_alike(project: Path) -> None:
    from unpaint.params import load

    params = tiny_params()
    different, checked = [], 0
    for path in leaves(params):
        if path in SINGLE or path[-1] == "method":
            continue
        other = mutated(params, path)
        write_params(project, other)
        load(project / "params.yaml")
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(_stale_for_snakemake, project)
            kept, planned = _stale_for_dvc(project), asked.result()
        checked += 1
        # a rank that only the scope lora reads is still a setting of its method
        if kept != planned or not kept:
            different.append((path, sorted(kept ^ planned)))
    write_params(project, params)
    assert checked > 80
    assert not different


def _stale_for_dvc(project: Path) -> set[str]:
    """The outputs of every stage that DVC would run, and of all that depend on them."""
    from dvc.repo import Repo

    with Repo(str(project)) as repo:
        changed = {name for name in repo.status() if name != "params"}
        graph = repo.index.graph
        stages = {stage.addressing: stage for stage in graph}
        stale = set()
        for name in changed:
            stale.add(stages[name])
            pending = [stages[name]]
            while pending:
                for upper in graph.predecessors(pending.pop()):
                    if upper not in stale:
                        stale.add(upper)
                        pending.append(upper)
        return {out.def_path for stage in stale for out in stage.outs}


def _stale_for_snakemake(project: Path) -> set[str]:
    import csv
    import io
    import subprocess

    from tests.world import environment

    printed = subprocess.run(
        ["snakemake", "--summary"], cwd=project, env=environment(), capture_output=True, text=True, check=True
    ).stdout
    stale = [
        row["output_file"] for row in csv.DictReader(io.StringIO(printed), delimiter="\t") if row["plan"] != "no update"
    ]
    # a pipeline is one folder to DVC
    return {re.sub(r"/pipeline/.*", "/pipeline", path) for path in stale}


def test_dvc_metrics_show_the_scores_and_no_lineage(finished: Path) -> None:
    found = json.loads(run(finished, "dvc", "metrics", "show", "--json"))
    text = json.dumps(found)
    assert "delta_low" in text
    assert "sha256" not in text
    assert "inputs" not in text


def test_environments_pin_what_the_lock_pins() -> None:
    from tests.world import ROOT

    lock = dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for name in ("cpu", "torch"):
        given = yaml.safe_load((ROOT / f"workflow/envs/{name}.yaml").read_text())
        pins = dict(pin.split("==") for pin in given["dependencies"][-1]["pip"])
        assert pins
        assert pins == {package: lock[package] for package in pins}


def test_the_comparison_reads_the_files_of_each_concept_as_its_own(tmp_path: Path) -> None:
    """Concepts stand in no order of their names in this preset."""
    params = yaml.safe_load((ROOT / "presets" / "digits-wide.yaml").read_text(encoding="utf-8"))
    project = make_project(tmp_path / "wide", params)
    printed = run(project, "snakemake", "-n", "-p", "results/comparison.json")
    command = next(line for line in printed.splitlines() if "unpaint.stages compare" in line)
    words = shlex.split(command)
    settings = json.loads(words[words.index("--settings") + 1])
    base = words[words.index("--base") + 1 : words.index("--models")]
    named = [Path(path).name.partition(".")[0] for path in base]
    assert [name for name, _ in settings["concepts"]] == named == list(params["concepts"])
