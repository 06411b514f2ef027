"""propose: further values for a grammar's dimensions, by a language model; a person takes over what is good."""

from __future__ import annotations

from unpaint.diversify.grammar import Grammar
from unpaint.diversify.llm import propose as proposed
from unpaint.errors import UserError
from unpaint.language import LanguageModel
from unpaint.lineage.manifest import KEY, Manifest, write_json
from unpaint.lineage.stage import In, Out, Settings, find_device, progress


def propose(settings: Settings, manifest: Manifest, *, model: In, proposals: Out) -> None:
    """Write per dimension the values to take over, and the refused ones with why.

    Raises:
        UserError: of a dimension nothing at all can be taken over.
    """
    wanted, grammar = settings["proposal"], Grammar(**settings["grammar"])
    language = LanguageModel(model, find_device(settings["device"]))

    def ask(instruction: str, number: int) -> str:
        return language.answer(instruction, settings["seed"] + number, wanted["tokens"], wanted["temperature"])

    found = {}
    for number, (dimension, count) in enumerate(wanted["values"].items(), 1):
        one = proposed(grammar, dimension, count, wanted["without"], wanted["apart"], ask, language.embeddings)
        if not one.values:
            reasons = "; ".join(f"{value!r} {why}" for value, why in one.refused[:3]) or "it gave no list"
            raise UserError(f"{dimension}: nothing that was proposed can be taken ({reasons}); take another model")
        found[dimension] = {"values": one.values, "refused": dict(one.refused)}
        progress("propose", number, len(wanted["values"]))
    write_json(proposals, {KEY: manifest.as_dict(), "proposals": found})
