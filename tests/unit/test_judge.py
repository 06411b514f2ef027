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
from unpaint.train.judge import build, configuration
from unpaint.train.photographs import Photographs
from unpaint.train.strokes import Strokes
from unpaint.worlds import digits, folder

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


def test_a_misspelt_image_tower_is_refused_with_the_name_that_was_meant():
    with pytest.raises(UserError, match=r"judge.image_tower: timm has no model test_resnat; did you mean test_resnet"):
        build(SETTINGS.model_copy(update={"image_tower": "test_resnat"}), 32, 0)


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
        r"its scores would mean nothing; train it longer \(judge.steps\), or take another judge$"
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


SHARES = {"batch": 400, "nothing": 0.25, "roundtrip": 0.0, "autoencoder": None}


@pytest.fixture(scope="module")
def strokes():
    rows = [p for p in digits.draw({"base": 0, "judge": 200, "reference": 0}, 0) if p.attributes["split"] == "judge"]
    pixels = torch.from_numpy(np.stack([row.pixels for row in rows])).permute(0, 3, 1, 2)
    # the questions may stand in any order
    dimensions = ["place", "ground", "digit", "ink"]
    return Strokes(pixels, [row.prompt for row in rows], [row.attributes for row in rows], dimensions, **SHARES)


def called(easel, facts):
    return {name: values[number] for (name, values), number in zip(easel.values.items(), facts.tolist(), strict=True)}


def test_a_painted_digit_has_the_ink_and_ground_that_it_is_called_by(strokes):
    pictures, facts, captions = strokes.paint(torch.Generator().manual_seed(0))
    assert pictures.shape == (400, 3, 32, 32)
    for picture, numbers, caption in zip(pictures[:300], facts, captions, strict=False):
        said = called(strokes, numbers)
        assert caption == digits.TEMPLATE.format(**said)
        ground = torch.tensor(digits.GROUNDS[said["ground"]], dtype=torch.float)
        assert (picture.flatten(1).median(1).values - ground).abs().max() < 25
        apart = (picture - ground[:, None, None]).abs().sum(0)
        inked = picture[:, apart > 0.9 * apart.max()].mean(1)
        near = {name: (inked - torch.tensor(rgb, dtype=torch.float)).abs().sum() for name, rgb in digits.INKS.items()}
        assert near[said["ink"]] <= 1.6 * min(near.values()) + 40


def test_of_a_painted_picture_of_nothing_only_what_it_shows_is_said(strokes):
    _, facts, captions = strokes.paint(torch.Generator().manual_seed(1))
    known = [{name for name, number in zip(strokes.values, row, strict=True) if number >= 0} for row in facts.tolist()]
    shown = {kind: {frozenset(known[row]) for row in range(400) if captions[row] == kind} for kind in digits.NOTHING}
    assert shown == {
        "formless noise": {frozenset()},
        "an empty square": {frozenset({"ground"})},
        "a blob": {frozenset({"ink", "ground"})},
        "a scribble": {frozenset({"ink", "ground"})},
    }
    assert all(len(names) == 4 for names in known[:300])


COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


@pytest.fixture(scope="module")
def photographs():
    """Half black, half of the colour in which they are captioned."""
    names = [name for name in COLOURS for _ in range(4)]
    pixels = torch.zeros(12, 3, 30, 30, dtype=torch.uint8)
    for picture, name in zip(pixels, names, strict=True):
        picture[:, 15:] = torch.tensor(COLOURS[name], dtype=torch.uint8)[:, None, None]
    captions = [f"a {name} half" for name in names]
    return Photographs(pixels, captions, [{"colour": name, "id": "7"} for name in names], ["colour"], **SHARES)


def test_a_painted_photograph_is_still_what_its_caption_says(photographs):
    pictures, facts, captions = photographs.paint(torch.Generator().manual_seed(0))
    assert pictures.shape == (400, 3, 30, 30)
    for picture, numbers, caption in zip(pictures[:300], facts, captions, strict=False):
        name = called(photographs, numbers)["colour"]
        assert caption == f"a {name} half"
        assert (picture[:, 22:].mean((1, 2)) - torch.tensor(COLOURS[name])).abs().max() < 20
        assert picture[:, :8].mean() < 20
    assert len(pictures[:300].unique(dim=0)) == 300


def test_photographs_of_nothing_are_what_they_are_called(photographs):
    pictures, facts, captions = photographs.paint(torch.Generator().manual_seed(1))
    assert (facts[300:] == -1).all()
    of = {kind: pictures[[caption == kind for caption in captions]] for kind in folder.NOTHING}
    assert {kind: len(found) for kind, found in of.items()} == dict.fromkeys(folder.NOTHING, 25)
    assert of["a blank"].flatten(2).std(2).max() < 12
    # half of the cells are black wherever they went
    assert ((of["a jumble"].amax(1) > 100).flatten(1).float().mean(1) - 0.5).abs().max() < 0.1
    tops = of["a jumble"][:, :, :12].mean((1, 2, 3))
    assert (tops > 20).any()
    # several colours in one
    assert ((of["a blend"][:, :, 20:].mean((2, 3)) > 15).sum(1) > 1).float().mean() > 0.8


@pytest.mark.parametrize("name", ["strokes", "photographs"])
def test_a_quarter_of_a_batch_are_pictures_of_nothing_of_each_kind(name, request):
    easel = request.getfixturevalue(name)
    _, facts, captions = easel.paint(torch.Generator().manual_seed(1))
    assert {kind: captions.count(kind) for kind in easel.NOTHING} == dict.fromkeys(easel.NOTHING, 25)
    assert (facts[:300] >= 0).all()


@pytest.mark.parametrize("name", ["strokes", "photographs"])
def test_the_same_generator_paints_the_same_batch(name, request):
    easel = request.getfixturevalue(name)
    one, two, other = (easel.paint(torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
