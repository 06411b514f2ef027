"""The small world's judge: an open_clip model trained from nothing on captioned pictures and on pictures of nothing.

It stands in for a published CLIP and is used exactly like one. Its loss is CLIP's contrast, twice: each picture against
the texts of every question that it will be asked (and of "none of these"), and against the whole captions of its batch.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unpaint.evaluate.judge import text_feature
from unpaint.params import JudgeTraining, Question
from unpaint.resume import Resume
from unpaint.train import tower
from unpaint.train.easel import Easel
from unpaint.train.fit import Record, fit, generator
from unpaint.train.photographs import Photographs
from unpaint.train.strokes import Strokes

EASELS: dict[str, type[Easel]] = {"digits": Strokes, "folder": Photographs, "dataset": Photographs}
"""What paints a world's pictures for its judge, by the world's kind."""


def configuration(settings: JudgeTraining, side: int) -> dict[str, Any]:
    """The content of `open_clip_config.json` for pictures of `side` pixels."""
    return {
        "model_cfg": {
            "embed_dim": settings.embedding,
            "vision_cfg": {
                "image_size": side,
                "timm_model_name": settings.image_tower,
                "timm_model_pretrained": False,
                "timm_pool": "avg",
                "timm_proj": "linear",
            },
            "text_cfg": {
                "context_length": settings.tokens,
                "vocab_size": 49408,
                "width": settings.text_width,
                "heads": max(1, settings.text_width // 32),
                "layers": settings.text_layers,
            },
        },
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }


def build(settings: JudgeTraining, side: int, seed: int) -> nn.Module:
    """An untrained open_clip model; the same seed gives the same weights.

    Raises:
        UserError: timm has no such image tower.
    """
    import open_clip

    tower.refuse_unknown(settings.image_tower)

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        Path(folder, "open_clip_config.json").write_text(json.dumps(configuration(settings, side)), encoding="utf-8")
        torch.manual_seed(seed)
        logging.disable(logging.WARNING)  # that there are no weights: they are to be trained
        try:
            model: nn.Module = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
        finally:
            logging.disable(logging.NOTSET)
    return model


def fit_judge(
    model: nn.Module,
    tokenizer: Callable[[list[str]], Tensor],
    easel: Easel,
    settings: JudgeTraining,
    questions: Mapping[str, Question],
    *,
    seed: int,
    resume: Resume | None = None,
) -> Iterator[Record]:
    """Train `model` in place on what `easel` paints, yielding a record a step.

    Args:
        questions: by dimension, with the texts of "none of these", as evaluation will ask them.

    Raises:
        UserError: a loss is not finite.
    """
    device = next(model.parameters()).device
    choices = [
        [questions[name].text.format(value) for value in values] + questions[name].none
        for name, values in easel.values.items()
    ]
    asked = [text for texts in choices for text in texts]
    _spread(model, tokenizer(asked).to(device))
    # the text tower is not trained: each text is encoded once
    feature = cache(lambda text: text_feature(model, tokenizer, text, device))

    def loss(step: int) -> Tensor:
        pictures, facts, captions = easel.paint(generator(seed, step))
        whole = list(dict.fromkeys(captions))
        true = torch.tensor([[caption == text for text in whole] for caption in captions], device=device)
        image = model.encode_image((pictures.to(device) / 127.5) - 1, normalize=True)  # type: ignore[operator]
        text = torch.stack([feature(text) for text in (*asked, *whole)])
        logits = model.logit_scale.exp().clamp(max=100) * image @ text.T  # type: ignore[operator]
        parts = logits.split([*map(len, choices), len(whole)], dim=1)
        total = _contrast(parts[-1], true)
        for dimension, ((name, values), part) in enumerate(zip(easel.values.items(), parts, strict=False)):
            target = facts[:, dimension].clone()
            for offset, text_of_none in enumerate(questions[name].none):
                called = torch.tensor([caption == text_of_none for caption in captions])
                target[called & (facts[:, dimension] < 0)] = len(values) + offset
            known = (target >= 0).to(device)
            total = total + functional.cross_entropy(part[known], target.to(device)[known])
        return total

    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == "logit_scale" or name.startswith("visual."))
    # oneDNN's convolutions read this layout as it is
    model.to(memory_format=torch.channels_last).train()
    yield from fit(
        {"judge": model},
        loss,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        resume=resume,
    )
    model.eval()


@torch.no_grad()
def _spread(model: Any, asked: Tensor) -> None:
    """Choose the text projection such that the texts of the questions start at right angles to each other.

    An untrained text tower gives all texts nearly one direction, and in so short a training the image tower never finds
    what it should tell apart: their common part is projected away, and what is left is whitened.
    """
    projection, model.text_projection = model.text_projection, None
    texts = model.encode_text(torch.unique(asked, dim=0)).cpu().double()
    model.text_projection = projection
    mean = functional.normalize(texts.mean(0), dim=0)
    apart = torch.eye(len(mean), dtype=mean.dtype) - mean[:, None] * mean
    _, sizes, directions = torch.linalg.svd(texts @ apart, full_matrices=False)
    whitening = apart @ directions.T / sizes.clamp(min=0.01 * float(sizes[0]))
    whitening = whitening[:, : projection.shape[1]]
    projection.zero_()[:, : whitening.shape[1]] = whitening * sizes.mean()


def _contrast(logits: Tensor, true: Tensor) -> Tensor:
    """CLIP's symmetric loss (pictures x captions) where a caption may be true of several pictures."""
    share = true.float()
    of_picture = -(functional.log_softmax(logits, 1) * share).sum(1) / share.sum(1)
    of_caption = -(functional.log_softmax(logits, 0) * share).sum(0) / share.sum(0)
    return (of_picture.mean() + of_caption.mean()) / 2
