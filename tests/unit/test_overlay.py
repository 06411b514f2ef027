"""Overlays: what a merge of two files of settings is."""

import json
from contextlib import chdir

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.checkpoints import dataset
from tests.world import ROOT, tiny_params, write_params
from unpaint import known
from unpaint.errors import UserError
from unpaint.overlay import merge, overlay
from unpaint.params import Pinned, load, parse, plain
from unpaint.worlds.dataset import pin as pin_dataset

PRESETS = sorted(path for path in ROOT.glob("presets/*.yaml") if path.stem != "tiny")
NAMES = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(st.integers(), lambda below: st.dictionaries(NAMES, below, max_size=3), max_leaves=8)


@given(TREES, TREES)
def test_an_overlay_wins_and_twice_is_once(below, above):
    once = merge(below, above)
    assert merge(once, above) == once
    assert merge(below, {}) == (below if isinstance(below, dict) else {})
    if isinstance(below, dict) and isinstance(above, dict):
        assert set(once) == set(below) | set(above)
        assert all(once[key] == below[key] for key in set(below) - set(above))


def test_a_star_stands_for_every_entry_and_a_name_wins_over_it():
    below = {"one": {"n": 1, "kept": [1]}, "two": {"n": 2}}
    assert merge(below, {"*": {"n": 9}, "two": {"n": 5}}) == {"one": {"n": 9, "kept": [1]}, "two": {"n": 5}}
    assert merge(below, {"*": {"kept": [7, 8]}})["one"]["kept"] == [7, 8]
    assert merge({}, {"*": {"n": 9}}) == {}


def test_a_number_is_cut_to_at_most_that_where_there_is_one():
    below = {"few": 2, "many": 9, "share": 0.9, "widths": [8, 64], "deep": {"n": 7}}
    above = dict.fromkeys(below, "<=6") | {"share": "<=0.5", "deep": {"n": "<=3", "none": "<=1"}, "gone": {"n": "<=1"}}
    once = merge(below, above)
    assert once == {"few": 2, "many": 6, "share": 0.5, "widths": [6, 6], "deep": {"n": 3}}
    assert merge(once, above) == once
    assert merge({"all": {"one": {"n": 5}, "two": {}}}, {"all": {"*": {"n": "<=4"}}}) == {
        "all": {"one": {"n": 4}, "two": {}}
    }
    assert merge({"text": "long"}, {"text": "<=4"}) == {"text": "<=4"}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_any_preset_with_the_overlay_tiny_is_sound_and_small(preset, tmp_path):
    (tmp_path / "params.yaml").write_bytes(preset.read_bytes())
    bring(plain(preset), tmp_path)
    overlay(tmp_path / "params.yaml", ROOT / "presets/tiny.yaml")
    params = load(tmp_path / "params.yaml")
    before = parse(preset)[0]
    assert all(concept.test.prompts <= 6 for concept in params.concepts.values())
    assert all((method.steps, method.batch) == (2, 2) for method in params.methods.values())
    assert params.grammars == before.grammars
    assert type(params.base) is type(before.base)
    if not isinstance(params.base, Pinned):
        assert (params.base.denoiser.steps, max(params.base.denoiser.channels)) == (4, 16)


def bring(given, folder):
    """What a preset asks for from elsewhere, as small as it may be: pins, or pictures."""
    pins = {given[name].get("source", "") for name in ("world", "base", "judge")} - {"", "results/world.parquet"}
    for source in pins:
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        name = source.rpartition("/")[2].removesuffix(".json")
        if "worlds" in source:
            dataset(folder / "sets/cifar10", rows=2160)
            with chdir(folder):
                pin_dataset("sets/cifar10", None, name)
            continue
        said = {"embedding": 16, "tokens": 77} if "judges" in source else vars(known.CHECKPOINTS[name])
        fields = {key: said[key] for key in ("embedding", "tokens", "family", "side") if key in said}
        (folder / source).write_text(json.dumps({"folder": "models", "bytes": 1, "files": {}, **fields}))
    if given["world"]["kind"] == "folder":
        garments(given, folder / given["world"]["path"])


def garments(given, folder):
    values = {name: [*both["train"], *both["test"]] for name, both in given["grammars"]["garments"]["values"].items()}
    folder.mkdir(parents=True)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for number in range(2160):
            kind, colour = (
                given[number // turn % len(given)] for given, turn in ((values["kind"], 1), (values["colour"], 10))
            )
            Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(folder / f"{number}.png")
            row = {"file_name": f"{number}.png", "caption": f"a {colour} {kind}", "kind": kind, "colour": colour}
            metadata.write(json.dumps(row) + "\n")


def test_an_overlay_that_does_not_fit_changes_nothing(tmp_path):
    write_params(tmp_path, tiny_params())
    before = (tmp_path / "params.yaml").read_bytes()
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump({"sampling": {"stps": 3}}))
    with pytest.raises(UserError, match=r"params.yaml with .*odd.yaml: sampling.stps: unknown key"):
        overlay(tmp_path / "params.yaml", tmp_path / "odd.yaml")
    assert (tmp_path / "params.yaml").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
