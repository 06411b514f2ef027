"""Overlays: what a merge of two files of settings is."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.world import ROOT, tiny_params, write_params
from unpaint.errors import UserError
from unpaint.overlay import merge, overlay
from unpaint.params import parse

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


@pytest.mark.parametrize("preset", [*sorted(ROOT.glob("presets/s*.yaml")), ROOT / "presets/flux-lora-style.yaml"])
def test_a_preset_with_the_overlay_tiny_is_sound_and_small(preset, tmp_path):
    (tmp_path / "params.yaml").write_bytes(preset.read_bytes())
    overlay(tmp_path / "params.yaml", ROOT / "presets/tiny.yaml")
    params, _ = parse(tmp_path / "params.yaml")
    assert all(concept.test.prompts == 6 for concept in params.concepts.values())
    assert all((method.steps, method.batch) == (2, 2) for method in params.methods.values())
    assert params.grammars == parse(preset)[0].grammars


def test_an_overlay_that_does_not_fit_changes_nothing(tmp_path):
    write_params(tmp_path, tiny_params())
    before = (tmp_path / "params.yaml").read_bytes()
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump({"sampling": {"stps": 3}}))
    with pytest.raises(UserError, match=r"params.yaml with .*odd.yaml: sampling.stps: unknown key"):
        overlay(tmp_path / "params.yaml", tmp_path / "odd.yaml")
    assert (tmp_path / "params.yaml").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
