"""Further values for a dimension, proposed by a language model (the paper's step, there with ChatGPT; section 3).

It proposes sub-concepts, not whole prompts: so the grammar still pairs, splits and counts. What is proposed is an
artefact with its reasons; what of it is taken over, a person writes into params.yaml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unpaint.diversify.grammar import Grammar

Ask = Callable[[str, int], str]
"""The model: instruction and number of the round to the text of its answer."""
Embed = Callable[[list[str]], NDArray[np.float64]]
"""Embeddings (n, d) of texts, of length 1."""
ROUNDS = 4
"""It is asked again for what is missing, so often at most."""
EXAMPLES = 8
"""So many values that are there already show it what is wanted."""
WORDS = 8
"""A value has no more."""


@dataclass
class Proposals:
    """What was proposed for a dimension: values to take over, and the others, each with why not, in order."""

    values: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def propose(
    grammar: Grammar,
    dimension: str,
    count: int,
    forbidden: Sequence[str],
    apart: float,
    ask: Ask,
    embed: Embed,
) -> Proposals:
    """Up to `count` values for a dimension, none of which the grammar has in either split.

    Args:
        forbidden: texts that name the concept; no value shares a word with them.
        apart: the least distance (1 - cosine) of a value's embedding from every other value's.
    """
    given = grammar.values[dimension]
    known = [*given["train"], *given["test"]]
    found = Proposals()
    seen: set[str] = set()
    for number in range(ROUNDS):
        wanted = count - len(found.values)
        if wanted <= 0:
            break
        text = instruction(grammar, dimension, wanted, [*known, *found.values])
        for value in listed(ask(text, number)):
            plain = " ".join(value.split())
            if plain.casefold() in seen:
                continue
            seen.add(plain.casefold())
            if why := _why_not(plain, [*known, *found.values], forbidden, apart, embed):
                found.refused.append((plain, why))
            elif len(found.values) < count:
                found.values.append(plain)
    return found


def instruction(grammar: Grammar, dimension: str, count: int, known: Sequence[str]) -> str:
    """What the model is told: the sentence, the place in it, what stands there already, and that a list is wanted."""
    first = {name: [*given["train"], *given["test"]][0] for name, given in grammar.values.items()}
    blank = json.dumps(grammar.text({**first, dimension: "___"}), ensure_ascii=False)
    return (
        f"In the sentence {blank}, the blank is a {dimension}, such as: {', '.join(known[:EXAMPLES])}. "
        f"Give {count} more that fit the sentence, are short, differ from each other, and are none of these: "
        f"{', '.join(known)}. Answer with a JSON list of texts alone."
    )


def listed(answer: str) -> list[str]:
    """The texts of the first JSON list in an answer; of a list that is cut off, those before the cut."""
    start = answer.find("[")
    if start < 0:
        return []
    try:
        found, _ = json.JSONDecoder().raw_decode(answer[start:])
        return [value for value in found if isinstance(value, str)]
    except ValueError:
        whole = re.findall(r'"(?:[^"\\]|\\.)*"', answer[start:].partition("]")[0])
        return [str(json.loads(value)) for value in whole if _is_json(value)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _why_not(value: str, others: Sequence[str], forbidden: Sequence[str], apart: float, embed: Embed) -> str:
    """Why a value is not taken; empty if it is."""
    words = _words([value])
    if not words or len(value.split()) > WORDS or re.search(r"[^\w' ,-]", value):
        return "no short phrase of words"
    if shared := words & _words(forbidden):
        return f"names the concept ({', '.join(sorted(shared))})"
    for other in others:
        one, two = f" {value.casefold()} ", f" {other.casefold()} "
        if one in two or two in one:
            return f"stands in the grammar ({other})"
    near = (embed(list(others)) @ embed([value])[0]).tolist()
    if (far := max(0.0, 1 - max(near, default=0.0))) < apart:
        return f"means nearly the same ({others[near.index(max(near))]}, {far:.3f})"
    return ""


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[\w']+", text.casefold())}


class JsonList:
    """Which texts may go on a JSON list of texts: an automaton over its characters, asked token by token.

    States are short: what is awaited next. None is dead, `end` is a whole list.
    """

    START = "list"

    def step(self, state: str | None, text: str) -> str | None:
        """The state after `text`."""
        for character in text:
            state = self._next(state, character)
            if state is None:
                return None
        return state

    @staticmethod
    def _next(state: str | None, character: str) -> str | None:
        if state == "text":
            if character == '"':
                return "more"
            # an escape or a control character is in no value
            return None if character == "\\" or character < " " else "text"
        if character in " \n" and state != "end":
            return state
        ways = {("list", "["): "first", ("first", '"'): "text", ("more", ","): "next", ("next", '"'): "text"}
        return "end" if (state, character) == ("more", "]") else ways.get((str(state), character))
