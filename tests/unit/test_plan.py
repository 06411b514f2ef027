"""The plan of a params file: what is counted, and what is said of models."""

import json

import pytest
import torch
from diffusers import UNet2DConditionModel

from tests.checkpoints import build, clip_tokenizer
from tests.world import ROOT, write_params
from unpaint.models.denoiser import train_scope
from unpaint.params import LabelledDenoiser, plain
from unpaint.plan import plan
from unpaint.train import by_class

WAY = 1.5 / 24 / 3


def test_a_preset_is_planned_before_anything_is_pinned():
    told = plan(ROOT / "presets/sd14-nudity.yaml")
    assert "first: unpaint pin CompVis/stable-diffusion-v1-4, which loads about 5.5 GB of float32, or 2.7 GB" in told
    assert "first: unpaint pin --judge ViT-B-32/laion2b_s34b_b79k, which loads about 0.6 GB of float32" in told
    assert "nudity: 800 + 800 to train on, 100 + 100 to test on" in told
    # 1,600 to train on, and the test prompts by the base model and two unlearned ones
    assert "2,200, 50 denoising steps each" in told
    assert "painting 220,000 forward, unlearning 3,200 forward and back" in told
    assert f"painting {2200 * 50 * 2 * WAY / 3600:.1f} h" in told
    assert f"at most 1.7 GB of pictures, about {2 * 4 * 859_520_964 / 1e9:.1f} GB of the weights of 2 models" in told


def test_another_checkpoint_is_not_known_before_it_is_pinned(tmp_path):
    text = (ROOT / "presets/sd14-nudity.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("stable-diffusion-v1-4.json", "mine.json"), encoding="utf-8")
    told = plan(tmp_path / "params.yaml")
    assert "mine.json is missing; first: unpaint pin SOURCE" in told
    assert "GPU time    not known before it is pinned" in told
    assert "disk        not known before it is pinned: 2,200 pictures, the weights of 2 models" in told


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
    assert f"painting {2200 * 50 * 2 * WAY / 3600:.1f} h, unlearning {2 * 100 * 16 * 4 * WAY / 3600:.1f} h" in told
    assert f"at most {2200 * 512 * 512 * 3 / 1e9:.1f} GB of pictures" in told
    # the network is the published one: its cache is not here
    assert "about 6.9 GB of the weights of 2 models" in told
    pin.write_text(json.dumps({**fields, "repository": "somebody/else"}))
    assert "the weights (their size shows once it is fetched) of 2 models" in plan(tmp_path / "params.yaml")
    # a quarter of the pixels, a quarter of the time
    pin.write_text(json.dumps({**fields, "side": 256}))
    assert f"painting {2200 * 50 * 2 * WAY / 4 / 3600:.1f} h" in plan(tmp_path / "params.yaml")
    pin.write_text(json.dumps({**fields, "family": "PixArt-Sigma"}))
    assert "not known: no rehearsal of PixArt-Sigma" in plan(tmp_path / "params.yaml")


@pytest.mark.parametrize(("name", "models"), [("digits", 3), ("digits-wide", 84)])
def test_what_is_trained_here_needs_nothing_from_elsewhere(name, models):
    told = plan(ROOT / f"presets/{name}.yaml")
    assert told.count("trained here") == 2
    assert f"{models} models: rgd 150 steps" in told


def test_oracles_paint_their_own_pools_and_are_trained_anew():
    told = plan(ROOT / "presets/digits-wide.yaml")
    # of one of 14 concepts, by two seeds
    assert "10,584 by each of 7 models, 1,512 by 2 oracles" in told
    assert f"pictures    {16_800 + 7 * 10_584 + 1_512:,}, 6 denoising" in told
    assert "retraining  2 oracles, each as much work as the base model: concepts 1, seeds 2" in told
    assert f"training {3 * 3_400 * 32:,} forward and back" in told
    assert "retraining" not in plan(ROOT / "presets/digits.yaml")


def test_the_training_of_a_base_model_is_counted():
    preset = ROOT / "presets/cifar10-class.yaml"
    told = plan(preset)
    assert "first: unpaint pin --dataset uoft-cs/cifar10, which loads at most about 0.2 GB" in told
    assert "base model 390,625 steps of 512 pictures" in told
    assert f"training {390_625 * 512:,} forward and back" in told
    assert "GPU time    not known: such a network was not timed on one" in told
    assert f"at most {400_000 * 32 * 32 * 3 / 1e9:.1f} GB of pictures" in told
    params = plain(preset)
    with torch.device("cpu"):
        network = by_class.build(LabelledDenoiser(**params["base"]["denoiser"]), 10, 32, 0).unet
    size = sum(values.numel() for values in network.parameters()) * 4 * 30
    assert f"about {size / 1e9:.1f} GB of the weights of 30 models" in told


@pytest.mark.parametrize(("scope", "share"), [("full", 1.0), ("cross-attention", 0.3), ("lora", 0.3)])
def test_the_size_of_weights_is_that_of_what_is_written(tmp_path, scope, share):
    build("SD1", clip_tokenizer(), tmp_path / "models/base")
    params = plain(ROOT / "presets/sd14-nudity.yaml")
    for method in params["methods"].values():
        method["scope"] = scope
    write_params(tmp_path, params)
    pinned = {"folder": "models/base", "family": "Stable Diffusion 1 and 2", "side": 16, "bytes": 1, "files": {}}
    pin = tmp_path / params["base"]["source"]
    pin.parent.mkdir(parents=True)
    pin.write_text(json.dumps(pinned))
    network = UNet2DConditionModel.from_pretrained(tmp_path / "models/base/unet")
    whole = sum(values.numel() for values in network.parameters())
    learned = sum(values.numel() for values in train_scope(network, scope, 8).values())
    assert learned <= share * whole
    assert f"about {2 * 4 * learned / 1e6:.1f} MB of the weights of 2 models" in plan(tmp_path / "params.yaml")
