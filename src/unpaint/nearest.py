"""The anchor of each row of a forget set: of its choices the value that the base model paints most alike.

One value for all rows, wherever the grammar allows it: led to many values at once, a network learns their average, and
paints a smear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unpaint.encoded import Encoded
from unpaint.models.conditions import Conditions, moved, taken
from unpaint.models.denoiser import Denoiser

SAMPLE = 32
"""Rows per forgotten value, on which the values are ranked."""
Target = tuple[str, str]
"""A forgotten (dimension, value)."""


@dataclass(frozen=True)
class Anchors:
    """What the prompts of a concept can be led to.

    Attributes:
        target: the forgotten value of each forget prompt.
        choices: for each forget prompt the prompts to choose from, by the value that stands in the concept's place.
        retain: the retain prompts of training, by pair id.
    """

    target: Mapping[str, Target]
    choices: Mapping[str, Mapping[str, str]]
    retain: Mapping[str, str]


def chosen(
    prompts: Sequence[str], pairs: Sequence[str], anchors: Anchors, ranking: Callable[[Target], Sequence[str]]
) -> list[str]:
    """The anchor of each row: the first of the ranking of its forgotten value among its prompt's choices.

    Where there is no choice, the retain prompt of the row's pair, or the first one of the same forget prompt; for a row
    that has neither (a caption of the user's own) the retain prompts in turn.

    Args:
        prompts, pairs: one per row of the forget set.
        ranking: the values for a forgotten one, the best first.
    """
    first: dict[str, str] = {}
    for pair, text in anchors.retain.items():
        first.setdefault(_stem(pair), text)
    turns = list(anchors.retain.values())
    found: list[str] = []
    for number, (prompt, pair) in enumerate(zip(prompts, pairs, strict=True)):
        given = anchors.choices.get(prompt, {})
        if len(given) == 1:
            found += given.values()
        elif given:
            found.append(given[next(value for value in ranking(anchors.target[prompt]) if value in given)])
        else:
            found.append(anchors.retain.get(pair) or first.get(_stem(pair)) or turns[number % len(turns)])
    return found


@torch.no_grad()
def distances(
    target: Target,
    prompts: Sequence[str],
    encoded: Encoded,
    anchors: Anchors,
    denoiser: Denoiser,
    embed: Callable[[Sequence[str]], Conditions],
    batch: int,
) -> dict[str, float]:
    """How far the base model's prediction with another value is from that for the row's own prompt, the nearest first.

    The mean square over those of SAMPLE rows whose prompt allows the value, at times spread evenly and with the same
    noise for each value; in units of the mean of all values on the same rows, as rows and times differ far
    more than values do. So 1 is as far as all are on average; a value that no row of the sample allows stands last.

    Args:
        prompts: one per row of the forget set.
        embed: prompts to conditions.
        batch: rows per forward pass.
    """
    shown = [row for row, prompt in enumerate(prompts) if anchors.target.get(prompt) == target]
    sample = [shown[place * len(shown) // SAMPLE] for place in range(SAMPLE)] if len(shown) > SAMPLE else shown
    device = next(denoiser.module.parameters()).device
    latents = encoded.mean[sample]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(latents)
    times = denoiser.spread(len(sample))

    def residuals(part: list[int], told: Conditions) -> Tensor:
        found = []
        for start in range(0, len(part), batch):
            here = slice(start, start + batch)
            clean, noised, at = (tensor[part[here]].to(device) for tensor in (latents, noise, times))
            found.append(denoiser.residuals(clean, moved(taken(told, here), device), noised, at))
        return torch.cat(found)

    own = residuals(list(range(len(sample))), taken(encoded.conditions, encoded.prompt[sample]))
    values = sorted({value for row in shown for value in anchors.choices[prompts[row]]})
    apart = torch.full((len(values), len(sample)), torch.nan)
    for at, value in enumerate(values):
        texts = [anchors.choices[prompts[row]].get(value) for row in sample]
        if part := [place for place, text in enumerate(texts) if text is not None]:
            other = residuals(part, embed([text for text in texts if text is not None]))
            apart[at, part] = (other - own[part]).square().flatten(1).mean(1).float().cpu()
    usual = torch.where(apart.isnan(), 0, apart.nanmean(dim=0))
    relative = (apart.nansum(dim=1) / usual.sum(dim=1)).nan_to_num(nan=torch.inf)
    return dict(sorted(zip(values, relative.tolist(), strict=True), key=lambda pair: pair[1]))


def _stem(pair: str) -> str:
    """What the seeds of one prompt share of their pair ids."""
    return pair.rpartition(".")[0]
