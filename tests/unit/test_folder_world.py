"""The world `folder`: a user's own pictures dealt to the splits, and what can be wrong with them."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.worlds import find

COUNT = {"base": 24, "judge": 18, "reference": 18}


def settings(images=COUNT, side=16):
    return {"kind": "folder", "path": "data/worlds/mine", "side": side, "images": images}


def bring(root, rows=60, **changed):
    """Pictures of noise in two classes, a shade and an id; `changed` overwrites fields of row 5."""
    folder = root / "data/worlds/mine"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = []
    for number in range(rows):
        Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        kind = "coat" if number % 2 else "ankle boot"
        fields = {"file_name": f"{number}.png", "caption": f"A red {kind}", "kind": kind, "id": str(number)}
        lines.append(fields | changed if number == 4 else fields)
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return root


def test_a_world_shows_what_its_metadata_says(tmp_path):
    world = find(settings(), ["kind"], 0, bring(tmp_path))
    assert world.values == {"kind": ("ankle boot", "coat")}
    assert world.words == {"a", "red", "ankle", "boot", "coat"}


def test_each_picture_is_dealt_once_and_leads_to_its_file(tmp_path):
    root = bring(tmp_path)
    pictures = list(find(settings(), ["kind"], 0, root).draw())
    assert Counter(picture.attributes["split"] for picture in pictures) == COUNT
    assert len({picture.attributes["id"] for picture in pictures}) == 60
    for picture in pictures:
        shown = picture.attributes
        assert picture.pixels.shape == (16, 16, 3)
        assert picture.prompt == f"A red {shown['kind']}"
        assert shown["file_name"] == f"{shown['id']}.png"
        assert shown["file_sha256"] == sha256(root / "data/worlds/mine" / shown["file_name"])
    again, other = (list(find(settings(), [], seed, root).draw()) for seed in (0, 1))
    assert [picture.attributes for picture in again] == [picture.attributes for picture in pictures]
    assert [picture.attributes for picture in other] != [picture.attributes for picture in pictures]


@pytest.mark.parametrize(
    ("dimensions", "images", "changed", "message"),
    [
        (["ink"], COUNT, {}, "no column ink, which questions.ink asks for; it has kind, id"),
        (["kind"], COUNT, {"kind": "Coat"}, "kind 'Coat' and 'coat' are one text to the judge; write them alike"),
        (["kind"], COUNT, {"kind": " "}, "row 5: no kind; every picture needs one"),
        (["kind"], COUNT | {"judge": 19}, {}, "60 pictures, and world.images wants 61; no two splits share one"),
        (
            ["kind"],
            COUNT,
            {"kind": "hat"},
            r"the split (base|judge|reference) shows kind hat in \d of its \d+ pictures, and needs 5; raise world",
        ),
    ],
)
def test_what_is_wrong_is_said_before_a_picture_is_opened(tmp_path, dimensions, images, changed, message):
    root = bring(tmp_path, **changed)
    (root / "data/worlds/mine/0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=message):
        find(settings(images), dimensions, 0, root)


@pytest.mark.parametrize("column", ["split", "sample"])
def test_a_column_that_unpaint_writes_is_refused(column, tmp_path):
    folder = tmp_path / "data/worlds/mine"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    (folder / "metadata.csv").write_text(f"file_name,caption,{column}\na.png,a hat,train\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"the column {column} is taken by Unpaint itself; give it another name"):
        find(settings(), [], 0, tmp_path)
