"""A template over dimensions of values, expanded into paired prompts (the diversification of RGD, section 3).

Rows of one pair in the forget and the retain list are the same but for the concept. Train and test draw from disjoint
values in every dimension but the concept's own, which both splits use whole (as in the paper, where the words for
nudity are the same in both). A forgotten value is left out of the retain list in every dimension.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random
from typing import Any

from unpaint.errors import UserError

Target = tuple[str, str]
"""A forgotten (dimension, value)."""
SPLITS = ("train", "test")
NOISE_BITS = 32
"""How much of a seed, from its low end, torch's generator on the CPU takes (mt19937)."""


@dataclass(frozen=True)
class Prompt:
    """One picture to render: the prompt, the image seed, the pair it belongs to, the values behind the prompt."""

    pair: str
    seed: int
    prompt: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Lists:
    """The forget and the retain list of a split, and what share of the grammar they cover."""

    forget: list[Prompt]
    retain: list[Prompt]
    coverage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Grammar:
    """The template, its values per split and dimension, and which dimensions must differ within a prompt."""

    template: str
    values: Mapping[str, Mapping[str, Sequence[str]]]
    distinct: Sequence[Sequence[str]] = ()

    def of_split(self, split: str, whole: set[str]) -> dict[str, list[str]]:
        """The values of each dimension in `split`; dimensions in `whole` keep those of both splits."""
        return {
            name: [*given["train"], *given["test"]] if name in whole else list(given[split])
            for name, given in self.values.items()
        }

    def allows(self, values: Mapping[str, str]) -> bool:
        """Whether dimensions that must differ do."""
        for group in self.distinct:
            present = [values[name] for name in group if name in values]
            if len(set(present)) < len(present):
                return False
        return True

    def text(self, values: Mapping[str, str]) -> str:
        """The template filled; a dimension without a value is dropped, and the gap it leaves is closed."""
        text = re.sub(r"{([\w-]+)}", lambda found: values.get(found[1], ""), self.template)
        return re.sub(r"\s+([,.;:!?]|$)", r"\1", re.sub(r"\s+", " ", text)).strip()


