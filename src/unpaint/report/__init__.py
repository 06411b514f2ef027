"""The report: one self-contained HTML page, the same bytes for the same summaries."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint.evaluate import accuracy
from unpaint.evaluate.statistics import wilson
from unpaint.lineage.manifest import Manifest
from unpaint.report import ancestry, charts
from unpaint.report.campaign import DASH, METRICS, THIN, Campaign, Concept, Metric, Model, unique, verdict
from unpaint.report.comparison import tables

if TYPE_CHECKING:
    from markupsafe import Markup

NONE = "none of these"


def page(campaign: Campaign, comparison: Mapping[str, Any], manifest: Manifest, blurred: Collection[str]) -> str:
    """The page as HTML text; `comparison` is the content of comparison.json, `blurred` names concepts."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": _duration, "memory": _memory}
    return environment.get_template("page.html").render(
        campaign=campaign,
        manifest=manifest,
        legend=[(_safe(charts.legend_mark(number)), name) for number, name in enumerate(campaign.legend)],
        concepts=[_concept(concept, concept.name in blurred) for concept in campaign.concepts],
        comparison=tables(campaign, comparison),
        cost=_cost(campaign),
        origin=_origin(campaign),
    )


def _concept(concept: Concept, blurred: bool) -> dict[str, Any]:
    """All that the page shows of a concept."""
    return {
        "concept": concept,
        "blurred": blurred,
        "led": _led(concept),
        "verdict": verdict(concept),
        "grids": {name: _grid(concept, name) for name in ("forget", "retain", "table")},
        "scores": [(model, [_cell(metric, model) for metric in concept.metrics]) for model in concept.everyone],
        "tradeoffs": [_tradeoff(concept, metric) for metric in METRICS if metric.key in ("AS", "RA")][::-1],
        "detected": _detected(concept),
        "named": [_named(concept, dimension) for dimension in dict.fromkeys(d for d, _ in concept.targets)],
        "values": _all_values(concept),
        "curves": [_curves(model) for model in concept.models if model.summary["telemetry"]],
        "ancestry": [(model, ancestry.trace(model.summary, concept.runs)) for model in concept.everyone],
    }


def _led(concept: Concept) -> list[tuple[str, list[tuple[str, float]]]]:
    """What each forgotten value was led to: the values that the base model ranked, the nearest first.

    Nothing where no method leads anywhere (truncation `anchor` alone does), or the user named the anchor: then what was
    ranked is for the few prompts alone whose grammar does not allow it.
    """
    manifests = [run["manifest"] for run in concept.runs]
    leads = any(
        given["stage"] == "unlearn" and given["settings"]["method"]["truncation"]["mode"] == "anchor"
        for given in manifests
    )
    nearest = any(given["stage"] == "anchors" and given["settings"]["anchor"] == "nearest" for given in manifests)
    if not (leads and nearest):
        return []
    ranked = {value: far for run in concept.runs for value, far in run.get("found", {}).get("anchors", {}).items()}
    return [(value, list(far.items())) for value, far in ranked.items() if far]


def _grid(concept: Concept, name: str) -> list[dict[str, Any]]:
    """Pictures as blocks of twelve columns, one column per row of the pool; each model is a line.

    The first seed of every method stands beside the base model, further seeds on their own.
    """
    firsts = [concept.base, *(models[0] for models in concept.methods.values())]
    further = [model for models in concept.methods.values() for model in models[1:]]
    columns = concept.base.summary["pictures"].get(name, [])
    return [
        {
            "prompts": columns[start : start + 12],
            "first": [_line(concept, model, name, start) for model in firsts],
            "further": [_line(concept, model, name, start) for model in further],
        }
        for start in range(0, len(columns), 12)
    ]


