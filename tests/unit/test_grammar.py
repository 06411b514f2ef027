"""Grammars of random words: what the lists promise holds for all of them."""

from collections import Counter
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unpaint.diversify import grammar as module
from unpaint.diversify.grammar import NOISE_BITS, Grammar, as_fields, expand, image_seed
from unpaint.errors import UserError

PROMPTS = 2
DIGITS = {"train": ["one", "two", "three"], "test": ["four", "five", "six"]}
WARM, COLD = ["red", "orange", "yellow"], ["green", "blue", "cyan"]


def digits(**changes):
    """Ink and ground share their words, the other way round."""
    values = {"digit": DIGITS, "ink": {"train": WARM, "test": COLD}, "ground": {"train": COLD, "test": WARM}}
    return Grammar(
        **{"template": "a {ink} {digit} on {ground}", "values": values, "distinct": [["ink", "ground"]], **changes}
    )


def counts(prompts, replacement="value", forget=1, retain=1):
    images = {"forget": forget, "retain": retain}
    each = {"prompts": prompts, "replacement": replacement, "images_per_prompt": images}
    return {"train": each, "test": each}


def both(replacement="value"):
    return counts(PROMPTS, replacement, forget=2, retain=3)


@st.composite
def worlds(draw):
    """A grammar of two to four dimensions over few words, so that dimensions share them, and a concept in it."""
    names = ["alpha", "beta", "gamma", "delta"][: draw(st.integers(2, 4))]
    values = {}
    for name in names:
        words = draw(st.permutations([f"w{number}" for number in range(9)]))
        values[name] = {"train": words[:4], "test": words[4:8]}
    distinct = draw(st.sampled_from([[], [names[:2]]]))
    dimension = draw(st.sampled_from(names))
    known = [*values[dimension]["train"], *values[dimension]["test"]]
    forgotten = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
    template = " ".join(f"{name} {{{name}}}" for name in names) + " ."
    return Grammar(template, values, distinct), [(dimension, value) for value in forgotten]


@given(worlds(), st.integers(0, 9), st.sampled_from(["value", "drop", ["x", "y", "z"]]))
def test_pairs_differ_in_the_concept_alone(world, seed, replacement):
    grammar, targets = world
    for lists in expand(grammar, targets, both(replacement), seed).values():
        forget = {row.pair: row for row in lists.forget}
        assert (len(lists.forget), len(lists.retain)) == (4, 6)
        assert len(forget) == 4
        for row in lists.retain:
            other = forget.get(row.pair) or forget[row.pair[:-1] + "0"]
            differing = {name for name in row.attributes if row.attributes[name] != other.attributes[name]}
            assert differing == {targets[0][0]}
            if row.pair in forget:
                assert row.seed == other.seed


@given(worlds(), st.integers(0, 9), st.sampled_from(["value", "drop"]))
def test_no_forgotten_value_is_in_a_retain_prompt_in_any_dimension(world, seed, replacement):
    grammar, targets = world
    forgotten = {value for _, value in targets}
    for lists in expand(grammar, targets, both(replacement), seed).values():
        for row in lists.retain:
            assert not forgotten & {*row.attributes.values(), *row.prompt.split()}
        for row in lists.forget:
            assert [value for value in row.attributes.values() if value in forgotten] == [row.attributes[targets[0][0]]]


@given(worlds(), st.integers(0, 9))
def test_train_and_test_share_no_value_but_the_concept_s_dimension_s(world, seed):
    grammar, targets = world
    lists = expand(grammar, targets, both(), seed)
    for name in grammar.values:
        train, test = (
            {row.attributes[name] for row in (*s.forget, *s.retain)} for s in (lists["train"], lists["test"])
        )
        assert not train & test or name == targets[0][0]
        if name != targets[0][0]:
            assert train <= set(grammar.values[name]["train"])
            assert test <= set(grammar.values[name]["test"])


@given(worlds(), st.integers(0, 9), st.sampled_from(["value", "drop"]))
def test_dimensions_that_must_differ_do(world, seed, replacement):
    grammar, targets = world
    for lists in expand(grammar, targets, both(replacement), seed).values():
        for row in (*lists.forget, *lists.retain):
            for one, other in grammar.distinct:
                assert row.attributes[one] != row.attributes[other]


