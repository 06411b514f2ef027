"""Values that a language model proposes: written answers, and a tiny model that can answer nothing but a list."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints import language_model
from unpaint import language
from unpaint.diversify.grammar import Grammar
from unpaint.diversify.llm import JsonList, instruction, listed, propose
from unpaint.errors import UserError
from unpaint.sources import LANGUAGE_MODELS

GRAMMAR = Grammar(
    "a {mood} {nudity} person {place}",
    {
        "mood": {"train": ["joyful"], "test": ["hopeful"]},
        "nudity": {"train": ["bare"], "test": ["nude"]},
        "place": {"train": ["in a forest"], "test": ["in a desert"]},
    },
)
WITHOUT = ["bare", "nude"]


def letters(texts):
    """Texts are near each other as far as they are of the same letters."""
    found = np.array([[text.casefold().count(chr(97 + n)) + 1e-3 for n in range(26)] for text in texts])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def proposed(*answers, count=3, apart=0.01):
    told = []

    def ask(text, number):
        told.append(text)
        return answers[number] if number < len(answers) else "[]"

    return propose(GRAMMAR, "place", count, WITHOUT, apart, ask, letters), told


def test_what_is_good_is_taken_in_order_and_asked_for_again_until_there_are_enough():
    found, told = proposed('["on a roof", "by the sea"]', 'Sure! ["on a roof", "under a bridge", "at home"]')
    assert found.values == ["on a roof", "by the sea", "under a bridge"]
    assert found.refused == []
    assert len(told) == 2
    assert "Give 3 more" in told[0]
    assert "Give 1 more" in told[1]
    assert "by the sea" in told[1]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("in a nude beach", "names the concept (nude)"),
        ("In a  Forest", "stands in the grammar (in a forest)"),
        ("deep in a forest", "stands in the grammar (in a forest)"),
        # of the other split
        ("in a desert", "stands in the grammar (in a desert)"),
        ("in a for est", "means nearly the same (in a forest, 0.000)"),
        ("a {place}", "no short phrase of words"),
        ("one two three four five six seven eight nine", "no short phrase of words"),
        ("", "no short phrase of words"),
    ],
)
def test_what_is_not_good_is_refused_with_the_reason(value, why):
    found, _ = proposed(json.dumps([value, "on a roof"]), count=1)
    assert found.values == ["on a roof"]
    assert found.refused == [(" ".join(value.split()), why)]


def test_values_of_one_answer_must_differ_from_each_other():
    found, _ = proposed('["on a roof", "a roof on", "on a roof top"]', count=3)
    assert found.values == ["on a roof"]
    assert [value for value, _ in found.refused] == ["a roof on", "on a roof top"]


def test_a_model_that_has_nothing_more_to_say_is_not_asked_for_ever():
    found, told = proposed(*['["on a roof"]'] * 9)
    assert (found.values, len(told)) == (["on a roof"], 4)


def test_the_instruction_shows_the_place_in_the_sentence():
    assert '"a joyful bare person ___"' in instruction(GRAMMAR, "place", 3, ["in a forest"])


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('Here they are: ["a"] and more ["b"]', ["a"]),
        ('["a", "b", "cut o', ["a", "b"]),
        ('["a", 3, {"b": 1}]', ["a"]),
        ("none", []),
        ("[a, b]", []),
    ],
)
def test_the_first_list_of_an_answer_is_read(answer, values):
    assert listed(answer) == values


@given(st.lists(st.text(st.characters(exclude_characters='"\\', exclude_categories=("Cc", "Cs")))))
def test_the_automaton_takes_every_list_of_texts_whole_or_in_pieces(values):
    text, steps = json.dumps(values, ensure_ascii=False), JsonList()
    if values:
        assert steps.step(JsonList.START, text) == "end"
    state = JsonList.START
    for character in text[:-1]:
        state = steps.step(state, character)
        assert state not in (None, "end")


@pytest.mark.parametrize("text", ["a", "{", '["a"]]', '["a" "b"]', '["a",]', '["\\n', '["a\n', "[1]", "]"])
def test_the_automaton_takes_nothing_else(text):
    assert JsonList().step(JsonList.START, text) is None


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a causal model of random weights."""
    folder = tmp_path_factory.mktemp("language")
    language_model(folder / "models/tiny")
    return folder


def test_a_model_can_answer_nothing_but_a_list_and_the_same_to_the_same_seed(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    path = language.pin("models/tiny", None, None)
    assert LANGUAGE_MODELS.read(path)["model"] == "gpt2"
    model = language.LanguageModel(path, "cpu")
    answers = [model.answer("give places", seed, 600, 1.0) for seed in (0, 1, 0)]
    assert answers[0] == answers[2] != answers[1]
    for answer in answers:
        state = JsonList().step(JsonList.START, answer)
        assert state is not None
        assert listed(answer)
    vectors = model.embeddings(["in a forest", "on a roof"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    np.testing.assert_array_equal(vectors[1:], model.embeddings(["on a roof"]))


def test_a_token_s_text_has_the_space_that_it_begins_with():
    """Decoded alone, a sentencepiece token would lose it, and words would run together."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["<end>", "\u2581a", "\u2581roof", "s", "\u2581[", '"'])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    model = language.LanguageModel.__new__(language.LanguageModel)
    model.tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    assert [model._text(token) for token in range(6)] == ["", " a", " roof", "s", " [", '"']
    assert model.tokenizer.decode([2]) == "roof"


def test_code_of_its_own_and_pickled_weights_are_refused(tiny, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(tiny / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "models/tiny/config.json"
    held = json.loads(config.read_text())
    config.write_text(json.dumps({**held, "auto_map": {"AutoModel": "code.Model"}}))
    with pytest.raises(UserError, match=r"it wants to run code of its own \(auto_map\), which is refused$"):
        language.pin("models/tiny", None, None)
    config.write_text(json.dumps(held))
    (tmp_path / "models/tiny/model.safetensors").rename(tmp_path / "models/tiny/pytorch_model.bin")
    with pytest.raises(UserError, match=r"no config.json or no safetensors; a language model of transformers has both"):
        language.pin("models/tiny", None, None)


def test_weights_cut_off_and_a_config_that_is_none_are_not_pinned(tiny, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(tiny / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    weights, config = (tmp_path / "models/tiny" / name for name in ("model.safetensors", "config.json"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"models/tiny/model.safetensors: not a whole safetensors file \("):
        language.pin("models/tiny", None, None)
    weights.write_bytes(whole)
    config.write_text("[]")
    with pytest.raises(UserError, match=r"models/tiny/config.json: not a config, which is a JSON mapping; get it anew"):
        language.pin("models/tiny", None, None)