def _line(concept: Concept, model: Model, name: str, start: int) -> dict[str, Any]:
    targets = concept.targets
    pictures = []
    for held in model.summary["pictures"][name][start : start + 12]:
        asked, answers = held["asked"], held["answers"]
        shown = not accuracy.forgotten(answers, asked, targets)
        kept = accuracy.retained(answers, asked, targets) and accuracy.attributes(answers, asked, targets) == 1
        seen = _seen(asked, answers, [d for d, _ in targets])
        pictures.append({**held, "answer": seen, "mark": not kept if name == "retain" else shown})
    return {"model": model, "pictures": pictures}


def _seen(asked: dict[str, str], answers: dict[str, str | None], concept: Sequence[str]) -> str:
    """What the judge names in the concept's dimensions, and whatever else is not as asked for."""
    named = [answers[dimension] or "none" for dimension in dict.fromkeys(concept)]
    others = [d for d, value in asked.items() if value and d not in concept and answers[d] != value]
    return ", ".join([*named, *(f"{d}: {answers[d] or 'none'}" for d in others)])


def _cell(metric: Metric, model: Model) -> dict[str, str]:
    score = model.score(metric.key)
    cell = {
        "metric": metric.key,
        "value": metric.text(score["value"]) + metric.unit(),
        "interval": f"{metric.text(score['low'])} to {metric.text(score['high'])}",
        "pictures": str(score["n"]),
        "delta": "",
        "verdict": "",
    }
    if not model.shows(metric):
        cell |= {"value": DASH, "interval": ""}
    elif model.series and metric.better:
        low, high = (metric.signed(score[key]) for key in ("delta_low", "delta_high"))
        cell |= {"delta": metric.signed(score["delta"]), "range": f"{low} to {high}", "verdict": metric.verdict(score)}
    return cell


def _tradeoff(concept: Concept, metric: Metric) -> Markup:
    points = [
        charts.Point(model.name, model.series, _interval(model.score("UA")), _interval(model.score(metric.key)))
        for model in concept.everyone
    ]
    percent = metric.scale == 100
    return _safe(charts.tradeoff(points, "UA, unlearning accuracy", f"{metric.key}, {metric.name}", percent=percent))


def _named(concept: Concept, dimension: str) -> dict[str, Any]:
    """Shares of what the judge names in the forget set's pictures, a line per model."""
    counts = [(model, model.summary["named"].get(dimension, {})) for model in concept.everyone]
    found = {value for _, held in counts for value in held if value != NONE}
    columns = [*concept.order(dimension, found), NONE]
    lines = []
    for model, held in counts:
        total = sum(held.values()) or 1
        lines.append((model, [(held.get(value, 0), round(held.get(value, 0) / total * 100)) for value in columns]))
    forgotten = [value for name, value in concept.targets if name == dimension]
    return {"dimension": dimension, "columns": columns, "lines": lines, "forgotten": forgotten}


def _detected(concept: Concept) -> dict[str, Any] | None:
    """What a detector counted in the pictures of each set, a line per model; None where none was asked."""
    if not (held := concept.base.summary["detected"]):
        return None
    columns = sorted({label for one in held["by"] for label in one["labels"]})
    lines = [
        (model, name, [model.summary["detected"][name].get(label, 0) for label in columns])
        for name in concept.base.summary["pictures"]
        for model in concept.everyone
    ]
    return {**held, "columns": columns, "lines": lines}


def _all_values(concept: Concept) -> list[tuple[str, Markup]]:
    """A chart per dimension, all on one scale."""
    rows = {dimension: _values(concept, dimension) for dimension in concept.base.summary["values"]}
    lowest = min((mark[2][1] for given in rows.values() for _, marks in given for mark in marks), default=0.0)
    floor = max(0.0, math.floor(lowest * 10 - 0.01) / 10)
    return [(dimension, _safe(charts.values(given, floor))) for dimension, given in rows.items()]


