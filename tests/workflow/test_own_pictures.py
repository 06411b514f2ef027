"""A deletion request: the user's own pictures as the forget set."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.world import commit, run, tiny_params, write_params
from unpaint import corpus
from unpaint.lineage import manifest
from unpaint.lineage.manifest import sha256

COUNT = 6


def bring(project: Path) -> Path:
    """Pictures of another size than the base model's, captioned, and params that name them."""
    folder = project / "data/sets/meine Bilder"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for number in range(COUNT):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "caption": f"a red seven, number {number}"})
    # one caption is, word for word, a prompt of training
    rows[1]["caption"] = json.loads((project / "results/seven/prompts/anchors.json").read_text())["forget"][0]["prompt"]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    params = tiny_params()
    params["concepts"]["seven"]["images"]["forget"] = "data/sets/meine Bilder"
    write_params(project, params)
    return folder


def hold_the_receipt(project: Path, folder: Path) -> None:
    """A receipt counts them, and its root leads to each by a list of rows."""
    commit(project, "a deletion request")
    run(project, "unpaint", "receipt", "seven/rgd/seed0", "--to", "receipt")
    data = json.loads((project / "receipt/receipt.json").read_text())["predicate"]["data"]
    (forget,) = (one for one in data["sets"] if one["set"] == "forget")
    assert (forget["pictures"], forget["origin"]) == (COUNT, "the user's own pictures")
    digest = manifest.read(project / "results/seven/images/forget.parquet").inputs["pictures"]
    assert forget["own"] == {"folder": "data/sets/meine Bilder", "files": COUNT, "sha256": digest}
    page = (project / "receipt/receipt.html").read_text(encoding="utf-8")
    assert f"{COUNT} files of the user's own, in data/sets/meine Bilder" in html.unescape(page)
    assert {path for path in data["files"] if path.startswith("data/")} == {"data/withdrawn/world.jsonl"}
    rows = "results/seven/images/forget.rows.tsv"
    assert data["files"][rows] == sha256(project / rows)
    assert sha256(folder / "3.png") in (project / rows).read_text()


def test_own_pictures_go_through_the_whole_chain(project: Path) -> None:
    folder = bring(project)
    printed = run(project, "unpaint", "warm", "dvc", "repro")
    ran = {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}
    assert "images@seven-forget" in ran
    # DVC sees all own sets as one folder, so the other set is rendered anew, to the same bytes, and there it ends
    assert not {"base", "judge", "prompts@seven", "encode@seven-retain", "samples_base@seven"} & ran
    rows = corpus.read(project / "results/seven/images/forget.parquet")
    captions = [json.loads(line)["caption"] for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [row.prompt for row in rows] == captions
    assert all(row.pixels.shape == (32, 32, 3) for row in rows)
    assert rows[3].attributes["file_name"] == "3.png"
    assert rows[3].attributes["file_sha256"] == sha256(folder / "3.png")
    assert "pictures" in manifest.read(project / "results/seven/images/forget.parquet").inputs
    assert "Nothing to be done" in run(project, "snakemake", "--cores", "1", "-n")
    hold_the_receipt(project, folder)

    picture = folder / "3.png"
    Image.new("RGB", (40, 50), "red").save(picture)
    assert "images@seven-forget" in run(project, "dvc", "status")
    assert "images" in run(project, "snakemake", "--cores", "1", "-n", "--quiet", "rules")


def test_a_missing_picture_is_said_before_any_job_runs(project: Path) -> None:
    folder = bring(project)
    (folder / "3.png").unlink()
    for engine in (("snakemake", "--cores", "1"), ("dvc", "repro"), ("unpaint", "check", "--params")):
        printed = run(project, *engine, fails=True)
        assert "row 4: there is no picture 3.png; add it or delete the row" in printed
        assert "Rule: images" not in printed
