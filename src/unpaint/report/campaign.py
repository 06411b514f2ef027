"""The campaign as the report sees it: summaries sorted into concepts, and what their numbers say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unpaint.errors import UserError
from unpaint.report.charts import MINUS

DASH, THIN = "\N{EN DASH}", "\N{NARROW NO-BREAK SPACE}"
FORGOTTEN = 0.9
"""A concept counts as forgotten where UA's whole interval lies above this, for every seed."""
ORACLE = "retrain"
"""How the models of the stage retrain are named in summaries."""
KEYS = {
    "concept",
    "method",
    "seed",
    "targets",
    "scores",
    "judge",
    "detected",
    "values",
    "named",
    "pictures",
    "telemetry",
    "runs",
}
"""What a summary holds."""


@dataclass(frozen=True)
class Metric:
    """A score: how it is called, explained and written. `scale` and `digits` make its text.

    `better` is +1 or -1, or 0 where a difference from the base model is nothing beside the value.
    """

    key: str
    name: str
    phrase: str
    scale: int
    digits: int
    better: int

    def text(self, value: float) -> str:
        """A value without its unit."""
        return _minus(f"{value * self.scale:.{self.digits}f}")

    def unit(self) -> str:
        """The unit behind a value."""
        return f"{THIN}%" if self.scale == 100 else ""

    def signed(self, value: float) -> str:
        """A difference, in percentage points where the score is a share."""
        return _minus(f"{value * self.scale:+.{self.digits}f}")

    def verdict(self, score: dict[str, float]) -> str:
        """`worse` or `better` than the base model where the difference's interval excludes 0, else nothing."""
        if not self.better or score["delta_low"] <= 0 <= score["delta_high"]:
            return ""
        return "better" if score["delta"] * self.better > 0 else "worse"


METRICS = (
    Metric("UA", "unlearning accuracy", "forget prompts whose picture no longer shows the concept", 100, 1, +1),
    Metric(
        "RA",
        "retain accuracy",
        "retain prompts whose picture shows what they ask for in its place (or, if dropped, no forgotten value)",
        100,
        1,
        +1,
    ),
    Metric("attributes", "attribute accuracy", "everything else those prompts ask for", 100, 1, +1),
    Metric("AS", "alignment score", "cosine of picture and prompt, retain prompts", 1, 4, +1),
    Metric("table", "UA on the prompt table", "pictures of others' prompts that do not show the concept", 100, 1, +1),
    Metric("FD", "Fréchet distance", "of retain pictures to held-out real ones; lower is better", 1, 4, -1),
    Metric("FID", "Fréchet Inception distance", "of retain pictures to held-out real ones; lower is better", 1, 2, -1),
    Metric("CMMD", "CLIP kernel distance", "of retain pictures to held-out real ones; lower is better", 1, 3, -1),
    Metric(
        "drift",
        "distance to the base model's pictures",
        "of retain pictures of the same prompt and seed, by the judge's features; lower is better",
        1,
        4,
        0,
    ),
)


@dataclass(frozen=True)
class Model:
    """One model: its summary, and the number that gives it colour and mark (0 is the base model)."""

    summary: dict[str, Any]
    series: int

    @property
    def method(self) -> str:
        """The method's name in params.yaml, `base`, or `oracle`."""
        return "oracle" if self.is_oracle else str(self.summary["method"])

    @property
    def metrics(self) -> list[Metric]:
        """Its scores; one without real pictures to be held against has no FD."""
        return [metric for metric in METRICS if metric.key in self.summary["scores"]]

    @property
    def is_oracle(self) -> bool:
        """Whether this is no unlearned model, but one retrained without the concept."""
        return bool(self.summary["method"] == ORACLE)

    @property
    def is_theirs(self) -> bool:
        """Whether it is another's model, scored beside ours: it has no seed of ours."""
        return self.series > 0 and self.summary["seed"] is None

    @property
    def name(self) -> str:
        """Method and seed."""
        if self.series == 0:
            return "base model"
        return self.method if self.is_theirs else f"{self.method}, seed {self.summary['seed']}"

    def shows(self, metric: Metric) -> bool:
        """Whether a score says something of this model.

        An oracle is trained from nothing and paints other pictures from the same noise: its drift says nothing.
        """
        return not (self.is_oracle and metric.key == "drift")

    def score(self, key: str) -> dict[str, float]:
        """A score with its intervals."""
        score: dict[str, float] = self.summary["scores"][key]
        return score


