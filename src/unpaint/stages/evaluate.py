"""evaluate: score a pool by the judge, paired against the base model's pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unpaint.corpus import Row, read, read_json
from unpaint.errors import UserError
from unpaint.evaluate import judgements
from unpaint.evaluate import reference as references
from unpaint.evaluate.judge import Judge, ask, refuse_long
from unpaint.evaluate.judgements import Judgements
from unpaint.evaluate.scores import score
from unpaint.lineage.manifest import KEY, Manifest, write_json
from unpaint.lineage.stage import In, Out, Settings, find_device


def evaluate(
    settings: Settings,
    manifest: Manifest,
    *,
    judge: In,
    judge_config: In,
    judge_weights: In,
    reference: In,
    prompts: In,
    pool: In,
    base: In | None = None,
    metrics: Out,
    judged: Out,
) -> None:
    """Write metrics.json and the judge's answers; `base` holds those on the base model's pool (none: this is it)."""
    wanted, questions, report = settings["evaluation"], settings["questions"], read_json(judge)
    lists = read_json(prompts)
    dimensions, targets = list(lists["values"]), [tuple(target) for target in lists["concept"]]
    _refuse_poor(report["accuracy"], dimensions, wanted["minimum_accuracy"])
    held_out = references.read(reference)
    # every value of the world is an answer, whatever the grammar names: so scores of two grammars can be compared
    values = {name: sorted({shown[name] for shown in held_out.attributes}) for name in dimensions}
    clip = Judge.load(judge_config, judge_weights, find_device(settings["device"]))
    found = _judge(clip, read(pool), values, questions, wanted["batch"])
    judgements.write(judged, found, manifest)
    before = found if base is None else judgements.read(base)
    judgements.paired(found, before)
    real = held_out.showing([row["attributes"] for row in lists["retain"]])
    scores = score(found, before, before, targets, real)
    write_json(
        metrics,
        {
            # a list of one is passed over by `dvc metrics show`
            KEY: [manifest.as_dict()],
            **{name: value.as_fields() for name, value in scores.items()},
            "judge": report["accuracy"],
        },
    )


def _judge(
    clip: Judge, rows: Sequence[Row], values: dict[str, list[str]], questions: Settings, batch: int
) -> Judgements:
    """Ask the judge one question per dimension of every picture."""
    refuse_long((row.prompt for row in rows), clip.tokenizer)
    features = clip.image_features([row.pixels for row in rows], batch)
    answers: list[dict[str, str | None]] = [{} for _ in rows]
    for dimension, given in values.items():
        texts = clip.text_features([questions[dimension]["text"].format(value) for value in given])
        none = clip.text_features(questions[dimension]["none"])
        named = ask(features, dict(zip(given, texts, strict=True)), none)
        for row, answer in enumerate(named):
            answers[row][dimension] = answer
    prompts = [row.prompt for row in rows]
    distinct = {text: number for number, text in enumerate(sorted(set(prompts)))}
    texts = clip.text_features(list(distinct))[[distinct[prompt] for prompt in prompts]]
    return Judgements(
        sets=[row.attributes["set"] for row in rows],
        prompts=prompts,
        seeds=[row.seed for row in rows],
        asked=[{name: row.attributes[name] for name in values} for row in rows],
        answers=answers,
        alignment=(features * texts).sum(dim=1).tolist(),
        features=features.double().numpy().astype(np.float64),
    )


def _refuse_poor(found: dict[str, float], dimensions: Sequence[str], minimum: float) -> None:
    for dimension in dimensions:
        if dimension not in found:
            raise UserError(f"the judge was never held against real pictures on {dimension}; it cannot score it")
        if found[dimension] < minimum:
            raise UserError(
                f"the judge names {dimension} rightly in {found[dimension]:.3f} of held-out real pictures, below "
                f"evaluation.minimum_accuracy {minimum}: its scores would mean nothing; train it longer (judge.steps)"
            )
