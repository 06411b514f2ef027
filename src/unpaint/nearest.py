"""The anchor of each row of a forget set: of its choices the value that the base model paints most alike.

One value for all rows, wherever the grammar allows it: led to many values at once, a network learns their average, and
paints a smear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unpaint.corpus import Row
from unpaint.diversify.grammar import Target
from unpaint.encoded import Encoded
from unpaint.models.denoiser import Denoiser

SAMPLE = 32
"""Rows per forgotten value, on which the values are ranked."""
Choices = Mapping[str, Mapping[str, str]]
"""For each forget prompt the prompts to choose from, by the value that stands in the concept's place."""


def chosen(
    rows: Sequence[Row],
    targets: Sequence[Target],
    choices: Choices,
    retain: Sequence[Mapping[str, Any]],
    ranking: Callable[[Target], Sequence[str]],
) -> list[str]:
    """One prompt per row: the first of the ranking of its forgotten value among the row's choices.

    A row without a choice is led to the retain prompt of its pair; one without a pair (an own picture) to the retain
    prompts in turn.

    Args:
        retain: the retain prompts of the training split, with their pair ids.
    """
    pairs = {row["pair"]: row["prompt"] for row in retain}
    found = []
    for number, row in enumerate(rows):
        given = choices.get(row.prompt, {})
        if not given:
            found.append(pairs.get(row.pair, retain[number % len(retain)]["prompt"]))
        elif len(given) == 1:
            found += given.values()
        else:
            target = next(target for target in targets if shows(row, target))
            found.append(given[next(value for value in ranking(target) if value in given)])
    return found


@torch.no_grad()
def distances(
    target: Target,
    rows: Sequence[Row],
    choices: Choices,
    encoded: Encoded,
    denoiser: Denoiser,
    embed: Callable[[Sequence[str]], Tensor],
) -> dict[str, float]:
    """How far the base model's prediction with another value is from that for the row's own prompt, the nearest first.

    Mean square over SAMPLE rows that show the target, at timesteps spread evenly, with the same noise for each value.

    Args:
        embed: prompts to embeddings (n, tokens, width).
    """
    shown = [number for number, row in enumerate(rows) if row.prompt in choices and shows(row, target)]
    sample = [shown[place * len(shown) // SAMPLE] for place in range(SAMPLE)] if len(shown) > SAMPLE else shown
    device = next(denoiser.module.parameters()).device
    latents = encoded.mean[sample]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(latents)
    timesteps = (torch.arange(len(sample)) * denoiser.timesteps + denoiser.timesteps // 2) // len(sample)
    latents, noise, timesteps = latents.to(device), noise.to(device), timesteps.to(device)

    def residuals(part: list[int], embeddings: Tensor) -> Tensor:
        return denoiser.residuals(latents[part], embeddings.to(latents), noise[part], timesteps[part])

    own = residuals(list(range(len(sample))), encoded.embeddings[encoded.prompt[sample]])
    apart = {}
    values = sorted({value for number in shown for value in choices[rows[number].prompt]})
    for value in values:
        texts = [choices[rows[number].prompt].get(value) for number in sample]
        part = [place for place, text in enumerate(texts) if text is not None]
        if part:
            other = residuals(part, embed([text for text in texts if text is not None]))
            apart[value] = float((other - own[part]).square().mean())
        else:  # allowed beside none of the sample
            apart[value] = float("inf")
    return dict(sorted(apart.items(), key=lambda pair: pair[1]))


def shows(row: Row, target: Target) -> bool:
    """Whether a row's prompt has the forgotten value in its dimension."""
    return row.attributes.get(target[0]) == target[1]
