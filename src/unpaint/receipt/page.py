"""The receipt for people: one self-contained HTML page, made from the statement alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unpaint.diversify.grammar import targets_of
from unpaint.receipt.statement import subject_of
from unpaint.report.campaign import Concept, Metric, Model, verdict

REPORT = Path(__file__).parents[1] / "report"


def page(statement: Mapping[str, Any]) -> str:
    """The page as HTML text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        # the report's palette
        loader=FileSystemLoader([Path(__file__).parent, REPORT]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    told = statement["predicate"]
    name, digest = subject_of(statement)
    concept = _concept(statement)
    return environment.get_template("receipt.html").render(
        model={"path": name, "sha256": digest},
        targets=concept.targets,
        verdict=verdict(concept),
        scores_shown=score_texts(statement),
        told=told,
    )


def score_texts(statement: Mapping[str, Any]) -> list[dict[str, str]]:
    """Each score of the model, with its interval and its difference from the base model, as people write them."""
    (model,) = _concept(statement).models
    return [_score(metric, model) for metric in model.metrics]


def _concept(statement: Mapping[str, Any]) -> Concept:
    """The model and its base model, as the report has them."""
    asked, scores = statement["predicate"]["asked"], statement["predicate"]["scores"]
    before = Model({"scores": scores["base"], "targets": targets_of(asked["forget"])}, 0)
    model = Model({"scores": scores["model"], "method": asked["method"]["name"], "seed": asked["seed"]}, 1)
    return Concept(asked["concept"], before, [model])


def _score(metric: Metric, model: Model) -> dict[str, str]:
    score = model.score(metric.key)
    low, high = (metric.signed(score[key]) for key in ("delta_low", "delta_high"))
    return {
        "key": metric.key,
        "name": metric.name,
        "phrase": metric.phrase,
        "value": metric.text(score["value"]) + metric.unit(),
        "interval": f"{metric.text(score['low'])} to {metric.text(score['high'])}",
        "n": str(score["n"]),
        # of drift the value is the difference
        "delta": metric.signed(score["delta"]) if metric.better else "",
        "range": f"{low} to {high}" if metric.better else "",
        "verdict": metric.verdict(score),
    }
