"""The world `dataset`: what its pin says, how its pictures are dealt, and what can be wrong with it."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from tests.checkpoints import dataset
from tests.hub import hub
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.sources import DATASETS
from unpaint.worlds import find
from unpaint.worlds.dataset import pin

COUNT = {"base": 24, "judge": 18, "reference": 18}
LABELS = ("cat", "tabby dog", "frog")
REVISION = "0123456789abcdef0123456789abcdef01234567"


def settings(**changed):
    given = {"kind": "dataset", "source": "data/worlds/small.json", "side": 16, "caption": "a {label}", "images": COUNT}
    return given | changed


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A project with a small data set that is pinned; its pictures."""
    monkeypatch.chdir(tmp_path)
    made = dataset(tmp_path / "sets/small/plain", 60, LABELS)
    pin("sets/small", None, None)
    return made


def test_a_pin_says_what_is_there(pictures):
    said = DATASETS.read(DATASETS.folder / "small.json")
    assert (said["folder"], said["rows"], said["copies"], said["image"]) == ("sets/small", 60, [], "img")
    assert said["columns"] == {"label": dict.fromkeys(LABELS, 20)}
    assert list(said["files"]) == ["plain/test-00000-of-00001.parquet", "plain/train-00000-of-00001.parquet"]


def test_a_world_is_known_by_its_pin_alone(pictures, tmp_path):
    shutil.rmtree(tmp_path / "sets")
    world = find(settings(), [], 0, tmp_path)
    assert world.values == {"label": ("cat", "frog", "tabby dog")}
    assert world.words == {"a", "cat", "tabby", "dog", "frog"}
    assert world.held_out({"label": {"cat", "frog"}}) == pytest.approx(12)
    assert world.held_out({}) == 18


def test_each_picture_is_dealt_once_under_its_own_label_and_leads_to_its_row(pictures):
    drawn = list(find(settings(side=32), [], 0).draw())
    assert Counter(picture.attributes["split"] for picture in drawn) == COUNT
    assert len({picture.attributes["file_name"] for picture in drawn}) == 60
    for picture in drawn:
        file, _, row = picture.attributes["file_name"].partition("#")
        number = int(row) + (10 if "train" in file else 0)
        assert (picture.pixels == pictures[number]).all()
        assert picture.attributes["label"] == LABELS[number % 3]
        assert picture.prompt == f"a {LABELS[number % 3]}"
        assert len(picture.attributes["file_sha256"]) == 64
    again, other = (list(find(settings(side=32), [], seed).draw()) for seed in (0, 1))
    assert [picture.attributes for picture in again] == [picture.attributes for picture in drawn]
    assert [picture.attributes for picture in other] != [picture.attributes for picture in drawn]


