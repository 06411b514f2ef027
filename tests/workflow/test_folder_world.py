"""A world of the user's own: their captioned pictures train the base model and the judge, and go through the chain."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.world import commit, make_project, run, tiny_params
from unpaint import corpus
from unpaint.lineage.manifest import read, sha256

KINDS = ("coat", "bag", "boot", "hat")
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 60, 220), "gold": (220, 190, 60)}
FOLDER = "data/worlds/meine Bilder"


def bring(project: Path) -> None:
    """Tinted grey pictures of 28x28 pixels, each with its caption, kind and colour, as a CSV file tells."""
    folder = project / FOLDER
    (folder / "pictures").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for number in range(320):
        kind, colour = KINDS[number % 4], list(COLOURS)[number // 4 % 4]
        grey = random.integers(60, 256, (28, 28, 1))
        grey[4 + 5 * (number % 4) :] = 10
        Image.fromarray((grey * np.array(COLOURS[colour]) // 255).astype(np.uint8)).save(
            folder / f"pictures/{number}.png"
        )
        row = {"file_name": f"pictures/{number}.png", "caption": f"a {colour} {kind}", "kind": kind, "colour": colour}
        rows.append(row)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def test_a_folder_of_own_pictures_is_a_world(tmp_path: Path) -> None:
    params = tiny_params()
    images = {"base": 60, "judge": 100, "reference": 160}
    params["world"] = {"kind": "folder", "path": FOLDER, "side": 32, "images": images}
    values = {
        "kind": {"train": ["coat", "bag"], "test": ["boot", "hat"]},
        "colour": {"train": ["red", "green"], "test": ["blue", "gold"]},
    }
    params["grammars"] = {"clothes": {"template": "a {colour} {kind}", "values": values, "distinct": []}}
    split = {"prompts": 2, "replacement": "value", "images_per_prompt": {"forget": 4, "retain": 8}}
    coat = params["concepts"]["seven"] | {"grammar": "clothes", "forget": {"kind": "coat"}}
    params["concepts"] = {"coat": coat | {"train": split, "test": split}}
    params["oracles"] = {"concepts": ["coat"], "seeds": [1]}
    params["methods"] = {"rgd": params["methods"]["rgd"]}
    params["questions"] = {
        "kind": {"text": "a {}", "none": ["formless noise", "a blank", "a jumble", "a blend"]},
        "colour": {"text": "a {} thing", "none": ["formless noise"]},
    }
    project = make_project(tmp_path / "mit Leerzeichen", params)
    bring(project)
    commit(project, "own pictures")
    run(project, "unpaint", "check")
    run(project, "unpaint", "warm", "snakemake", "--cores", "2")
    world = corpus.read(project / "results/world.parquet")
    assert {name: sum(row.attributes["split"] == name for row in world) for name in images} == images
    for row in world[::40]:
        assert row.pixels.shape == (32, 32, 3)
        assert row.prompt == f"a {row.attributes['colour']} {row.attributes['kind']}"
        assert row.attributes["file_sha256"] == sha256(project / FOLDER / row.attributes["file_name"])
    assert list(read(project / "results/world.parquet").inputs) == ["pictures", "withdrawn"]
    assert set(read(project / "results/judge/judge.json").inputs) == {"base", "source", "world"}
    page = (project / "results/report.html").read_text(encoding="utf-8")
    assert "own pictures" in page
    assert "no run here wrote it" not in page

    run(project, "unpaint", "record")
    assert "Running stage" not in run(project, "dvc", "repro")
    Image.new("RGB", (28, 28), "red").save(project / FOLDER / "pictures/3.png")
    assert "world" in run(project, "dvc", "status")
    assert "world" in run(project, "snakemake", "--cores", "1", "-n", "--quiet", "rules")
