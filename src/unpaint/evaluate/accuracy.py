"""UA, RA and attribute accuracy: what the judge names, against what the prompt asked for.

UA (unlearning accuracy) is the share of the forget prompts' pictures in which the judge does not name the concept; RA
(retain accuracy) the share of the retain prompts' pictures in which it names the concept's dimension rightly (paper,
section 4.1); both with "none of these" among the answers. Attribute accuracy is the mean over all other dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Answers = Mapping[str, str | None]
"""What the judge named in a picture, by dimension; None is "none of these"."""
Values = Mapping[str, str]
"""What the prompt asked for, by dimension; the empty text is nothing."""
Targets = Sequence[tuple[str, str]]


def forgotten(answers: Answers, asked: Values, targets: Targets) -> bool:
    """Whether a forget prompt's picture shows no forgotten value, in the dimensions where the prompt asks for one."""
    concerned = {dimension for dimension, value in targets if asked[dimension] == value}
    return all(answers[dimension] != value for dimension, value in targets if dimension in concerned)


def retained(answers: Answers, asked: Values, targets: Targets) -> bool:
    """Whether a retain prompt's picture shows what was asked for in the concept's dimension.

    Where the prompt names nothing there (the concept was dropped), no forgotten value may show; "none of these" counts
    as kept, so a ruined model passes here, and fails in the attributes and in AS.
    """
    return all(
        answers[dimension] == asked[dimension] if asked[dimension] else answers[dimension] != value
        for dimension, value in targets
    )


def attributes(answers: Answers, asked: Values, targets: Targets) -> float:
    """The share of a picture's other dimensions that are as asked for; 1 where the prompt has no other."""
    concept = {dimension for dimension, _ in targets}
    others = [name for name, value in asked.items() if value and name not in concept]
    return sum(answers[name] == asked[name] for name in others) / len(others) if others else 1.0