def expand(
    grammar: Grammar,
    targets: Sequence[Target],
    splits: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> dict[str, Lists]:
    """The lists of both splits.

    Args:
        targets: the concept, as (dimension, value) pairs.
        splits: per split `prompts` (how many pairs of prompts); `replacement`, which stands in the concept's place in
            a retain prompt (`drop`, `value`: another value of its dimension, used evenly, or a list of values); and
            `images_per_prompt` (forget and retain: how many seeds each prompt gets; with `value` or a list every retain
            seed takes the next replacement).

    Raises:
        UserError: too few combinations, an empty choice, a pair's prompt repeated, or one that stands in both splits.
    """
    taken: set[tuple[str, int]] = set()
    # test first: its seeds are to depend on nothing that is set of train
    found = {split: _expand_split(grammar, split, targets, splits[split], seed, taken) for split in reversed(SPLITS)}
    lists = {split: found[split] for split in SPLITS}
    texts = {split: {row.prompt for row in (*both.forget, *both.retain)} for split, both in lists.items()}
    # a class has one prompt: there the splits differ in their image seeds alone
    alone = grammar.template == f"{{{next(iter(grammar.values))}}}"
    if not alone and (leaked := sorted(texts["train"] & texts["test"])):
        raise UserError(
            f"{len(leaked)} prompts stand in train and in test, the first is {leaked[0]!r}; "
            "give the splits disjoint values in a dimension that is not the concept's"
        )
    return lists


def targets_of(forget: Mapping[str, str | Sequence[str]]) -> list[Target]:
    """The forgotten (dimension, value) pairs of a concept (dimension: value, or several), by dimension."""
    return [(d, v) for d, given in sorted(forget.items()) for v in ([given] if isinstance(given, str) else given)]


def image_seed(seed: int, split: str, pair: int, number: int, again: int = 0) -> int:
    """The seed of picture `number` of a pair: 48 bits, the same for the forget and the retain prompt.

    Args:
        again: how many seeds before it were taken.
    """
    text = f"{seed}/{split}/{pair}/{number}" + (f"/{again}" if again else "")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def noise_of(seed: int) -> int:
    """What of an image seed decides the noise: two seeds that share it paint one picture of a prompt."""
    return seed % (1 << NOISE_BITS)


def as_fields(prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """Prompts as plain JSON values."""
    return [asdict(prompt) for prompt in prompts]


def _expand_split(
    grammar: Grammar,
    split: str,
    targets: Sequence[Target],
    wanted: Mapping[str, Any],
    seed: int,
    taken: set[tuple[str, int]],
) -> Lists:
    random = Random(f"{seed}/{split}")  # noqa: S311 (no secrets)
    values = grammar.of_split(split, whole={dimension for dimension, _ in targets})
    _refuse_none_to_retain(split, targets, values, wanted["replacement"])
    contexts = [_contexts(grammar, split, values, target, targets) for target in targets]
    # dropped, two forgotten values would leave one retain prompt in the same context
    drawn = _draw(split, contexts, wanted["prompts"], random, once=wanted["replacement"] == "drop")

    forget: list[Prompt] = []
    retain: list[Prompt] = []
    used: Counter[str] = Counter()
    per_prompt: Mapping[str, int] = wanted["images_per_prompt"]
    for pair, (target, context) in enumerate(drawn):
        dimension, value = targets[target]
        concept = {**context, dimension: value}
        for number in range(max(per_prompt.values())):
            name, painted = f"{split}-{pair:04d}.{number}", []
            if number < per_prompt["forget"]:
                painted.append((forget, concept))
            if number < per_prompt["retain"]:
                other = _replace(grammar, context, dimension, values, targets, wanted["replacement"], used, random)
                painted.append((retain, other))
            texts = {grammar.text(shown) for _, shown in painted}
            at = _free(texts, taken, partial(image_seed, seed, split, pair, number))
            for rows, shown in painted:
                rows.append(Prompt(name, at, grammar.text(shown), _ordered(grammar, shown)))
    _refuse_equal_pairs(split, forget)
    exist = sum(len(context) for context in contexts)
    return Lists(forget, retain, _coverage(exist, len(drawn), forget, retain))


def _refuse_none_to_retain(
    split: str, targets: Sequence[Target], values: Mapping[str, list[str]], replacement: str | Sequence[str]
) -> None:
    forgotten = {value for _, value in targets}
    for dimension, _ in targets:
        given = values[dimension] if isinstance(replacement, str) else replacement
        if replacement != "drop" and not set(given) - forgotten:
            raise UserError(
                f"{split}.replacement: all that could stand in the place of a forgotten {dimension} is forgotten as "
                "well, so nothing would be left to retain; forget fewer, or give other values"
            )


def _free(texts: set[str], taken: set[tuple[str, int]], seed: Callable[[int], int]) -> int:
    """The first seed whose noise none of these prompts has had; it is taken then."""
    tried = (seed(again) for again in itertools.count())
    found = next(one for one in tried if not any((text, noise_of(one)) in taken for text in texts))
    taken |= {(text, noise_of(found)) for text in texts}
    return found


def _contexts(
    grammar: Grammar, split: str, values: Mapping[str, list[str]], target: Target, targets: Sequence[Target]
) -> list[dict[str, str]]:
    """Every choice of values around a target: no forgotten value in any other dimension.

    In the order of the dimensions' names, so that params.yaml and a stage's settings as JSON give the same prompts.
    """
    forgotten = {value for _, value in targets}
    others = {
        name: [v for v in given if v not in forgotten] for name, given in sorted(values.items()) if name != target[0]
    }
    if empty := [name for name, given in others.items() if not given]:
        raise UserError(
            f"{empty[0]}: no value is left for the {split} split once the concept is left out; give another"
        )
    choices = (dict(zip(others, choice, strict=True)) for choice in itertools.product(*others.values()))
    return [choice for choice in choices if grammar.allows({**choice, target[0]: target[1]})]


def _draw(
    split: str, contexts: Sequence[Sequence[dict[str, str]]], count: int, random: Random, *, once: bool
) -> list[tuple[int, dict[str, str]]]:
    """`count` distinct (target, context) pairs, the targets in turn; each context `once`, if that is wanted."""
    if count < len(contexts):
        raise UserError(f"{split}.prompts: {count} for {len(contexts)} forgotten values; ask for one of each at least")
    shuffled = [random.sample(list(given), len(given)) for given in contexts]
    turns = itertools.zip_longest(*([(number, choice) for choice in given] for number, given in enumerate(shuffled)))
    drawn = [pair for turn in turns for pair in turn if pair is not None]
    if once:
        first: dict[tuple[tuple[str, str], ...], tuple[int, dict[str, str]]] = {}
        for pair in drawn:
            first.setdefault(tuple(sorted(pair[1].items())), pair)
        drawn = list(first.values())
    if len(drawn) < count:
        raise UserError(
            f"{split}.prompts: {count} are asked for, the grammar has {len(drawn)} combinations; ask for at most "
            "that many, or raise images_per_prompt"
        )
    return drawn[:count]


def _replace(
    grammar: Grammar,
    context: Mapping[str, str],
    dimension: str,
    values: Mapping[str, list[str]],
    targets: Sequence[Target],
    replacement: str | Sequence[str],
    used: Counter[str],
    random: Random,
) -> dict[str, str]:
    """The values of a retain prompt: the context, with the least used replacement in the concept's place."""
    if replacement == "drop":
        return dict(context)
    forgotten = {value for _, value in targets}
    given = values[dimension] if isinstance(replacement, str) else replacement
    allowed = [v for v in given if v not in forgotten and grammar.allows({**context, dimension: v})]
    if not allowed:
        raise UserError(f"{dimension}: no value is left to stand in the concept's place; give another")
    least = min(used[value] for value in allowed)
    chosen = random.choice([value for value in allowed if used[value] == least])
    used[chosen] += 1
    return {**context, dimension: chosen}


def _ordered(grammar: Grammar, values: Mapping[str, str]) -> dict[str, str]:
    return {name: values.get(name, "") for name in grammar.values}


def _refuse_equal_pairs(split: str, forget: Sequence[Prompt]) -> None:
    counted = Counter(text for text, _ in {(row.prompt, row.pair.rpartition(".")[0]) for row in forget})
    prompt, times = counted.most_common(1)[0]
    if times > 1:
        raise UserError(f"{split}: {prompt!r} is the forget prompt of {times} pairs; let the template tell them apart")


def _coverage(exist: int, drawn: int, forget: Sequence[Prompt], retain: Sequence[Prompt]) -> dict[str, Any]:
    def per_value(prompts: Sequence[Prompt]) -> dict[str, dict[str, int]]:
        return {
            name: dict(sorted(Counter(row.attributes[name] for row in prompts).items()))
            for name in prompts[0].attributes
        }

    return {
        "combinations": {"exist": exist, "drawn": drawn},
        "forget": per_value(forget),
        "retain": per_value(retain),
    }