def test_a_copy_of_a_picture_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    given = [random.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(30)]
    features = Features({"img": Image(), "kind": Value("string")})
    rows = {"img": [*given, given[4], given[0]], "kind": ["a", "b"] * 16}
    (tmp_path / "sets").mkdir()
    Dataset.from_dict(rows, features).to_parquet(tmp_path / "sets/all.parquet")
    said = DATASETS.read(pin("sets", None, "small"))
    assert (said["rows"], said["copies"]) == (30, ["all.parquet#30", "all.parquet#31"])
    assert said["columns"] == {"kind": {"a": 15, "b": 15}}
    count = {"base": 10, "judge": 10, "reference": 10}
    drawn = list(find(settings(caption="{kind}", images=count), [], 0).draw())
    assert {picture.attributes["file_name"] for picture in drawn} == {f"all.parquet#{row}" for row in range(30)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"caption": "a picture"}, "world.caption: 'a picture' names no column in braces; "),
        ({"caption": "a {colour}"}, r"no column 'colour' that tells every picture; it has label"),
        ({"images": COUNT | {"base": 30}}, "60 pictures, and world.images wants 66"),
        ({"images": COUNT | {"judge": 12}}, "the split judge would show label cat in about 4.0 pictures, and needs 5"),
        ({"source": "data/worlds/other.json"}, "other.json is missing; make it: unpaint pin --dataset SOURCE"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(changed, message, pictures):
    with pytest.raises(UserError, match=message):
        find(settings(**changed), [], 0)


def test_a_changed_file_is_refused(pictures, tmp_path):
    path = tmp_path / "sets/small/plain/test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match=r"not the file that data/worlds/small.json lists"):
        next(iter(find(settings(), [], 0).draw()))


def write(folder, features, **columns):
    folder.mkdir(parents=True)
    Dataset.from_dict(columns, Features(features)).to_parquet(folder / "all.parquet")


def test_what_is_no_labelled_data_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    label = ClassLabel(names=["one", "two"])
    (tmp_path / "empty").mkdir()
    write(tmp_path / "texts", {"label": label}, label=[0, 1])
    write(tmp_path / "twice", {"a": Image(), "b": Image()}, a=list(noise), b=list(noise))
    write(tmp_path / "nothing", {"img": Image(), "label": label}, img=[], label=[])
    write(tmp_path / "null", {"img": Image(), "label": label}, img=[noise[0], None], label=[0, 1])
    (tmp_path / "pointer").mkdir()
    (tmp_path / "pointer/all.parquet").write_text("version https://git-lfs.github.com/spec/v1")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/all.parquet").write_bytes(b"PAR1")
    write(tmp_path / "several/one", {"img": Image(), "label": label}, img=list(noise), label=[0, 1])
    write(tmp_path / "several/two", {"img": Image(), "label": label}, img=list(noise), label=[0, 1])
    write(tmp_path / "mixed", {"img": Image(), "label": label}, img=list(noise), label=[0, 1])
    Dataset.from_dict({"label": [0, 1]}, Features({"label": label})).to_parquet(tmp_path / "mixed/other.parquet")
    for folder, message in (
        ("empty", "empty: no Parquet file"),
        ("texts", "0 columns of pictures; a world has one"),
        ("twice", "2 columns of pictures; a world has one"),
        ("nothing", "nothing: no picture; put the data set there"),
        ("pointer", "pointer/all.parquet: a pointer of git-lfs, not the file itself; bring it: `git lfs pull`"),
        ("cut", "cut/all.parquet: not a readable Parquet file"),
        ("null", "null/all.parquet#1: has no picture in the file itself"),
        ("several", "several: several data sets, one, two"),
        ("mixed", "mixed/other.parquet: its columns are not those of all.parquet"),
    ):
        with pytest.raises(UserError, match=message):
            pin(folder, None, None)
    assert not (tmp_path / "data").exists()


def test_a_column_with_a_gap_is_no_dimension(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = list(np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    text = Value("string")
    features = {"img": Image(), "label": ClassLabel(names=["one", "two"]), "note": text, "split": text}
    columns = {"label": [0, 1] * 20, "note": ["x"] * 39 + [None], "split": ["train"] * 40}
    write(tmp_path / "gaps", features, img=noise, **columns)
    assert list(DATASETS.read(pin("gaps", None, "small"))["columns"]) == ["label", "split"]
    count = {"base": 10, "judge": 10, "reference": 10}
    wrong = {"{note}": "no column 'note' that tells every", "{split}": "the column split is taken by"}
    for caption, message in wrong.items():
        with pytest.raises(UserError, match=message):
            find(settings(caption=caption, images=count), [], 0)


def test_a_data_set_of_the_hub_is_pinned_by_its_commit_and_fetched(tmp_path, monkeypatch):
    dataset(tmp_path / "shelf/plain_text", 60, LABELS)
    (tmp_path / "shelf/README.md").write_text("not to be read")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub(tmp_path / "shelf", "some/pictures", REVISION, "dataset") as (address, loaded):
        for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
            template = "" if name == "ENDPOINT" else "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", address + template)
        path = pin("some/pictures", None, None)
        said = json.loads(path.read_text())
        assert (said["repository"], said["revision"], said["rows"]) == ("some/pictures", REVISION, 60)
        assert sorted(set(loaded)) == sorted(said["files"])
        assert DATASETS.fetch(path) == DATASETS.verified(path)
        file = DATASETS.verified(path) / next(iter(said["files"]))
        (blob := file.resolve()).write_bytes(b"cut off")
        # the Hub's client leaves it there
        with pytest.raises(UserError, match=rf"truncated or changed\); delete {blob}, then `unpaint fetch` brings it$"):
            DATASETS.fetch(path)
        blob.unlink()
        assert DATASETS.fetch(path) == DATASETS.verified(path)
    # without a network
    drawn = list(find(settings(source=str(path)), [], 0).draw())
    assert len(drawn) == 60
    assert sha256(DATASETS.verified(path) / next(iter(said["files"]))) == next(iter(said["files"].values()))
