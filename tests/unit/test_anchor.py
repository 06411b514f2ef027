"""What forget prompts are led to: the value that the base model paints most alike, a given one, none, or the pair's."""

import numpy as np
import pytest
import torch

from unpaint.corpus import Row, encode
from unpaint.diversify.anchor import anchors
from unpaint.diversify.grammar import Grammar, Prompt
from unpaint.encoded import Encoded
from unpaint.nearest import SAMPLE, chosen, distances

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
RETAIN = [{"pair": "a.0", "prompt": "a pink one on blue"}, {"pair": "a.1", "prompt": "a green one on blue"}]


def asked(ink="red", ground="gray", pair="a.0"):
    values = {"ink": ink, "digit": "one", "ground": ground}
    return Prompt(pair, 0, GRAMMAR.text(values), values)


def row(*given, **named):
    prompt = asked(*given, **named)
    return Row(encode(np.zeros((4, 4, 3), np.uint8)), prompt.prompt, prompt.pair, 0, prompt.attributes)


def test_nearest_leaves_every_other_value_that_the_grammar_allows():
    found = anchors(GRAMMAR, [RED], [asked(ground="gray"), asked(ground="green")], "nearest")
    assert found == {
        "a red one on gray": {ink: f"a {ink} one on gray" for ink in ("blue", "pink", "green")},
        "a red one on green": {ink: f"a {ink} one on green" for ink in ("blue", "pink")},
    }


def test_a_forgotten_value_is_never_an_anchor():
    found = anchors(GRAMMAR, [RED, BLUE], [asked("red"), asked("blue")], "nearest")
    assert [set(given) for given in found.values()] == [{"pink", "green"}] * 2


def test_a_given_value_stands_wherever_the_grammar_allows_it():
    found = anchors(GRAMMAR, [RED], [asked(), asked(ground="green")], "green")
    assert [list(given) for given in found.values()] == [["green"], ["blue", "pink"]]


def test_drop_leaves_the_concept_out_and_pair_leaves_no_choice():
    assert anchors(GRAMMAR, [RED], [asked()], "drop") == {"a red one on gray": {"": "a one on gray"}}
    assert anchors(GRAMMAR, [RED], [asked()], "pair") == {}


def test_a_row_is_led_to_the_first_of_the_ranking_that_it_may_choose():
    rows = [row(ground="gray"), row(ground="green"), row("blue")]
    choices = anchors(GRAMMAR, [RED, BLUE], rows, "nearest")
    ranked = {RED: ["green", "pink"], BLUE: ["pink", "green"]}
    expected = ["a green one on gray", "a pink one on green", "a pink one on gray"]
    assert chosen(rows, [RED, BLUE], choices, RETAIN, ranked.get) == expected


def test_a_single_choice_needs_no_ranking():
    assert chosen([row()], [RED], anchors(GRAMMAR, [RED], [row()], "drop"), RETAIN, None) == ["a one on gray"]


def test_without_a_choice_the_retain_prompt_of_the_pair_stands():
    rows = [row(pair="a.1"), row(pair="a.0")]
    assert chosen(rows, [RED], {}, RETAIN, None) == ["a green one on blue", "a pink one on blue"]


def test_own_pictures_are_led_to_the_retain_prompts_in_turn():
    own = Row(encode(np.zeros((4, 4, 3), np.uint8)), "my cat", "own-000000", 0, {"file_name": "cat.png"})
    found = chosen([own] * 3, [RED], anchors(GRAMMAR, [RED], [asked()], "nearest"), RETAIN, None)
    assert found == ["a pink one on blue", "a green one on blue", "a pink one on blue"]


class Planted:
    """A denoiser whose residual is the first number of the embedding."""

    timesteps = 1000

    def __init__(self):
        self.module = torch.nn.Linear(1, 1)
        self.seen = []

    def residuals(self, latents, embeddings, noise, timesteps):
        self.seen.append((noise, timesteps))
        return embeddings[:, 0, 0, None, None, None].expand_as(latents).clone()


def ranked(rows, embed, denoiser):
    texts = sorted({one.prompt for one in rows})
    belongs = torch.tensor([texts.index(one.prompt) for one in rows])
    zeros = torch.zeros(len(rows), 1, 2, 2)
    encoded = Encoded(zeros, zeros, embed(texts), belongs, belongs.clone(), torch.zeros(1, 1))
    return distances(RED, rows, anchors(GRAMMAR, [RED], rows, "nearest"), encoded, denoiser, embed)


@pytest.mark.parametrize("count", [1, 3, SAMPLE, 5 * SAMPLE])
def test_the_ranking_is_by_the_base_model_s_predictions_on_rows_that_show_the_value(count):
    """The prediction is planted, a number per ink; what is planted is read off, whatever the number of rows."""
    planted = {"red": 1.0, "blue": 4.0, "pink": 2.5, "green": -1.0}
    denoiser = Planted()

    def embed(texts):
        return torch.tensor([[[planted[next(ink for ink in INKS if ink in text)]]] for text in texts])

    found = ranked([row(pair=f"a.{number}") for number in range(count)], embed, denoiser)
    assert list(found.items()) == [("pink", 2.25), ("green", 4.0), ("blue", 9.0)]
    noises, timesteps = zip(*denoiser.seen, strict=True)
    assert all(torch.equal(noise, noises[0]) for noise in noises)
    assert len(noises[0]) == len(set(timesteps[0].tolist())) == min(count, SAMPLE)
    assert 0 <= min(timesteps[0]) <= max(timesteps[0]) < 1000


def test_a_value_is_ranked_on_the_rows_whose_context_allows_it_and_last_if_there_is_none():
    seen = []

    def embed(texts):
        seen.append(list(texts))
        return torch.ones(len(texts), 1, 1)

    found = ranked([row(ground="blue")], embed, Planted())
    assert list(found) == ["green", "pink"]
    seen.clear()
    rows = [row(ground="green") for _ in range(2 * SAMPLE)] + [row(ground="blue")]
    found = ranked(rows, embed, Planted())
    assert found == {"blue": 0, "pink": 0, "green": float("inf")}
    assert ["a pink one on green"] * SAMPLE in seen