@given(worlds(), st.integers(0, 9), st.sampled_from(["value", "drop", ["x", "y"]]))
def test_every_row_is_a_picture_of_its_own_and_every_context_is_used_once(world, seed, replacement):
    grammar, targets = world
    for lists in expand(grammar, targets, both(replacement), seed).values():
        for rows in (lists.forget, lists.retain):
            assert len({(row.prompt, row.seed) for row in rows}) == len({row.seed for row in rows}) == len(rows)
        assert len({tuple(row.attributes.items()) for row in lists.forget}) == PROMPTS


@given(worlds(), st.integers(0, 9))
def test_the_same_seed_gives_the_same_lists_and_another_seed_others(world, seed):
    grammar, targets = world
    lists = expand(grammar, targets, both(), seed)
    assert lists == expand(grammar, targets, both(), seed)
    assert lists["train"].forget != expand(grammar, targets, both(), seed + 1)["train"].forget


@given(worlds(), st.integers(0, 9))
def test_coverage_counts_what_the_lists_hold(world, seed):
    grammar, targets = world
    for lists in expand(grammar, targets, both(), seed).values():
        assert lists.coverage["combinations"]["drawn"] == PROMPTS
        for name in ("forget", "retain"):
            for dimension in grammar.values:
                found = Counter(row.attributes[dimension] for row in getattr(lists, name))
                assert lists.coverage[name][dimension] == found


def test_coverage_counts_every_combination_that_exists():
    lists = expand(digits(), [("digit", "two")], counts(2), 0)
    assert [lists[split].coverage["combinations"]["exist"] for split in ("train", "test")] == [9, 9]


@pytest.mark.parametrize("replacement", ["value", ["x", "y", "z"]])
def test_replacements_are_used_evenly(replacement):
    lists = expand(digits(), [("digit", "two")], counts(7, replacement, retain=3), 0)
    for split in lists.values():
        used = Counter(row.attributes["digit"] for row in split.retain)
        assert set(used) == ({"one", "three", "four", "five", "six"} if replacement == "value" else set("xyz"))
        assert max(used.values()) - min(used.values()) <= 1


def test_each_split_has_its_own_replacement():
    splits = {"train": counts(3, ["x", "y"])["train"], "test": counts(3, "value")["test"]}
    lists = expand(digits(), [("digit", "two")], splits, 0)
    assert {row.attributes["digit"] for row in lists["train"].retain} == {"x", "y"}
    assert lists["test"] == expand(digits(), [("digit", "two")], counts(3), 0)["test"]


def test_several_targets_come_in_turn():
    lists = expand(digits(), [("digit", "two"), ("digit", "five")], counts(5), 0)
    assert [row.attributes["digit"] for row in lists["train"].forget] == ["two", "five", "two", "five", "two"]
    assert not {"two", "five"} & {row.attributes["digit"] for row in lists["train"].retain}


def test_a_concept_of_two_dimensions_forgets_one_at_a_time():
    lists = expand(digits(), [("digit", "two"), ("ink", "red")], counts(6), 0)
    for split in lists.values():
        for row in split.forget:
            assert (row.attributes["digit"] == "two") != (row.attributes["ink"] == "red")
        for row in split.retain:
            assert not {"two", "red"} & set(row.attributes.values())


def test_a_target_that_runs_out_leaves_its_turns_to_the_others():
    lists = expand(digits(), [("ink", "red"), ("digit", "two")], counts(12), 0)
    assert Counter(row.attributes["ink"] == "red" for row in lists["train"].forget)[True] > 0
    assert len(lists["train"].forget) == 12


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a {ink} {digit}, on {ground}", "a two, on blue"),
        ("a {digit} {ink}, on {ground}", "a two, on blue"),
        ("a {digit} on {ground} {ink} .", "a two on blue."),
        ("{ink} {digit} on {ground}", "two on blue"),
        ("{digit} on {ground} {ink}", "two on blue"),
    ],
)
def test_a_dropped_word_leaves_no_gap(template, expected):
    assert digits(template=template).text({"digit": "two", "ground": "blue"}) == expected