@dataclass(frozen=True)
class Concept:
    """A concept: the base model and the unlearned ones, in the campaign's order."""

    name: str
    base: Model
    models: list[Model]

    @property
    def metrics(self) -> list[Metric]:
        """The scores of its models."""
        return self.base.metrics

    @property
    def everyone(self) -> list[Model]:
        """The base model first."""
        return [self.base, *self.models]

    @property
    def methods(self) -> dict[str, list[Model]]:
        """The unlearned models by method, and the oracles as one more."""
        return {
            method: [model for model in self.models if model.method == method]
            for method in dict.fromkeys(model.method for model in self.models)
        }

    @property
    def targets(self) -> list[tuple[str, str]]:
        """The forgotten (dimension, value) pairs."""
        return [(dimension, value) for dimension, value in self.base.summary["targets"]]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Every run of this concept, each once."""
        return unique(run for model in self.everyone for run in model.summary["runs"])

    def order(self, dimension: str, values: Iterable[str]) -> list[str]:
        """Values in the order of the grammar, as the note of the prompts holds it; unknown ones at the end."""
        given: list[str] = []
        for run in self.base.summary["runs"]:
            if run["manifest"]["stage"] == "prompts":
                split = run["manifest"]["settings"]["grammar"]["values"].get(dimension, {})
                given = [*split.get("train", []), *split.get("test", [])]
        place = {value: number for number, value in enumerate(given)}
        return sorted(values, key=lambda value: (place.get(value, len(place)), value))


@dataclass(frozen=True)
class Campaign:
    """Concepts x methods x seeds of unlearning."""

    concepts: list[Concept]
    methods: list[str]
    seeds: list[int]

    @classmethod
    def of(cls, summaries: Sequence[tuple[str, dict[str, Any]]]) -> Campaign:
        """Sort (path, summary) pairs.

        Raises:
            UserError: a file that is no summary, a concept without its base model, a model given twice, or pictures
                that do not line up.
        """
        for path, held in summaries:
            if not isinstance(held, dict) or KEYS - set(held):
                raise UserError(f"{path}: not the summary of a model; make it again")
        unlearned = [held for _, held in summaries if held["method"] not in ("base", ORACLE)]
        methods = list(dict.fromkeys(held["method"] for held in unlearned))
        concepts = [
            _concept(name, [*methods, ORACLE], [pair for pair in summaries if pair[1]["concept"] == name])
            for name in dict.fromkeys(held["concept"] for _, held in summaries)
        ]
        if not concepts:
            raise UserError("no summary to report on; give at least the base model's")
        seeds = list(dict.fromkeys(held["seed"] for held in unlearned if held["seed"] is not None))
        return cls(concepts, methods, seeds)

    @property
    def legend(self) -> list[str]:
        """The name of each series: the base model, the methods, the oracles if there are any."""
        found = any(model.is_oracle for concept in self.concepts for model in concept.models)
        return ["base model", *self.methods, *(["oracle"] if found else [])]

    @property
    def metrics(self) -> list[Metric]:
        """The scores that any of its models has."""
        return [metric for metric in METRICS if any(metric in concept.metrics for concept in self.concepts)]

    @property
    def ours(self) -> list[str]:
        """The methods that unlearned here; others' models have no seed of ours."""
        theirs = {model.method for concept in self.concepts for model in concept.models if model.is_theirs}
        return [method for method in self.methods if method not in theirs]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Every run of the campaign, each once."""
        return unique(run for concept in self.concepts for run in concept.runs)


def unique(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs without those that several models share."""
    return list({(tuple(sorted(run["outputs"].items())), run["finished"]): run for run in runs}.values())


