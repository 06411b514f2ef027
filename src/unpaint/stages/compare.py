"""compare: the models against each other, from what the judge said of their pools."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from unpaint.diversify.grammar import targets_of
from unpaint.evaluate import comparison as compared
from unpaint.evaluate import judgements
from unpaint.evaluate import reference as references
from unpaint.evaluate.judgements import Judgements
from unpaint.lineage.manifest import KEY, Manifest, write_json
from unpaint.lineage.stage import In, Ins, Out, Settings

Key = tuple[Any, ...]


def compare(
    settings: Settings,
    manifest: Manifest,
    *,
    base: Ins,
    models: Ins,
    oracles: Ins,
    theirs: Ins,
    reference: In,
    comparison: Out,
) -> None:
    """Write comparison.json: methods over concepts, the worst retained value, distances to oracles, contrasts.

    The files of each role come in the order of the product of concepts, methods and seeds; `theirs` of concepts and
    others' models, each of which stands against every seed of ours.
    """
    targets = {name: targets_of(forget) for name, forget in settings["concepts"]}
    methods, seeds, wanted = settings["methods"], settings["seeds"], settings["oracles"]
    foreign = settings["models"]
    bases = _read(base, product(targets))
    found = _read(models, product(targets, methods, seeds))
    trained = _read(oracles, product(wanted["concepts"], wanted["seeds"]))
    brought = _read(theirs, product(targets, foreign))
    real = references.read(reference)

    def of(concept: str, method: str) -> list[Judgements]:
        return [brought[concept, method] if method in foreign else found[concept, method, seed] for seed in seeds]

    def difference(one: tuple[str, str], other: tuple[str, str]) -> dict[str, compared.Difference]:
        judged = of(*one)
        asked = [judged[0].asked[row] for row in judged[0].rows("retain")]
        return compared.difference(judged, of(*other), bases[one[0],], targets[one[0]], real.showing(asked))

    first, *others = methods
    against = {}
    for other in [*others, *foreign]:
        each = {concept: difference((concept, first), (concept, other)) for concept in targets}
        against[other] = {"concepts": each, "overall": compared.over_concepts(each, targets)}
    worst = {
        method: [
            {"concept": concept, **lost}
            for concept in targets
            if (lost := compared.worst_value(of(concept, method), bases[concept,], targets[concept]))
        ]
        for method in [*methods, *foreign]
    }
    gold = {}
    for concept in wanted["concepts"] if wanted["seeds"] else ():
        own = [trained[concept, seed] for seed in wanted["seeds"]]
        named = {"base": bases[concept,]}
        named |= {f"{method}, seed {seed}": found[concept, method, seed] for method, seed in product(methods, seeds)}
        gold[concept] = {
            "floor": compared.floor(bases[concept,]),
            "spread": compared.spread(own),
            "models": {name: compared.to_oracles(judged, own, targets[concept]) for name, judged in named.items()},
        }
    contrasts = {
        name: {method: difference((pair["concept"], method), (pair["against"], method)) for method in methods}
        for name, pair in settings["contrasts"].items()
    }
    write_json(
        comparison,
        {
            KEY: manifest.as_dict(),
            "method": first,
            "against": against,
            "worst": worst,
            "oracles": gold,
            "contrasts": contrasts,
        },
    )


def _read(paths: list[Path], keys: Any) -> dict[Key, Judgements]:
    return {key: judgements.read(path) for key, path in zip(keys, paths, strict=True)}
