"""A base model by class, trained here: it learns its labels, resumes in the same bits, and is a checkpoint."""

import numpy as np
import pytest
import torch

from unpaint.corpus import Row, encode
from unpaint.diversify.grammar import Prompt
from unpaint.errors import UserError
from unpaint.lineage.manifest import Manifest
from unpaint.models.base_model import load_base_model
from unpaint.models.edm import LabelledEDM
from unpaint.params import LabelledDenoiser
from unpaint.resume import Resume
from unpaint.sample import render
from unpaint.stages.base import train
from unpaint.stages.images import shown
from unpaint.train.by_class import ENDS, build, fit_denoiser

SIDE = 16
SETTINGS = {"channels": [8, 8], "attention": [False, True], "layers": 1, "dropout": 0.0, "steps": 60, "batch": 8}
SETTINGS |= {"learning_rate": 1e-2, "average": 0.9, "unprompted": 0.0}
SHADES = {"bright": 230, "dark": 20, "grey": 128}


def settings(**changed):
    return LabelledDenoiser(**SETTINGS | changed)


def world():
    """Nearly uniform pictures, two of each shade in turn."""
    random = np.random.default_rng(0)
    return [
        Row(
            encode(random.integers(shade - 8, shade + 8, (SIDE, SIDE, 3), dtype=np.uint8)),
            f"a {name} square",
            f"world-{number:06d}",
            number,
            {"split": "base", "shade": name, "file_name": f"{number}.png"},
        )
        for number, (name, shade) in enumerate([*SHADES.items()] * 2)
    ]


def pixels():
    return torch.from_numpy(np.stack([row.pixels for row in world()])).permute(0, 3, 1, 2)


def losses(model, chosen, resume=None):
    return fit_denoiser(model, pixels(), [0, 1, 2] * 2, 3, chosen, 0, resume)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.unet.parameters(), other.unet.parameters(), strict=True))


def test_the_same_seed_builds_the_same_network_and_a_label_of_none_is_one_more():
    one, again, other = (build(settings(), 3, SIDE, seed) for seed in (0, 0, 1))
    assert same(one, again)
    assert not same(one, other)
    assert one.unet.config.num_class_embeds == 3
    assert build(settings(unprompted=0.1), 3, SIDE, 0).unet.config.num_class_embeds == 4


def test_a_network_that_says_nothing_loses_one():
    """EDM weighs errors so that its network's target has variance 1 at every noise level (appendix B.6)."""
    model = build(settings(), 3, SIDE, 0)
    for parameter in model.unet.conv_out.parameters():
        torch.nn.init.zeros_(parameter)
    shades = torch.rand(64, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pictures = ((shades * 0.75**0.5 + 1) * 127.5).round().to(torch.uint8)  # of variance 1/4, as EDM takes it
    first = next(fit_denoiser(model, pictures, [0] * 64, 3, settings(batch=256), 0))
    assert first.loss == pytest.approx(1, abs=0.02)


def test_no_draw_is_a_noise_level_without_end():
    """At a batch of 512, float32 rounds the last share up to 1 once in 65,536 steps."""
    share = (torch.tensor(511.0) + torch.tensor(1 - 2**-24)) / 512
    assert share == 1
    levels = LabelledEDM.levels(torch.stack([share, 0 * share]).clamp(*ENDS))
    assert torch.isfinite(levels).all()
    assert (levels > 0).all()


def test_a_resumed_training_ends_in_the_same_bits_dropout_or_not(tmp_path):
    chosen = settings(steps=6, dropout=0.3, unprompted=0.3)
    whole, stopped, anew = (build(chosen, 3, SIDE, 0) for _ in range(3))
    list(losses(whole, chosen))
    for record in losses(stopped, chosen, Resume(tmp_path / "s", "x", 0)):
        if record.step == 3:
            break
    torch.manual_seed(99)  # what others draw does not matter
    assert [record.step for record in losses(anew, chosen, Resume(tmp_path / "s", "x", 1e9))] == [4, 5, 6]
    assert same(anew, whole)


def test_an_oracle_is_a_checkpoint_that_knows_the_label_but_not_the_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base, pipeline = tmp_path / "base.json", tmp_path / "pipeline"
    given = {"source": "results/world.parquet", "threads": 1, "classes": "shade", "denoiser": SETTINGS}
    rows = world()
    kept = [row for row in rows if row.attributes["shade"] != "grey"]
    wanted = {"seed": 0, "device": "cpu", "base": given}
    train(wanted, Manifest("retrain", wanted, {}), rows, kept, base, pipeline)
    model = load_base_model(base, "cpu")
    assert model.side == SIDE
    assert model.labels.numbers == {"bright": {0}, "dark": {1}, "grey": {2}}
    prompts = [Prompt("p", seed, name, {}) for name in ("bright", "dark") for seed in range(4)]
    bright, dark = (
        np.stack(part).mean() for part in np.split(np.stack([*render(model, prompts, width=8, steps=8)]), 2)
    )
    assert bright > 180
    assert dark < 80


def test_real_pictures_stand_for_prompts_each_once_and_by_their_values():
    prompts = [Prompt(f"p{n}", n, name, {"shade": name}) for n, name in enumerate(["dark", "grey", "dark"])]
    rows = list(shown(world(), prompts))
    assert [(row.prompt, row.pair, row.seed) for row in rows] == [
        ("dark", "p0", 0),
        ("grey", "p1", 1),
        ("dark", "p2", 2),
    ]
    assert [row.attributes["world"] for row in rows] == ["world-000001", "world-000002", "world-000004"]
    assert [row.attributes["file_name"] for row in rows] == ["1.png", "2.png", "4.png"]
    assert rows[2].sha256 == world()[4].sha256
    with pytest.raises(UserError, match="too few pictures of the world show dark; ask for fewer"):
        list(shown(world(), [*prompts, prompts[0]]))