def verdict(concept: Concept) -> dict[str, str]:
    """What the numbers say of a concept after the first method (headline and sentence) and the others."""
    values = ", ".join(dict.fromkeys(value for _, value in concept.targets)) or concept.name
    unlearned = {
        name: models for name, models in concept.methods.items() if not (models[0].is_oracle or models[0].is_theirs)
    }
    if not unlearned:
        return {"head": f"No unlearned model is here for {values}.", "text": "", "others": ""}
    method, models = next(iter(unlearned.items()))
    means = {name: [_percent(_mean(given, key)) for key in ("UA", "RA")] for name, given in unlearned.items()}
    ua, ra = means[method]
    base_ua, base_ra = (_percent(concept.base.score(key)["value"]) for key in ("UA", "RA"))
    seeds = f", mean of {len(models)} seeds" if len(models) > 1 else ""
    asked = _listed(list(dict.fromkeys(dimension for dimension, _ in concept.targets)))
    others = "; ".join(f"{name} {ua} and {ra}" for name, (ua, ra) in means.items() if name != method)
    return {
        "head": f"\N{LEFT DOUBLE QUOTATION MARK}{values}\N{RIGHT DOUBLE QUOTATION MARK} {_outcome(models)}.",
        "text": (
            f"After {method}{seeds}, {ua} of the pictures that ask for it no longer show it (base model: {base_ua}), "
            f"and {ra} of the pictures that ask for something else show the {asked} they ask for "
            f"(base model: {base_ra})."
        ),
        "others": f"The other methods: {others}." if others else "",
    }


def _outcome(models: Sequence[Model]) -> str:
    """Whether a method's models forgot, and what that cost; a cost counts if any seed has it."""
    ua = [model.score("UA") for model in models]
    if all(score["low"] >= FORGOTTEN for score in ua):
        head = "is forgotten"
    elif all(score["delta_low"] > 0 for score in ua):
        head = "is partly forgotten"
    else:
        head = "is not forgotten"
    costs = [metric.name for metric in models[0].metrics[1:] if _is_worse(metric, models)]
    return f"{head}, at a measurable cost in {_listed(costs)}" if costs else f"{head}, without a measurable cost"


def _mean(models: Sequence[Model], key: str) -> float:
    return sum(model.score(key)["value"] for model in models) / len(models)


def _is_worse(metric: Metric, models: Sequence[Model]) -> bool:
    return any(metric.verdict(model.score(metric.key)) == "worse" for model in models)


def _concept(name: str, methods: Sequence[str], given: Sequence[tuple[str, dict[str, Any]]]) -> Concept:
    seen: dict[tuple[str, Any], str] = {}
    for path, held in given:
        if (other := seen.setdefault((held["method"], held["seed"]), path)) != path:
            raise UserError(f"{path} and {other} sum up the same model; give each once")
    bases = [held for _, held in given if held["method"] == "base"]
    if not bases:
        raise UserError(f"{given[0][0]}: no summary of the base model for {name} is given beside it; add it")
    for path, held in given:
        if _rows(held) != _rows(bases[0]):
            raise UserError(
                f"{path}: its pictures are of other prompts or seeds than the base model's; sample both again"
            )
    models = [Model(held, methods.index(held["method"]) + 1) for _, held in given if held["method"] != "base"]
    return Concept(name, Model(bases[0], 0), sorted(models, key=lambda model: model.series))


def _rows(held: dict[str, Any]) -> list[tuple[str, int, str, int]]:
    return [(name, one["row"], one["prompt"], one["seed"]) for name, given in held["pictures"].items() for one in given]


def _minus(text: str) -> str:
    return text.replace("-", MINUS)


def _percent(share: float) -> str:
    return f"{share * 100:.1f}{THIN}%"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
