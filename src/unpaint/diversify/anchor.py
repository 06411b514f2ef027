"""What a forget prompt can be led to: the same prompt with another value in the concept's place, its anchor.

The word is that of concept ablation (arXiv 2303.13516).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unpaint.diversify.grammar import Grammar, Target

KEYWORDS = ("nearest", "drop", "pair")


def choices(grammar: Grammar, targets: Sequence[Target], values: Mapping[str, str], anchor: str) -> dict[str, Any]:
    """The forgotten (dimension, value) of a forget prompt, and the prompts to choose from, by the value in its place.

    Args:
        values: those behind the forget prompt, by dimension.
        anchor: `nearest`, every other value that the grammar allows beside the prompt's own; a value, that one, or
            every other where the grammar does not allow it; `drop`, nothing in the concept's place (the value is
            empty); `pair`, no choice: the retain prompt of the pair stands.
    """
    target = next((name, value) for name, value in targets if values[name] == value)
    return {"target": target, "choices": _texts(grammar, targets, values, target[0], anchor)}


def _texts(
    grammar: Grammar, targets: Sequence[Target], values: Mapping[str, str], dimension: str, anchor: str
) -> dict[str, str]:
    if anchor == "pair":
        return {}
    if anchor == "drop":
        return {"": grammar.text({name: value for name, value in values.items() if name != dimension})}
    forgotten = {value for _, value in targets}
    given, allowed = grammar.values[dimension], {}
    for value in (*given["train"], *given["test"]):
        other = {**values, dimension: value}
        if value not in forgotten and grammar.allows(other):
            allowed[value] = grammar.text(other)
    return {anchor: allowed[anchor]} if anchor in allowed else allowed
