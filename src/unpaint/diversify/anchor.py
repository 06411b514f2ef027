"""What a forget prompt can be led to: the same prompt with another value in the concept's place, its anchor.

The word is that of concept ablation (arXiv 2303.13516).
"""

from __future__ import annotations

from collections.abc import Sequence

from unpaint.diversify.grammar import Grammar, Prompt, Target


def anchors(
    grammar: Grammar, targets: Sequence[Target], forget: Sequence[Prompt], anchor: str
) -> dict[str, dict[str, str]]:
    """For each forget prompt the prompts to choose from, by the value that stands in the concept's place.

    Args:
        anchor: `nearest`, every other value that the grammar allows beside the prompt's own; a value, that one, or
            every other where the grammar does not allow it; `drop`, nothing in the concept's place (the value is
            empty); `pair`, no choice: the retain prompt of the pair stands.
    """
    return {} if anchor == "pair" else {row.prompt: _choices(grammar, targets, row, anchor) for row in forget}


def _choices(grammar: Grammar, targets: Sequence[Target], row: Prompt, anchor: str) -> dict[str, str]:
    forgotten = {value for _, value in targets}
    dimension = next(name for name, value in targets if row.attributes[name] == value)
    if anchor == "drop":
        return {"": grammar.text({name: value for name, value in row.attributes.items() if name != dimension})}
    given = grammar.values[dimension]
    allowed = {}
    for value in (*given["train"], *given["test"]):
        values = {**row.attributes, dimension: value}
        if value not in forgotten and grammar.allows(values):
            allowed[value] = grammar.text(values)
    return {anchor: allowed[anchor]} if anchor in allowed else allowed
