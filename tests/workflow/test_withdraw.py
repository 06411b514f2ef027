"""Withdrawing data: exactly what depends on it is made anew, and nothing else changes."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.test_own_pictures import bring
from tests.world import commit, run, tiny_params, write_params
from unpaint import corpus
from unpaint.lineage import manifest
from unpaint.lineage.manifest import sha256

FORGET = "results/seven/images/forget.parquet"
RETAIN = "results/seven/images/retain.parquet"


def withdraw(project: Path, *arguments: str) -> dict[str, Any]:
    printed = run(project, "unpaint", "withdraw", *arguments, "--why", "request 7", "--json")
    found: dict[str, Any] = json.loads(printed)
    return found


def descent(project: Path, first: set[str]) -> set[str]:
    """Every file that DVC's books say was made of some stages' files, these among them: read from dvc.lock here."""
    stages = yaml.safe_load((project / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    made = {out["path"] for name in first for out in stages[name]["outs"]}
    names, before = set(first), set()
    while names != before:
        before = set(names)
        for name, stage in stages.items():
            read = {dep["path"] for dep in stage.get("deps", [])}
            # a folder that DVC keeps as one
            if read & made or any(one.startswith(f"{folder}/") for folder in read for one in made):
                names.add(name)
                made |= {out["path"] for out in stage.get("outs", [])}
    return made


def ran(printed: str) -> set[str]:
    return {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}


def rendered(project: Path) -> dict[str, list[corpus.Row]]:
    return {path: corpus.read(project / path) for path in (FORGET, RETAIN)}


def test_a_withdrawn_picture_costs_what_was_made_of_it_and_nothing_else(project: Path) -> None:
    before, hashes = rendered(project), {path: sha256(path) for path in project.rglob("results/**/*.*")}
    row = before[FORGET][3]
    # without a reason nothing is written
    assert "--why" in run(project, "unpaint", "withdraw", row.sha256, fails=True)
    done = withdraw(project, row.sha256)
    (stone,) = done["written"]["data/withdrawn/concepts/seven.jsonl"]
    assert (stone["prompt"], stone["seed"], stone["was"]) == (row.prompt, row.seed, row.sha256)
    assert stone["why"] == "request 7"
    assert done["before"] == []
    assert done["kept"] == sum(one.pair != row.pair for rows in before.values() for one in rows)
    # until it is made anew, the model is one that learnt it
    printed = run(project, "unpaint", "audit", "model", "seven/rgd/seed0", fails=True)
    again = "make exactly that anew: unpaint warm snakemake --cores all, and then unpaint record"
    assert f"withdrawn since: {row.pair} of seven; {again}" in printed
    assert again in run(project, "unpaint", "withdraw")
    assert "missing:" not in printed.partition("\n\nmissing:")[2]
    held = json.loads(run(project, "unpaint", "audit", "model", "seven/rgd/seed0", "--json", fails=True))
    verdicts = {stage["stage"]: stage["verdict"] for stage in held["stages"]}
    assert (held["verdict"], held["next"]) == ("missing", [again])
    assert (verdicts["unlearn@seven-rgd-0"], verdicts["evaluate@seven-rgd-0"]) == ("missing", "missing")
    assert (verdicts["base"], verdicts["evaluate_base@seven"]) == ("verified", "verified")
    printed_receipt = run(project, "unpaint", "receipt", "seven/rgd/seed0", "--to", "none", fails=True)
    assert f"withdrawn since: {row.pair} of seven" in printed_receipt
    said = f"withdrawn on {stone['on']} (request 7), "
    for query in (row.sha256, row.prompt, row.pair):
        assert f"  {said}what was made of it is not made anew yet; {again}" in run(
            project, "unpaint", "audit", "data", query
        )
    assert "data/withdrawn/concepts/seven.jsonl is another by now (2 stages)" in printed

    # what it says is out of date is what the books say depends on the two sets, and what Snakemake then makes
    expected = descent(project, {"images@seven-forget", "images@seven-retain"})
    assert set(done["stale"]) == expected
    run(project, "unpaint", "warm", "snakemake", "--cores", "2")
    changed = {path.relative_to(project).as_posix() for path, old in hashes.items() if sha256(path) != old}
    # every job that ran wrote its note
    assert {path for path in expected if path.endswith(".run.json")} <= changed
    assert changed <= expected

    # its pair is gone from both sets, all other rows are as they were, and none was rendered
    after = rendered(project)
    for path, rows in before.items():
        assert after[path] == [one for one in rows if one.pair != row.pair]
        log = (project / "logs/seven" / f"images-{Path(path).stem}.log").read_text()
        assert f"{len(after[path])} were rendered before" in log
        assert " of " not in log
    run(project, "unpaint", "record")
    assert not list((project / "scratch").glob("rendered-*"))
    commit(project, "withdrawn")
    (found,) = json.loads(run(project, "unpaint", "audit", "data", row.sha256, "--json"))
    assert not found["now"]
    assert found["withdrawn"] == f"{said}and what was made of it was made anew"
    assert not [made for made in found["made"] if made["now"]]
    assert json.loads(run(project, "unpaint", "audit", "model", "seven/rgd/seed0", "--json"))["verdict"] == "verified"
    assert "Data and pipelines are up to date" in run(project, "dvc", "status")
    run(project, "unpaint", "receipt", "seven/rgd/seed0", "--to", "receipt")
    data = json.loads((project / "receipt/receipt.json").read_text())["predicate"]["data"]
    assert [(one["withdrawn"], one["pictures"]) for one in data["sets"]] == [
        (1, len(after[FORGET])),
        (1, len(after[RETAIN])),
    ]
    assert "; 1 withdrawal<" in (project / "receipt/receipt.html").read_text(encoding="utf-8")
    printed = run(project, "unpaint", "withdraw", row.sha256, "--why", "again", fails=True)
    assert f"was withdrawn on {stone['on']} (request 7); data/withdrawn/concepts/seven.jsonl" in printed


def test_a_withdrawn_pattern_reaches_another_clone_by_git_and_no_other_concept(project: Path) -> None:
    params = tiny_params()
    params["concepts"]["eight"] = {**params["concepts"]["seven"], "forget": {"digit": "eight"}}
    write_params(project, params)
    others = [f"images@eight-{which}" for which in ("forget", "retain")]
    run(project, "dvc", "repro", *others)
    before = rendered(project)
    kept = {path: sha256(path) for path in (project / "results/eight/images").glob("*.parquet")}
    done = withdraw(project, "a red * at the * of a * square", "--concept", "seven")
    assert list(done["written"]) == ["data/withdrawn/concepts/seven.jsonl"]
    assert not [path for path in done["stale"] if "eight" in path]
    (stones,) = done["written"].values()
    prompts = {stone["prompt"] for stone in stones}
    assert prompts == {row.prompt for rows in before.values() for row in rows if row.prompt.startswith("a red ")}
    assert prompts
    # there, git has brought the tombstones, and nothing is in scratch yet
    shutil.rmtree(project / "scratch")
    assert json.loads(run(project, "unpaint", "withdraw", "--json"))["kept"] == done["kept"]
    stages = [f"images@seven-{which}" for which in ("forget", "retain")]
    printed = run(project, "dvc", "repro", *stages, *others)
    # to DVC the tombstones of all concepts are one folder
    assert ran(printed) == {*stages, *others}
    gone = {row.pair for rows in before.values() for row in rows if row.prompt in prompts}
    for path, rows in before.items():
        assert corpus.read(project / path) == [row for row in rows if row.pair not in gone]
    assert kept == {path: sha256(path) for path in kept}
    for log in (project / "logs").glob("*/images-*.log"):
        assert "were rendered before" in log.read_text()
        assert " of " not in log.read_text()
    assert not list((project / "scratch").glob("rendered-*"))


def test_a_withdrawn_row_of_the_world_is_in_no_model(project: Path) -> None:
    path = project / "results/world.parquet"
    before = corpus.read(path)
    done = withdraw(project, before[7].sha256)
    assert list(done["written"]) == ["data/withdrawn/world.jsonl"]
    # of a pipeline DVC's books name the folder
    expected = {path for path in descent(project, {"world"}) if not path.endswith("/pipeline")}
    assert {path for path in done["stale"] if "/pipeline/" not in path} == expected
    assert {"results/base/base.json", "results/base/pipeline/model_index.json"} < set(done["stale"])
    run(project, "snakemake", "--cores", "1", "--", "results/world.parquet")
    assert corpus.read(path) == [*before[:7], *before[8:]]


def test_a_text_leaves_every_corpus_that_has_it(project: Path) -> None:
    world = corpus.read(project / "results/world.parquet")
    prompts = {row.prompt for row in rendered(project)[RETAIN]}
    text = next(row.prompt for row in world if row.prompt in prompts)
    done = withdraw(project, text)
    assert set(done["written"]) == {"data/withdrawn/world.jsonl", "data/withdrawn/concepts/seven.jsonl"}
    # the base model is trained anew, so every picture is rendered anew
    assert done["kept"] == 0
    run(project, "snakemake", "--cores", "1", "--", "results/world.parquet")
    assert corpus.read(project / "results/world.parquet") == [row for row in world if row.prompt != text]
    printed = run(project, "unpaint", "withdraw", world[0].sha256, "--concept", "seven", "--why", "x", fails=True)
    assert "a row of the world, which all learnt from; leave out --concept" in printed


def test_a_withdrawn_picture_of_ones_own(project: Path) -> None:
    folder = bring(project)
    stage = "images@seven-forget"
    run(project, "dvc", "repro", stage)
    before = corpus.read(project / FORGET)
    done = withdraw(project, str(folder / "3.png"))
    (stone,) = done["written"]["data/withdrawn/concepts/seven.jsonl"]
    assert stone["picture"] == sha256(folder / "3.png")
    run(project, "dvc", "repro", stage)
    assert corpus.read(project / FORGET) == [*before[:3], *before[4:]]


def test_what_cannot_be_withdrawn_is_said(project: Path) -> None:
    pool = corpus.read(project / "results/seven/rgd/seed0/samples.parquet")
    for query, message in {
        pool[0].sha256: "results/seven/rgd/seed0/samples.rows.tsv, which models made; nothing learnt it",
        "f" * 64: "no corpus here has it; `unpaint audit data` searches history as well",
        "a mauve *": "no corpus here has it",
        "test-0001.0": "but in results/seven/base/samples.rows.tsv, results/seven/graddiff/seed0/samples.rows.tsv, ",
    }.items():
        assert message in run(project, "unpaint", "withdraw", query, "--why", "x", fails=True), query
    asked = ("unpaint", "withdraw", "train-0001.0", "--why", "x")
    assert "--concept: eight is none of seven" in run(project, *asked, "--concept", "eight", fails=True)
    assert not (project / "data/withdrawn/concepts/seven.jsonl").exists()
    for pattern in ("* seven *", "*"):
        printed = run(project, "unpaint", "withdraw", pattern, "--concept", "seven", "--why", "x", fails=True)
        assert "nothing would be left of the forget set of seven, so nothing is withdrawn" in printed
    assert not (project / "data/withdrawn/concepts/seven.jsonl").exists()
    # a job under way has read what was there, and DVC hashes it afterwards
    locks = project / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.input.lock").touch()
    assert "nothing can be withdrawn while Snakemake runs here" in run(project, *asked, fails=True)
    (locks / "0.input.lock").unlink()
    # a pair is in both sets, and has one tombstone; a reason may have any letters
    run(project, *asked[:-1], "request 17\u2028by mail")
    # another before anything was made anew
    printed = run(project, "unpaint", "withdraw", "train-0002.0", "--why", "y")
    assert "no more is out of date by it than was before: results/seven/images/forget.parquet" in printed
    assert "make exactly that anew: unpaint warm snakemake --cores all" in printed
    path = project / "data/withdrawn/concepts/seven.jsonl"
    stone, _ = map(json.loads, path.read_text().strip().split("\n"))
    assert "it is withdrawn already" in run(project, *asked, fails=True)
    path.write_text("\n".join(map(json.dumps, [stone, {"why": "x", "on": "2026-11-26", "picture": "z"}])))
    audit = ("unpaint", "audit", "model", "results/seven/images/forget.parquet")
    for command in (("unpaint", "check", "--params"), ("snakemake", "-n"), audit):
        assert "data/withdrawn/concepts/seven.jsonl: line 2: no tombstone" in run(project, *command, fails=True)


def test_a_job_that_was_stopped_renders_the_rest(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unpaint.stages import images as stage

    monkeypatch.chdir(project)
    said = manifest.read(Path(RETAIN))
    before = corpus.read(Path(RETAIN))
    asked: list[int] = []
    render = stage.render

    def stopped(model: Any, rows: Any, **settings: Any) -> Any:
        asked.append(len(rows))
        yield from islice(render(model, rows, **settings), 11)
        if len(asked) == 1:
            raise KeyboardInterrupt

    def run_stage() -> None:
        files = {"corpus": Path("again.parquet"), "rows": Path("again.tsv"), "source": Path("results/world.parquet")}
        given = {"base": Path("results/base/base.json"), "prompts": Path("results/seven/prompts/train.json")}
        stage.images(dict(said.settings), said, **given, **files)

    monkeypatch.setattr(stage, "render", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_stage()
    run_stage()
    # one batch of eight was whole
    assert asked == [len(before), len(before) - 8]
    assert Path("again.parquet").read_bytes() == Path(RETAIN).read_bytes()
    assert not list(Path("scratch").glob("rendered-*"))
    assert corpus.read(Path("again.parquet")) == before


def test_tombstones_of_no_concept_are_told_of(project: Path) -> None:
    folder = project / "data/withdrawn/concepts"
    assert "note: " not in run(project, "unpaint", "check")
    (folder / "sevn.jsonl").write_text('{"why": "request 7", "on": "2026-11-26", "prompt": "a prompt"}\n')
    printed = run(project, "unpaint", "check")
    assert (
        "note: data/withdrawn/concepts/sevn.jsonl: params.yaml has no concept sevn, so nothing heeds these" in printed
    )