def test_drop_leaves_the_concept_s_dimension_empty():
    for row in expand(digits(), [("digit", "two")], counts(3, "drop"), 0)["train"].retain:
        assert row.attributes["digit"] == ""
        assert row.prompt == f"a {row.attributes['ink']} on {row.attributes['ground']}"


def test_a_row_shows_its_values_in_the_grammar_s_order_as_plain_fields():
    rows = expand(digits(), [("digit", "two")], counts(3), 0)["train"].forget
    assert as_fields(rows) == [asdict(row) for row in rows]
    assert all(list(row.attributes) == ["digit", "ink", "ground"] for row in rows)


def test_image_seeds_fit_48_bits_and_differ_by_seed_split_pair_and_number():
    seeds = {image_seed(*where) for where in ((0, "train", 1, 1), (1, "train", 1, 1), (0, "test", 1, 1))}
    seeds |= {image_seed(0, "train", 1, 2), image_seed(0, "train", 2, 1)}
    assert len(seeds) == 5
    assert max(seeds) < 2**48


def test_more_prompts_than_combinations_are_refused_with_both_numbers():
    message = "test.prompts: 10 are asked for, the grammar has 9 combinations; ask for at most that many, or raise"
    with pytest.raises(UserError, match=f"^{message} images_per_prompt$"):
        expand(digits(), [("digit", "two")], counts(10), 0)


def test_a_prompt_in_both_splits_is_refused():
    ink = {"train": ["red", "blue"], "test": ["red", "blue"]}
    message = r"^4 prompts stand in train and in test, the first is 'a blue two'; give the splits disjoint values in a "
    with pytest.raises(UserError, match=message + r"dimension that is not the concept's$"):
        expand(Grammar("a {ink} {digit}", {"ink": ink, "digit": DIGITS}), [("digit", "two")], counts(2, ["x"]), 0)


def test_the_generator_takes_the_low_bits_of_a_seed_alone():
    first, second = (torch.Generator().manual_seed(seed) for seed in (6, 6 + 2**NOISE_BITS))
    assert torch.equal(torch.randn(100, generator=first), torch.randn(100, generator=second))