def _values(concept: Concept, dimension: str) -> list[charts.Values]:
    """Accuracy per value of a dimension, the seeds of a method pooled; intervals are as wide as one seed's."""
    groups = [("base model", 0, [concept.base])]
    groups += [(method, models[0].series, models) for method, models in concept.methods.items()]
    rows: list[charts.Values] = []
    for value in concept.order(dimension, concept.base.summary["values"][dimension]):
        marks = []
        for name, series, models in groups:
            cells = [model.summary["values"].get(dimension, {}).get(value, {"hits": 0, "n": 0}) for model in models]
            hits, n = (sum(cell[key] for cell in cells) for key in ("hits", "n"))
            if n:
                marks.append((name, series, (hits / n, *wilson(hits / len(models), n / len(models))), n // len(models)))
        rows.append((value, marks))
    return rows


def _curves(model: Model) -> dict[str, Any]:
    held = model.summary["telemetry"]
    columns = held["columns"]
    steps, forget, retain = columns["step"], columns["forget_change"], columns["retain_change"]
    return {
        "model": model,
        "telemetry": held,
        "charts": [
            _safe(charts.losses(steps, columns["forget_loss"], columns["retain_loss"])),
            _safe(charts.cosine(steps, columns["cosine"])),
            _safe(charts.changes(steps, forget, retain)),
        ],
    }


def _cost(campaign: Campaign) -> dict[str, Any]:
    """Seconds and memory: first what all share, then each concept's, then each model's runs."""
    groups: list[tuple[str, list[dict[str, Any]]]] = [("shared by all", [])]
    done: set[tuple[Any, ...]] = set()
    for concept in campaign.concepts:
        shared = unique([*concept.base.summary["runs"], *_common(concept.models)])
        groups[0][1].extend(run for run in shared if _global(run))
        groups.append((concept.name, [run for run in shared if not _global(run)]))
        groups += [(f"{concept.name}, {model.name}", model.summary["runs"]) for model in concept.models]
    kept = []
    for name, runs in groups:
        fresh = [run for run in unique(runs) if _key(run) not in done]
        done |= {_key(run) for run in fresh}
        if fresh:
            kept.append((name, fresh))
    runs = [run for _, fresh in kept for run in fresh]
    return {
        "groups": kept,
        "total": sum(run["seconds"] for run in runs),
        "seconds": max((run["seconds"] for run in runs), default=0) or 1,
        "memory": max((run["peak_memory_mb"] for run in runs), default=0) or 1,
    }


def _common(models: list[Model]) -> list[dict[str, Any]]:
    """The runs that all unlearned models of a concept share: its encoded sets."""
    return [run for model in models[:1] for run in model.summary["runs"] if run["manifest"]["stage"] == "encode"]


def _global(run: dict[str, Any]) -> bool:
    return run["manifest"]["stage"] in ("world", "base", "judge")


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(run["outputs"].items())), run["finished"]


def _origin(campaign: Campaign) -> dict[str, Any]:
    """Commits, state of the sources and versions behind the campaign's runs."""
    runs = campaign.runs
    return {
        "commits": list(dict.fromkeys(run["commit"] for run in runs if run.get("commit"))),
        "dirty": sum(bool(run.get("dirty")) for run in runs),
        "unknown": sum(not run.get("commit") for run in runs),
        "runs": len(runs),
        "pythons": sorted({run["python"] for run in runs if run.get("python")}),
        "platforms": sorted({run["platform"] for run in runs if run.get("platform")}),
        "locks": sorted({run["lock"] for run in runs if run.get("lock")}),
        "packages": sorted(
            {(name, version) for run in runs for name, version in run.get("packages", {}).items() if version}
        ),
    }


def _interval(score: dict[str, float]) -> charts.Interval:
    return score["value"], score["low"], score["high"]


def _safe(svg: str) -> Markup:
    """Mark a chart as markup: its texts are escaped where it is made."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704


def _duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{THIN}h {minutes:02d}{THIN}min" if hours else f"{minutes}{THIN}min {rest:02d}{THIN}s"


def _memory(megabytes: float) -> str:
    return f"{megabytes / 1000:.2f}{THIN}GB" if megabytes >= 1000 else f"{megabytes:.0f}{THIN}MB"
