"""The judge: how it answers, what it refuses, and that its training pictures are what they are called."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from unpaint import params
from unpaint.errors import UserError
from unpaint.evaluate.judge import Judge, ask
from unpaint.stages.evaluate import _refuse_poor
from unpaint.train.easel import DIMENSIONS, Easel
from unpaint.train.judge import build, configuration
from unpaint.worlds import digits

ONE, TWO, OTHER = torch.eye(3)
SETTINGS = params.load(Path(__file__).parents[2] / "params.yaml").judge


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An untrained judge in open_clip's layout."""
    folder = tmp_path_factory.mktemp("judge")
    (folder / "open_clip_config.json").write_text(json.dumps(configuration(SETTINGS, 32)), encoding="utf-8")
    save_file(build(SETTINGS, 32, 0).state_dict(), folder / "open_clip_model.safetensors")
    return folder / "open_clip_config.json", folder / "open_clip_model.safetensors"


def test_the_nearest_candidate_is_named_and_none_where_a_text_of_none_is_nearer():
    pictures = torch.stack([ONE, TWO, OTHER, 0.8 * ONE + 0.6 * OTHER])
    assert ask(pictures, {"one": ONE, "two": TWO}, OTHER[None]) == ["one", "two", None, "one"]
    assert ask(pictures[2:3], {"one": ONE, "two": TWO}) == ["one"]


def test_a_tie_goes_to_the_earlier_candidate_and_not_to_none():
    between = ((ONE + TWO) / 2**0.5)[None]
    assert ask(between, {"two": TWO, "one": ONE}) == ["two"]
    assert ask(between, {"one": ONE}, TWO[None]) == ["one"]


def test_a_question_without_candidates_is_refused():
    with pytest.raises(UserError, match=r"^a question to the judge has no candidates$"):
        ask(ONE[None], {})


def test_a_poor_judge_is_refused_with_its_accuracy_and_the_remedy():
    _refuse_poor({"digit": 0.9, "ink": 0.99}, {"digit": ["one"], "ink": ["red"]}, 0.9)
    message = (
        r"^the judge names digit rightly in 0.899 of held-out real pictures, below evaluation.minimum_accuracy 0.9: "
        r"its scores would mean nothing; train it longer \(judge.steps\)$"
    )
    with pytest.raises(UserError, match=message):
        _refuse_poor({"digit": 0.899, "ink": 0.99}, {"digit": ["one"], "ink": ["red"]}, 0.9)
    with pytest.raises(
        UserError, match=r"^the judge was never held against real pictures on place; it cannot score it$"
    ):
        _refuse_poor({"digit": 1.0}, {"place": ["top"]}, 0.9)


def test_a_feature_depends_on_neither_batch_nor_neighbours(files):
    judge = Judge.load(*files)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    whole = judge.image_features(pictures, 4)
    assert whole.shape == (5, SETTINGS.embedding)
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(5))
    for row in range(5):
        assert torch.equal(judge.image_features(pictures[row : row + 1], 4)[0], whole[row])
    texts = judge.text_features(["a one", "a red digit"])
    assert torch.equal(judge.text_features(["a red digit"])[0], texts[1])


def test_a_missing_a_pickled_and_a_truncated_checkpoint_are_refused(files, tmp_path):
    config, weights = files
    with pytest.raises(UserError, match=r"gone.safetensors does not exist; it is a part of the judge$"):
        Judge.load(config, tmp_path / "gone.safetensors")
    pickled, cut = tmp_path / "judge.pt", tmp_path / "cut.safetensors"
    torch.save({}, pickled)
    with pytest.raises(UserError, match=r"judge.pt is no safetensors file; a pickled checkpoint can run code and is"):
        Judge.load(config, pickled)
    cut.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"cut.safetensors do not load as an open_clip model: "):
        Judge.load(config, cut)


@pytest.fixture(scope="module")
def easel():
    rows = [p for p in digits.draw({"base": 0, "judge": 200, "reference": 0}, 0) if p.attributes["split"] == "judge"]
    pixels = torch.from_numpy(np.stack([row.pixels for row in rows])).permute(0, 3, 1, 2)
    return Easel(pixels, [row.attributes for row in rows], batch=400, nothing=0.25, roundtrip=0.0, autoencoder=None)


def test_a_painted_picture_has_the_ink_and_ground_that_it_is_called_by(easel):
    pictures, facts, names = easel.paint(torch.Generator().manual_seed(0))
    assert pictures.shape == (400, 3, 32, 32)
    for picture, row in zip(pictures[names < 0], facts[names < 0].tolist(), strict=True):
        said = {name: easel.values[name][number] for name, number in zip(DIMENSIONS, row, strict=True)}
        ground = torch.tensor(digits.GROUNDS[said["ground"]], dtype=torch.float)
        assert (picture.flatten(1).median(1).values - ground).abs().max() < 25
        apart = (picture - ground[:, None, None]).abs().sum(0)
        inked = picture[:, apart > 0.9 * apart.max()].mean(1)
        near = {name: (inked - torch.tensor(rgb, dtype=torch.float)).abs().sum() for name, rgb in digits.INKS.items()}
        assert near[said["ink"]] <= 1.6 * min(near.values()) + 40


def test_a_quarter_of_a_batch_are_pictures_of_nothing_of_each_kind(easel):
    _, facts, names = easel.paint(torch.Generator().manual_seed(1))
    assert [(names == kind).sum().item() for kind in range(len(digits.NOTHING))] == [25, 25, 25, 25]
    assert (facts[names >= 0][:, [0, 3]] == -1).all()  # no digit and no place
    noise = digits.NOTHING.index("formless noise")
    assert (facts[names == noise] == -1).all()
    assert (facts[names < 0] >= 0).all()


def test_the_same_generator_paints_the_same_batch(easel):
    one, two, other = (easel.paint(torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