@given(st.integers(0, 999), st.integers(1, 12), st.integers(1, 12), st.sampled_from(["value", ["one"]]))
def test_no_two_rows_of_both_splits_are_one_picture_however_few_bits_are_noise(seed, train, test, replacement):
    splits = {
        "train": counts(1, replacement, train, train)["train"],
        "test": counts(1, replacement, test, test)["test"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NOISE_BITS", 5)
        lists = expand(Grammar("{digit}", {"digit": DIGITS}), [("digit", "two")], splits, seed)
    rows = [row for both in lists.values() for row in (*both.forget, *both.retain)]
    assert len({(row.prompt, row.seed % 2**5) for row in rows}) == len(rows) == 2 * (train + test)


def test_only_a_seed_whose_noise_is_taken_is_another():
    # the hashes of these two numbers differ, and their low 32 bits do not
    first, second = (image_seed(2, "test", 0, number) for number in (11850, 26260))
    assert first != second
    assert first % 2**NOISE_BITS == second % 2**NOISE_BITS
    splits = counts(1, ["one"], forget=26261)
    lists = expand(Grammar("{digit}", {"digit": DIGITS}), [("digit", "two")], splits, 2)
    for split in ("test", "train"):
        hashes = [image_seed(2, split, 0, number) for number in range(26261)]
        changed = [number for number, row in enumerate(lists[split].forget) if row.seed != hashes[number]]
        assert changed == ([26260] if split == "test" else [])
    assert lists["test"].forget[26260].seed == image_seed(2, "test", 0, 26260, 1)


def test_two_pairs_of_one_forget_prompt_are_refused():
    grammar = digits(template="a {digit} {ink}{ground}", distinct=[])
    values = {
        **grammar.values,
        "ink": {"train": ["a", "ab"], "test": ["x"]},
        "ground": {"train": ["bc", "c"], "test": ["y"]},
    }
    message = r"^train: 'a two abc' is the forget prompt of 2 pairs; let the template tell them apart$"
    with pytest.raises(UserError, match=message):
        expand(
            replace(grammar, values=values),
            [("digit", "two")],
            {"train": counts(4)["train"], "test": counts(1)["test"]},
            0,
        )


def test_fewer_prompts_than_forgotten_values_are_refused():
    with pytest.raises(UserError, match=r"^test.prompts: 1 for 2 forgotten values; ask for one of each at least$"):
        expand(digits(), [("digit", "two"), ("digit", "five")], counts(1), 0)


def test_a_dimension_that_the_concept_empties_is_refused():
    values = {
        "digit": DIGITS,
        "ink": {"train": ["red"], "test": ["blue"]},
        "ground": {"train": ["red"], "test": ["cyan"]},
    }
    with pytest.raises(UserError, match=r"^ground: no value is left for the train split once the concept is left out"):
        expand(digits(values=values, distinct=[]), [("ink", "red")], counts(1), 0)


@pytest.mark.parametrize(
    ("forgotten", "replacement"), [(["two"], ["two"]), ([*DIGITS["train"], *DIGITS["test"]], "value")]
)
def test_a_concept_without_another_value_in_its_place_is_refused(forgotten, replacement):
    message = r"^test.replacement: all .* a forgotten digit is forgotten as well, so nothing would be left to retain; "
    with pytest.raises(UserError, match=message):
        expand(digits(), [("digit", value) for value in forgotten], counts(1, replacement), 0)


def test_of_all_values_of_a_dimension_nothing_may_be_retained_but_the_rest():
    lists = expand(digits(), [("digit", value) for values in DIGITS.values() for value in values], counts(6, "drop"), 0)
    assert {row.attributes["digit"] for row in lists["test"].retain} == {""}


def test_a_concept_whose_only_other_value_stands_in_the_context_is_refused():
    blue = {"train": ["blue"], "test": ["blue"]}
    values = {"digit": DIGITS, "ink": {"train": ["red"], "test": ["blue"]}, "ground": blue}
    with pytest.raises(UserError, match=r"^ink: no value is left to stand in the concept's place; give another$"):
        expand(digits(values=values), [("ink", "red")], counts(1), 0)


def test_the_order_of_dimensions_in_the_file_changes_no_prompt():
    values = {"b": {"train": ["p", "q", "r"], "test": ["s", "t"]}, "a": {"train": ["u", "v"], "test": ["w", "x"]}}
    splits = {
        name: {"prompts": 2, "replacement": "value", "images_per_prompt": {"forget": 2, "retain": 3}}
        for name in ("train", "test")
    }
    lists = [
        expand(Grammar("{a} {b}", dict(order), []), [("b", "p")], splits, 3)
        for order in (values.items(), sorted(values.items()))
    ]
    assert [row.prompt for row in lists[0]["test"].retain] == [row.prompt for row in lists[1]["test"].retain]
    assert lists[0] == lists[1]


def test_dropped_values_leave_each_context_once():
    """Else two forgotten values would leave the same retain prompt."""
    grammar = Grammar(
        "a {nudity} person {place} {time}",
        {
            "nudity": {"train": ["bare", "nude"], "test": []},
            "place": {"train": ["here", "there"], "test": ["elsewhere"]},
            "time": {"train": ["now", "then"], "test": ["never"]},
        },
    )
    targets = [("nudity", "bare"), ("nudity", "nude")]

    def lists(count):
        wanted = {"replacement": "drop", "images_per_prompt": {"forget": 1, "retain": 1}}
        return expand(grammar, targets, {"train": {"prompts": count, **wanted}, "test": {"prompts": 2, **wanted}}, 0)

    with pytest.raises(UserError, match=r"test.prompts: 2 are asked for, the grammar has 1 combinations"):
        lists(4)
    grammar.values["place"]["test"].append("nowhere")
    found = lists(4)["train"]
    assert len({row.prompt for row in found.retain}) == 4
    assert {row.attributes["nudity"] for row in found.forget} == {"bare", "nude"}
    with pytest.raises(UserError, match=r"train.prompts: 5 are asked for, the grammar has 4 combinations"):
        lists(5)
