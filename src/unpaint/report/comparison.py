"""comparison.json as the tables of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unpaint.report.campaign import DASH, METRICS, THIN, Campaign, Metric

FD = next(metric for metric in METRICS if metric.key == "FD")
RA = next(metric for metric in METRICS if metric.key == "RA")


@dataclass(frozen=True)
class Table:
    """A table: what it shows, in a sentence or two, and its cells as text and range; an empty range is none."""

    title: str
    text: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]


def tables(campaign: Campaign, comparison: Mapping[str, Any]) -> list[Table]:
    """Every table that the comparison has something for."""
    first = comparison["method"]
    found = [_overview(campaign)] if len(campaign.concepts) > 1 else []
    found += [_against(first, other, held) for other, held in comparison["against"].items()]
    if any(comparison["worst"].values()):
        found.append(_worst(comparison["worst"]))
    if any(model.summary["telemetry"] for concept in campaign.concepts for model in concept.models):
        found.append(_monotone(campaign))
    found += [_oracle(concept, held) for concept, held in comparison["oracles"].items()]
    if comparison["contrasts"]:
        found.append(_contrasts(comparison["contrasts"]))
    return found


def _overview(campaign: Campaign) -> Table:
    rows = []
    for concept in campaign.concepts:
        for method, models in concept.methods.items():
            cells = []
            for metric in campaign.metrics:
                if metric not in models[0].metrics:
                    cells.append((DASH, ""))
                    continue
                key = "value" if metric.key == "UA" else "delta"
                mean = sum(model.score(metric.key)[key] for model in models) / len(models)
                shown = metric.text(mean) + metric.unit() if key == "value" else metric.signed(mean)
                if not models[0].shows(metric):
                    shown = DASH
                cells.append((shown, ""))
            rows.append((f"{concept.name}, {method}", cells))
    return Table(
        "All concepts",
        "UA, and the difference of every other score from the base model's; means over seeds.",
        [metric.key for metric in campaign.metrics],
        rows,
    )


def _against(first: str, other: str, held: Mapping[str, Any]) -> Table:
    concepts = held["concepts"]
    metrics = _metrics(concepts.values())
    rows = [(name, _cells(each, metrics)) for name, each in concepts.items()]
    text = f"{first} minus {other} on the same pictures, paired."
    if len(concepts) > 1:
        rows.append(("mean over concepts", _cells(held["overall"], metrics)))
        text += " The interval of the mean is Student's over concepts."
    return Table(f"{first} against {other}", text, [metric.key for metric in metrics], rows)


def _worst(held: Mapping[str, list[dict[str, Any]]]) -> Table:
    rows = []
    for method, each in held.items():
        if each:
            lost = min(each, key=lambda one: one["delta"])
            where = f"{lost['dimension']} {lost['value']}, after forgetting {lost['concept']}"
            rows.append((method, [(RA.signed(lost["delta"]), ""), (where, ""), (str(lost["n"]), "")]))
    return Table(
        "What lost most",
        "Of all values that were to be kept, the one whose accuracy fell most against the base model. It is picked "
        "among many, so chance has a part in it, and no interval is given.",
        ["difference", "value", "pictures"],
        rows,
    )


def _monotone(campaign: Campaign) -> Table:
    rows = []
    for method in campaign.ours:
        models = [model for concept in campaign.concepts for model in concept.methods.get(method, [])]
        telemetry = [model.summary["telemetry"] for model in models if model.summary["telemetry"]]
        if telemetry:
            shares = [
                sum(one[key] * one["steps"] for one in telemetry) / sum(one["steps"] for one in telemetry)
                for key in ("monotone", "conflict", "guarded")
            ]
            rows.append((method, [(f"{share * 100:.1f}{THIN}%", "") for share in shares]))
    return Table(
        "Monotone steps",
        "Share of all steps in which neither loss rose to first order, in which the gradients were in conflict, and in "
        "which the guard corrected the step.",
        ["neither loss rose", "in conflict", "corrected"],
        rows,
    )


def _oracle(concept: str, held: Mapping[str, Any]) -> Table:
    floor, spread = held["floor"], held["spread"]
    text = f"Base models retrained without {concept}. FD between the retain pools."
    if floor is not None:
        text += f" Two halves of the base model's own pool are {FD.text(floor['delta'])} apart."
    if spread is not None:
        text += f" Oracles of different seeds are {FD.text(spread)} apart."
    rows = [
        (name, [(RA.signed(each["UA"]), ""), (RA.signed(each["RA"]), ""), (FD.text(each["FD"]), "")])
        for name, each in held["models"].items()
    ]
    return Table(f"Distance to the oracle: {concept}", text, ["UA minus its", "RA minus its", "FD to it"], rows)


def _contrasts(held: Mapping[str, Mapping[str, Any]]) -> Table:
    every = [(f"{name}, {method}", each) for name, found in held.items() for method, each in found.items()]
    metrics = _metrics(each for _, each in every)
    rows = [(name, _cells(each, metrics)) for name, each in every]
    text = "The first concept of each contrast minus the second: other training data, the same test pictures, paired."
    return Table("Contrasts of training data", text, [metric.key for metric in metrics], rows)


def _metrics(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """The scores that any row has."""
    found = {key for row in rows for key in row}
    return [metric for metric in METRICS if metric.key in found]


def _cells(each: Mapping[str, Mapping[str, float]], metrics: Sequence[Metric]) -> list[tuple[str, str]]:
    return [_cell(metric, each[metric.key]) if metric.key in each else (DASH, "") for metric in metrics]


def _cell(metric: Metric, held: Mapping[str, Any]) -> tuple[str, str]:
    if held["low"] is None:
        return metric.signed(held["delta"]), ""
    low, high = (metric.signed(held[key]) for key in ("low", "high"))
    return metric.signed(held["delta"]), f"{low} to {high}"
