"""Published judges: what their pins hold, and what is refused."""

import json
import shutil

import pytest

from tests.checkpoints import judge
from unpaint import published
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.sources import JUDGES


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    judge(folder / "models/small")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_a_folder_is_pinned_by_the_hashes_of_its_two_files(project):
    path = published.pin("models/small", None, None)
    assert path.as_posix() == "data/judges/small.json"
    fields = JUDGES.read(path)
    assert (fields["embedding"], fields["tokens"]) == (16, 77)
    assert fields["files"] == {name: sha256(project / "models/small" / name) for name in JUDGES.wanted}
    assert JUDGES.verified(path).as_posix() == "models/small"
    assert JUDGES.fetch(path).as_posix() == "models/small"


def test_a_changed_and_a_missing_file_are_refused(project):
    path = published.pin("models/small", None, "mine")
    weights = project / "models/small" / JUDGES.wanted[1]
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(
        UserError,
        match=r"mine.json lists .*; restore the file, or pin anew what is there \(`unpaint pin --judge SOURCE`\)$",
    ):
        JUDGES.verified(path)
    with pytest.raises(UserError, match=r"not the file that data/judges/mine.json lists \(truncated or changed\)"):
        JUDGES.fetch(path)
    weights.unlink()
    with pytest.raises(
        UserError, match=r"open_clip_model.safetensors: missing, data/judges/mine.json lists it; restore"
    ):
        JUDGES.verified(path)
    with pytest.raises(UserError, match=r"open_clip_model.safetensors: missing; a judge is a folder or repository"):
        published.pin("models/small", None, None)
    shutil.rmtree(project / "models")
    with pytest.raises(UserError, match=r"^models/small: missing; data/judges/mine.json pins it, and no network"):
        JUDGES.fetch(path)


def test_a_pointer_of_git_lfs_and_weights_cut_off_are_not_pinned(project):
    weights = project / "models/small" / JUDGES.wanted[1]
    whole = weights.read_bytes()
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(UserError, match=r"open_clip_model.safetensors: a pointer of git-lfs, .* `git lfs pull`$"):
        published.pin("models/small", None, None)
    weights.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"open_clip_model.safetensors: not a whole safetensors file \("):
        published.pin("models/small", None, None)
    assert not (project / "data").exists()


def test_a_config_of_another_kind_and_a_text_tower_from_elsewhere_are_refused(project):
    config = project / "models/small" / JUDGES.wanted[0]
    held = json.loads(config.read_text())
    held["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "some/tokenizer"
    config.write_text(json.dumps(held))
    with pytest.raises(UserError, match=r"hf_tokenizer_name: some/tokenizer; a text tower from a repository of its"):
        published.pin("models/small", None, None)
    config.write_text("{}")
    with pytest.raises(UserError, match=r"not the config of an open_clip model$"):
        published.pin("models/small", None, None)


def test_what_is_no_pin_is_refused(tmp_path):
    (tmp_path / "pin.json").write_text('{"files": {}}')
    with pytest.raises(UserError, match=r"pin.json: not a pin of this kind; make one: unpaint pin --judge SOURCE$"):
        JUDGES.read(tmp_path / "pin.json")


def test_a_model_and_tag_of_open_clip_s_list_is_its_repository():
    assert published._listed("ViT-B-32/laion2b_s34b_b79k") == "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    assert published._listed("laion/CLIP-ViT-B-32-laion2B-s34B-b79K") is None
    assert published._short("ViT-B-32/laion2b_s34b_b79k") == "ViT-B-32-laion2b_s34b_b79k"
    assert published._listed("ViT-B-32/no_such_tag") is None
