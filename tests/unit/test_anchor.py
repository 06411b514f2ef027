"""What forget prompts are led to: the value that the base model paints most alike, a given one, none, or the pair's."""

from typing import ClassVar

import pytest
import torch

from unpaint.diversify.anchor import choices
from unpaint.diversify.grammar import Grammar
from unpaint.encoded import Encoded
from unpaint.nearest import SAMPLE, Anchors, chosen, distances

INKS = ("red", "blue", "pink", "green")
GRAMMAR = Grammar(
    "a {ink} {digit} on {ground}",
    {
        "ink": {"train": INKS[:2], "test": INKS[2:]},
        "digit": {"train": ["one"], "test": ["two"]},
        "ground": {"train": ["blue", "green"], "test": ["gray"]},
    },
    [["ink", "ground"]],
)
RED, BLUE = ("ink", "red"), ("ink", "blue")
RETAIN = {"a.0": "a pink one on blue", "a.1": "a green one on blue", "b.0": "a blue one on gray"}


def values(ink="red", ground="gray"):
    return {"ink": ink, "digit": "one", "ground": ground}


def led(rows, anchor, targets=(RED,)):
    """The anchors of rows, given by their values."""
    found = {GRAMMAR.text(row): choices(GRAMMAR, targets, row, anchor) for row in rows}
    return Anchors({p: f["target"] for p, f in found.items()}, {p: f["choices"] for p, f in found.items()}, RETAIN)


def texts(rows):
    return [GRAMMAR.text(row) for row in rows]


def test_nearest_leaves_every_other_value_that_the_grammar_allows():
    for ground, inks in (("gray", ("blue", "pink", "green")), ("green", ("blue", "pink"))):
        expected = {ink: f"a {ink} one on {ground}" for ink in inks}
        assert choices(GRAMMAR, [RED], values(ground=ground), "nearest") == {"target": RED, "choices": expected}


def test_a_forgotten_value_is_never_an_anchor():
    for ink in ("red", "blue"):
        found = choices(GRAMMAR, [RED, BLUE], values(ink), "nearest")
        assert (found["target"], set(found["choices"])) == (("ink", ink), {"pink", "green"})


def test_a_given_value_stands_wherever_the_grammar_allows_it():
    assert list(choices(GRAMMAR, [RED], values(), "green")["choices"]) == ["green"]
    assert list(choices(GRAMMAR, [RED], values(ground="green"), "green")["choices"]) == ["blue", "pink"]


def test_drop_leaves_the_concept_out_and_pair_leaves_no_choice():
    assert choices(GRAMMAR, [RED], values(), "drop")["choices"] == {"": "a one on gray"}
    assert choices(GRAMMAR, [RED], values(), "pair") == {"target": RED, "choices": {}}


def test_a_row_is_led_to_the_first_of_the_ranking_that_it_may_choose():
    rows = [values(ground="gray"), values(ground="green"), values("blue")]
    ranked = {RED: ["green", "pink"], BLUE: ["pink", "green"]}
    found = chosen(texts(rows), ["a.0"] * 3, led(rows, "nearest", [RED, BLUE]), ranked.get)
    assert found == ["a green one on gray", "a pink one on green", "a pink one on gray"]


def test_a_single_choice_needs_no_ranking():
    assert chosen(texts([values()]), ["a.0"], led([values()], "drop"), None) == ["a one on gray"]


def test_without_a_choice_the_retain_prompt_of_the_pair_stands_or_the_first_of_the_same_forget_prompt():
    found = chosen(["?"] * 4, ["a.1", "a.0", "b.7", "a.9"], led([values()], "pair"), None)
    assert found == [RETAIN["a.1"], RETAIN["a.0"], RETAIN["b.0"], RETAIN["a.0"]]


def test_captions_of_the_user_s_own_are_led_to_the_retain_prompts_in_turn_but_where_one_is_a_prompt_of_training():
    captions, pairs = ["my cat"] * 4 + ["a red one on gray"], [f"own-{number:06d}" for number in range(5)]
    found = chosen(captions, pairs, led([values()], "nearest"), lambda target: ["pink", "blue", "green"])
    assert found == [*RETAIN.values(), RETAIN["a.0"], "a pink one on gray"]


class Planted:
    """A denoiser that predicts a number per ink, times its row's timestep and noise: a row of its own scale."""

    number: ClassVar = {"red": 1.0, "blue": 4.0, "pink": 2.5, "green": -1.0}

    def __init__(self):
        self.module = torch.nn.Linear(1, 1)
        self.batches = []

    def spread(self, count):
        return (torch.arange(count) * 1000 + 500) // count

    def residuals(self, latents, conditions, noise, times):
        self.batches.append(len(latents))
        return conditions["text"][:, :1, :1, None] * times[:, None, None, None] * noise


def embed(prompts):
    numbers = [[[next(n for ink, n in Planted.number.items() if f"a {ink} " in p)]] for p in prompts]
    return {"text": torch.tensor(numbers)}


def ranked(rows, batch=7):
    prompts = texts(rows)
    distinct = sorted(set(prompts))
    belongs = torch.tensor([distinct.index(prompt) for prompt in prompts])
    zeros = torch.zeros(len(rows), 1, 2, 2)
    encoded = Encoded(zeros, zeros, embed(distinct), belongs, belongs.clone(), {"text": torch.zeros(1, 1)})
    planted = Planted()
    found = distances(RED, prompts, encoded, led(rows, "nearest", [RED, BLUE]), planted, embed, batch)
    assert max(planted.batches) <= batch
    return found


@pytest.mark.parametrize("count", [1, 3, SAMPLE, 5 * SAMPLE])
def test_a_distance_is_relative_to_its_row_whatever_the_row_s_timestep(count):
    """Pink is 1.5 away, green 2: their squares over the mean of both. Rows of blue, forgotten too, do not count."""
    found = ranked([values("blue"), *[values()] * count, values("blue")])
    assert list(found) == ["pink", "green"]
    assert found == pytest.approx({"pink": 2.25 / 3.125, "green": 4 / 3.125}, rel=1e-4)


def test_each_value_is_measured_on_the_rows_that_allow_it():
    """On green ground pink is the only choice, and so 1; a row of large errors must not stand against a value."""
    found = ranked([values(ground="green"), values(ground="gray"), values(ground="green"), values(ground="blue")])
    assert 2.25 / 3.125 < found["pink"] < 1
    assert found["green"] == pytest.approx(4 / 3.125, rel=1e-4)


def test_a_value_that_no_row_of_the_sample_allows_stands_last():
    rows = [values(ground="green") for _ in range(2 * SAMPLE)] + [values(ground="blue")]
    assert ranked(rows) == {"pink": 1, "green": float("inf")}
