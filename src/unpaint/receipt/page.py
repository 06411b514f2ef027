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
    asked, scores = told["asked"], told["scores"]
    name, digest = subject_of(statement)
    targets = targets_of(asked["forget"])
    before = Model({"scores": scores["base"], "targets": targets}, 0)
    model = Model({"scores": scores["model"], "method": asked["method"]["name"], "seed": asked["seed"]}, 1)
    return environment.get_template("receipt.html").render(
        model={"path": name, "sha256": digest},
        targets=targets,
        verdict=verdict(Concept(asked["concept"], before, [model])),
        scores_shown=[_score(metric, model) for metric in model.metrics],
        told=told,
    )


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
