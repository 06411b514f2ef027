"""evaluate: score a pool by the judge, paired against the base model's pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from unpaint.corpus import Row, read, read_json
from unpaint.errors import UserError
from unpaint.evaluate import cmmd, fid, judgements
from unpaint.evaluate import inception as inceptions
from unpaint.evaluate import reference as references
from unpaint.evaluate.accuracy import Targets
from unpaint.evaluate.judge import Judge, ask, refuse_long
from unpaint.evaluate.judgements import Judgements
from unpaint.evaluate.nudity import NudeNet
from unpaint.evaluate.scores import outcomes, score
from unpaint.lineage.manifest import KEY, Manifest, write_json
from unpaint.lineage.stage import In, Maybe, Out, Settings, find_device

Questions = Mapping[str, Mapping[str, Any]]
"""How it is found out what a picture shows, by dimension: see `Asked` of unpaint.params."""


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
    inception: Maybe = None,
    metrics: Out,
    judged: Out,
) -> None:
    """Write metrics.json and the judge's answers; `base` holds those on the base model's pool (none: this is it).

    `inception` are the weights that FID is taken with, if it is asked for.
    """
    wanted, questions, report = settings["evaluation"], settings["questions"], read_json(judge)
    lists, held_out = read_json(prompts), references.read(reference)
    targets: Targets = [tuple(target) for target in lists["concept"]]
    # presence and detectors tell a forgotten value alone
    asked: Questions = {
        name: questions[name]
        for name in lists["values"]
        if name in questions and ("text" in questions[name] or name in dict(targets))
    }
    if held_out.attributes:
        _refuse_poor(report["accuracy"], [name for name in asked if "text" in asked[name]], wanted["minimum_accuracy"])
    # every value of the world is an answer, whatever the grammar names: so scores of two grammars can be compared
    values = {name: sorted({shown[name] for shown in held_out.attributes}) for name in report["accuracy"]}
    device = find_device(settings["device"])
    clip = Judge.load(judge_config, judge_weights, device)
    detectors = {name: NudeNet(one["labels"], one["threshold"]) for name, one in asked.items() if "detector" in one}
    rows = read(pool)
    found = _judge(clip, rows, {**lists["values"], **values}, asked, targets, detectors, wanted["batch"])
    retain = found.rows("retain")
    kept = None
    if inception:
        kept = inceptions.features(inceptions.load(inception, device), [rows[row] for row in retain], device)
    judgements.write(judged, found, manifest, kept)
    before = found if base is None else judgements.read(base)
    judgements.paired(found, before)
    if not {name for name, _ in targets} <= set(report["accuracy"]):
        _refuse_blind(before, targets, wanted["minimum_accuracy"])
    shown = held_out.rows([row["attributes"] for row in lists["retain"]])
    real = held_out.features[shown]
    scores = score(found, before, before, targets, real)
    if kept is not None:
        there = inceptions.read(reference)[shown]
        scores["FID"] = fid.distance(kept, kept if base is None else inceptions.read(base), there)
    if len(real) and report["repository"] == cmmd.REPOSITORY:
        scores["CMMD"] = cmmd.distance(found.features[retain], before.features[retain], real)
    write_json(
        metrics,
        {
            # a list is passed over by `dvc metrics show`
            KEY: [manifest.as_dict()],
            **{name: value.as_fields() for name, value in scores.items()},
            "judge": report["accuracy"],
            **({"detected": _counted(found, before, detectors)} if detectors else {}),
        },
    )


PARTS = ("forget", "retain", "table")
"""The sets of a pool; the last one is there if the concept has a table of prompts."""


def _judge(
    clip: Judge,
    rows: Sequence[Row],
    values: Mapping[str, Sequence[str]],
    questions: Questions,
    targets: Targets,
    detectors: Mapping[str, NudeNet],
    batch: int,
) -> Judgements:
    """Find out what every picture shows in every dimension that is asked for."""
    # others' prompts were cut off when they were painted, and nothing is told of how their pictures align
    refuse_long((row.prompt for row in rows if row.attributes["set"] != "table"), clip.tokenizer)
    features = clip.image_features([row.pixels for row in rows], batch)
    findings: list[list[str]] = [[] for _ in rows]
    asked: list[dict[str, str]] = [{} for _ in rows]
    answers: list[dict[str, str | None]] = [{} for _ in rows]
    for dimension, question in questions.items():
        forgotten = [value for name, value in targets if name == dimension]
        given = [row.attributes[dimension] for row in rows]
        if "text" not in question:
            # of the other values nothing is known: there nothing is asked for, and no forgotten one may show
            given = [value if value in forgotten else "" for value in given]
        if dimension in detectors:
            found = [detectors[dimension].find(row.image) for row in rows]
            findings = [[*held, *more] for held, more in zip(findings, found, strict=True)]
            # it does not tell values apart
            named = [(value or forgotten[0]) if shows else None for value, shows in zip(given, found, strict=True)]
        elif "shown" in question:
            named = _named(clip, features, question["shown"], forgotten, question["otherwise"])
        else:
            named = _named(clip, features, question["text"], values[dimension], question["none"])
        for row, (value, answer) in enumerate(zip(given, named, strict=True)):
            asked[row][dimension], answers[row][dimension] = value, answer
    prompts = [row.prompt for row in rows]
    distinct = {text: number for number, text in enumerate(sorted(set(prompts)))}
    texts = clip.text_features(list(distinct))[[distinct[prompt] for prompt in prompts]]
    return Judgements(
        sets=[row.attributes["set"] for row in rows],
        prompts=prompts,
        seeds=[row.seed for row in rows],
        asked=asked,
        answers=answers,
        alignment=(features * texts).sum(dim=1).tolist(),
        features=features.double().numpy().astype(np.float64),
        findings=findings,
    )


def _counted(found: Judgements, base: Judgements, detectors: Mapping[str, NudeNet]) -> dict[str, Any]:
    """Findings by label per set, and in what share of the base model's retain pictures the detectors find something."""
    counts = {name: Counter(label for row in found.rows(name) for label in found.findings[row]) for name in PARTS}
    alarms = [bool(base.findings[row]) for row in base.rows("retain")]
    return {
        **{name: counted for name, counted in counts.items() if found.rows(name)},
        "false_alarms": round(float(np.mean(alarms)), 6),
        # a list is passed over by `dvc metrics show`
        "by": [{"dimension": name, **detector.as_fields()} for name, detector in detectors.items()],
    }


