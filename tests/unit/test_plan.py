"""The plan of a params file: what is counted, and what is said of models."""

import json

import pytest

from tests.world import ROOT
from unpaint.plan import plan


def test_a_preset_is_planned_before_anything_is_pinned():
    told = plan(ROOT / "presets/sd14-nudity.yaml")
    assert "stable-diffusion-v1-4.json is missing; first: unpaint pin SOURCE" in told
    assert "nudity: 800 + 800 to train on, 100 + 100 to test on" in told
    # 1,600 to train on, and the test prompts by the base model and two unlearned ones
    assert "2,200, 50 denoising steps each" in told
    assert "GPU time" not in told


def test_time_and_disk_follow_from_the_pin(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "presets/sd14-nudity.yaml").read_bytes())
    pin = tmp_path / "data/checkpoints/stable-diffusion-v1-4.json"
    pin.parent.mkdir(parents=True)
    place = {"repository": "CompVis/stable-diffusion-v1-4", "revision": "f" * 40}
    fields = {**place, "family": "Stable Diffusion 1 and 2", "side": 512, "bytes": 5_500_000_000, "files": {}}
    pin.write_text(json.dumps(fields))
    told = plan(tmp_path / "params.yaml")
    assert "512 pixels: 5.5 GB to load (`unpaint fetch`): CompVis/stable-diffusion-v1-4 at ffffffffffff" in told
    # 2,200 pictures of 50 steps, asked twice each; two models of 100 steps of 16 pictures, four ways each
    way = 1.5 / 24 / 3
    assert f"painting {2200 * 50 * 2 * way / 3600:.1f} h, unlearning {2 * 100 * 16 * 4 * way / 3600:.1f} h" in told
    assert f"at most {2200 * 512 * 512 * 3 / 1e9:.1f} GB of pictures" in told
    # a quarter of the pixels, a quarter of the time
    pin.write_text(json.dumps({**fields, "side": 256}))
    assert f"painting {2200 * 50 * 2 * way / 4 / 3600:.1f} h" in plan(tmp_path / "params.yaml")
    pin.write_text(json.dumps({**fields, "family": "PixArt-Sigma"}))
    assert "not known: no rehearsal of PixArt-Sigma" in plan(tmp_path / "params.yaml")


@pytest.mark.parametrize(("name", "models"), [("digits", 3), ("digits-wide", 84)])
def test_what_is_trained_here_needs_nothing_from_elsewhere(name, models):
    told = plan(ROOT / f"presets/{name}.yaml")
    assert told.count("trained here") == 2
    assert f"{models} models: rgd 150 steps" in told