def _named(clip: Judge, features: Tensor, text: str, values: Sequence[str], none: list[str]) -> list[str | None]:
    """The value that the judge names in each picture, None for a text of `none`."""
    texts = [text.format(value) for value in values]
    refuse_long([*texts, *none], clip.tokenizer)
    candidates = clip.text_features(texts)
    return ask(features, dict(zip(values, candidates, strict=True)), clip.text_features(none))


def _refuse_poor(found: dict[str, float], dimensions: Sequence[str], minimum: float) -> None:
    for dimension in dimensions:
        if dimension not in found:
            raise UserError(f"the judge was never held against real pictures on {dimension}; it cannot score it")
        if found[dimension] < minimum:
            raise UserError(
                f"the judge names {dimension} rightly in {found[dimension]:.3f} of held-out real pictures, below "
                f"evaluation.minimum_accuracy {minimum}: its scores would mean nothing; train it longer "
                "(judge.steps), or take another judge"
            )


def _refuse_blind(base: Judgements, targets: Targets, minimum: float) -> None:
    """Refuse to score where the base model's own pictures do not show that the concept can be seen, and its absence."""
    found = outcomes(base, targets)
    seen, kept = 1 - float(np.mean(found["UA"])), float(np.mean(found["RA"]))
    if min(seen, kept) < minimum:
        raise UserError(
            f"of the base model's own pictures, the concept is seen in {seen:.3f} of those that ask for it, and "
            f"{kept:.3f} of the others are as they should be; evaluation.minimum_accuracy is {minimum}: scores would "
            "mean nothing; ask otherwise (questions), or take another judge"
        )
