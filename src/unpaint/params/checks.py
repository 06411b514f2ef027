"""What params.yaml names, held against what is there (worlds, pins, pictures, prompts), before either engine runs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint import tombstones
from unpaint.diversify.grammar import Grammar, Lists, Prompt, expand
from unpaint.diversify.table import PIXELS, Row
from unpaint.diversify.table import read as read_table
from unpaint.errors import UserError, some
from unpaint.params import length
from unpaint.params.reading import read
from unpaint.params.sections import (
    TIMESTEPS,
    Concept,
    Dataset,
    Folder,
    JudgeTraining,
    NoWorld,
    Params,
    Pinned,
    Question,
    Trained,
    TrainedByClass,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unpaint.models.families import Family
    from unpaint.sources import Pins
    from unpaint.worlds import World as Shown


def load(path: Path) -> Params:
    """Read and check a params file, and all that it names.

    Raises:
        UserError: naming the file, the key and what to do.
    """
    params = read(path)
    for each in (tombstones.WORLD, *map(tombstones.of_concept, params.concepts)):
        tombstones.read(path.parent / each)
    try:
        need, why = _pictures_for_distances(params, path.parent)
        world = _check_world(params, path.parent)
        _check_models(params, path.parent, world)
        _check_proposals(params, path.parent)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    lists = _expanded(params, path)
    try:
        length.refuse_long(params, lists, world, _judge_reads(params, path.parent))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    for name, concept in params.concepts.items():
        try:
            if need:
                _check_reference(lists[name]["test"], world, need, why)
            _check_sets(params, concept, lists[name]["train"], world, path.parent)
        except UserError as error:
            raise UserError(f"{path}: concepts.{name}: {error}") from None
    return params


def parse(path: Path) -> tuple[Params, dict[str, dict[str, Lists]]]:
    """Read a params file, and expand the prompts of each concept; nothing else that it names is looked at.

    Raises:
        UserError: naming the file, the key and what to do.
    """
    params = read(path)
    return params, _expanded(params, path)


def _expanded(params: Params, path: Path) -> dict[str, dict[str, Lists]]:
    """The prompts of each concept as its job will expand them, so that whatever is wrong is found before any work."""
    lists = {}
    for name, concept in params.concepts.items():
        try:
            lists[name] = _expand(params, concept)
        except UserError as error:
            raise UserError(f"{path}: concepts.{name}: {error}") from None
    for name, contrast in params.contrasts.items():
        first, second = contrast.concept, contrast.against
        if first == second or lists[first]["test"] != lists[second]["test"]:
            raise UserError(
                f"{path}: contrasts.{name}: {first} and {second} must be two concepts with the same test prompts and "
                "seeds; give both the same forget and test, and the same test values in their grammars"
            )
    return lists


def _pictures_for_distances(params: Params, root: Path) -> tuple[int, str]:
    """How many pictures FD needs, or FID if it is asked for, and why; 0 where no real ones are given."""
    from unpaint.sources import JUDGES

    if isinstance(params.judge, JudgeTraining):
        width = params.judge.embedding
    else:
        width = _pin(JUDGES, root, "judge.source", params.judge.source)["embedding"]
    name, whose = "FD", "the judge's features (judge.embedding)"
    if params.evaluation.inception != "none":
        if isinstance(params.world, NoWorld):
            raise UserError(
                "evaluation.inception: FID is the distance to real pictures, and there are none (world.kind: none); "
                "write none, or give a world"
            )
        from unpaint.evaluate import inception

        try:
            inception.refuse_other(root / params.evaluation.inception)
        except UserError as error:
            raise UserError(f"evaluation.inception: {error}") from None
        if width < inception.WIDTH:
            name, whose, width = "FID", "Inception's features (evaluation.inception)", inception.WIDTH
    if isinstance(params.world, NoWorld):
        return 0, ""
    why = f"{name} needs {2 * width}, twice the width of {whose}"
    if params.world.images.reference < 2 * width:
        raise UserError(f"world.images.reference: {params.world.images.reference} pictures; {why}")
    return 2 * width, why


def _judge_reads(params: Params, root: Path) -> int:
    """How much of a text the judge reads, in tokens."""
    from unpaint.sources import JUDGES

    if isinstance(params.judge, JudgeTraining):
        return params.judge.tokens
    return int(_pin(JUDGES, root, "judge.source", params.judge.source).get("tokens", length.DEFAULT))


def _check_world(params: Params, root: Path) -> Shown:
    """What is trained here learns from the world alone: what that lacks, it can neither draw nor name."""
    from unpaint.worlds import find

    if params.brought:
        if isinstance(params.world, NoWorld):
            _refuse_unvaried(params)
        named = [name for name in params.questions if isinstance(params.questions[name], Question)]
        shown = find(params.world.model_dump(), named, params.seed, root)
        if shown.values and (odd := [name for name in named if name not in shown.values]):
            raise UserError(f"questions.{odd[0]}: the world has no {odd[0]}; it has {', '.join(shown.values)}")
        return shown
    asked = {name: question for name, question in params.questions.items() if isinstance(question, Question)}
    if odd := [dimension for dimension in params.questions if dimension not in asked]:
        raise UserError(
            f"questions.{odd[0]}: what shows is asked of a world's judge by `text` and `none`; `shown` and `detector` "
            "are for a base model and a judge that are both from elsewhere"
        )
    for name, grammar in params.grammars.items():
        if unasked := [dimension for dimension in grammar.values if dimension not in params.questions]:
            raise UserError(f"questions: none for {unasked[0]}, a dimension of grammars.{name}; add one")
    shown = find(params.world.model_dump(), list(params.questions), params.seed, root)
    known = ", ".join(shown.values)
    if missing := [dimension for dimension in shown.values if dimension not in params.questions]:
        raise UserError(f"questions: none for {', '.join(missing)}; the judge needs one for all that the world shows")
    for dimension, question in asked.items():
        if dimension not in shown.values:
            raise UserError(f"questions.{dimension}: the world has no {dimension}; it has {known}")
        said = question.none if isinstance(params.judge, JudgeTraining) else []
        if odd := [text for text in said if text not in shown.nothing]:
            called = ", ".join(shown.nothing)
            raise UserError(f"questions.{dimension}.none: no picture of nothing is called {odd[0]}; it is {called}")
    _refuse_unseen(params, shown)
    return shown


def _refuse_unvaried(params: Params) -> None:
    """Where no world says what there is, the grammars do."""
    known = {dimension: None for grammar in params.grammars.values() for dimension in grammar.values}
    if odd := [name for name in params.questions if name not in known]:
        raise UserError(f"questions.{odd[0]}: no grammar has the dimension {odd[0]}; they have {', '.join(known)}")


def _refuse_unseen(params: Params, shown: Shown) -> None:
    from unpaint.worlds import words_of

    for name, grammar in params.grammars.items():
        for dimension, values in grammar.values.items():
            where = f"grammars.{name}.values.{dimension}"
            if odd := [value for value in values.both if value not in shown.values[dimension]]:
                raise UserError(f"{where}: the world has no {odd[0]}; it has {', '.join(shown.values[dimension])}")
        said = re.sub(r"{[\w-]*}", " ", grammar.template)
        said = " ".join([said, *(value for values in grammar.values.values() for value in values.both)])
        if foreign := [word for word in words_of(said) if word not in shown.words]:
            raise UserError(
                f"grammars.{name}: no caption of the world has the word {foreign[0]}, so the base model never learns "
                "it; write the template, the values and the columns of own pictures in the words of the captions"
            )


def _check_models(params: Params, root: Path, world: Shown) -> None:
    """What a model cannot do is found before any work."""
    from unpaint.intact import timesteps_in
    from unpaint.models.families import BY_CLASS, named
    from unpaint.sources import CHECKPOINTS

    rows = tables(params, root)
    given = {"base": params.base} if isinstance(params.base, Pinned) else {}
    given |= {f"models.{name}": model for name, model in params.models.items()}
    if isinstance(params.base, Trained):
        _check_levels(params, "autoencoder", params.base.autoencoder.channels)
        _check_steps(params, TIMESTEPS, "base")
    if isinstance(params.base, TrainedByClass):
        if (dimension := params.base.classes) not in world.values:
            raise UserError(f"base.classes: the world has no {dimension}; it has {', '.join(world.values)}")
        said = {"classes": list(world.values[dimension]), "label_of_none": params.base.denoiser.unprompted > 0}
        _check_levels(params, "denoiser", params.base.denoiser.channels)
        _check_scope(params, named(BY_CLASS))
        _check_classes(params, said, named(BY_CLASS), "base")
    for where, model in given.items():
        fields = _pin(CHECKPOINTS, root, f"{where}.source", model.source)
        family = named(fields["family"])
        if (folder := _here(root, fields)) and (timesteps := timesteps_in(folder)):
            _check_steps(params, timesteps, f"{where}.source")
        if where == "base":
            _check_scope(params, family)
        if family.by_class:
            fields = _pin(CHECKPOINTS, root, f"{where}.source", model.source, "classes", "label_of_none")
            _check_classes(params, fields, family, where)
        else:
            _check_frames(params, rows, family, where)


def _check_levels(params: Params, network: str, channels: Sequence[int]) -> None:
    """A side can be halved from level to level."""
    from unpaint.worlds import digits

    side = params.world.side if isinstance(params.world, Folder | Dataset) else digits.SIDE
    if side % (halved := 2 ** (len(channels) - 1)):
        raise UserError(f"base.{network}.channels: {side} pixels cannot be parted by {halved}; take fewer levels")


def _here(root: Path, fields: Mapping[str, Any]) -> Path | None:
    """The folder of the checkpoint that a pin names, if it is on this machine."""
    from unpaint.models.checkpoint import cached

    try:
        folder = root / fields["folder"] if "folder" in fields else cached(fields["repository"], fields["revision"])
    except (UserError, ValueError):
        return None
    return folder if (folder / "scheduler").is_dir() else None


def _check_steps(params: Params, timesteps: int, where: str) -> None:
    if params.sampling.steps > timesteps:
        raise UserError(
            f"sampling.steps: {params.sampling.steps}, and the schedule of {where} has {timesteps} timesteps; take no "
            "more"
        )


def _check_scope(params: Params, family: Family) -> None:
    for name, method in params.methods.items():
        if method.scope == "cross-attention" and not family.crosses:
            raise UserError(
                f"methods.{name}.scope: no layer of {family.name} attends to the prompt alone; take full or lora"
            )


def _check_frames(params: Params, tables: Mapping[str, list[Row]], family: Family, where: str) -> None:
    """Pictures of a table have sides that a model can paint."""
    step = PIXELS * family.patch
    for name, concept in params.concepts.items():
        for number, row in enumerate(tables[name], 1):
            if any(side is not None and side % step for side in (row.width, row.height)):
                raise UserError(
                    f"concepts.{name}.table: {concept.table}: row {number}: {row.width} by {row.height} pixels, and "
                    f"{where}.source is of {family.name}, whose sides are multiples of {step}"
                )


def tables(params: Params, root: Path) -> dict[str, list[Row]]:
    """The rows of each concept's table of prompts, if it has one.

    Raises:
        UserError: a table is missing or wrong.
    """
    found: dict[str, list[Row]] = {}
    for name, concept in params.concepts.items():
        try:
            given = concept.table != "none"
            found[name] = read_table(root / concept.table, _grammar(params, concept), concept.targets) if given else []
        except UserError as error:
            raise UserError(f"concepts.{name}.table: {error}") from None
    return found


def _check_proposals(params: Params, root: Path) -> None:
    from unpaint.sources import LANGUAGE_MODELS

    for name, proposal in params.proposals.items():
        _pin(LANGUAGE_MODELS, root, f"proposals.{name}.model", proposal.model)


def _pin(pins: Pins, root: Path, key: str, path: str, *more: str) -> Mapping[str, Any]:
    """The pin that stands at a key of params.yaml."""
    try:
        return pins.read(root / path, *more)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def _check_classes(params: Params, fields: Mapping[str, Any], family: Family, where: str) -> None:
    """A prompt of a model by class is the name of one of its classes."""
    for name, concept in params.concepts.items():
        grammar = params.grammars[concept.grammar]
        if concept.table != "none":
            raise UserError(f"concepts.{name}.table: {family.name} reads names of classes alone; write none")
        if set(grammar.values) != set(concept.forget) or len(grammar.values) > 1:
            raise UserError(
                f"concepts.{name}: a prompt of {family.name} is the name of a class, so the grammar is the concept's "
                f"dimension alone: grammars.{concept.grammar} has {', '.join(grammar.values)}"
            )
        for dimension, values in grammar.values.items():
            prompts = [grammar.template.replace(f"{{{dimension}}}", value) for value in values.both]
            if odd := [prompt for prompt in prompts if prompt.strip() not in fields["classes"]]:
                known = some(fields["classes"], 8)
                raise UserError(
                    f"grammars.{concept.grammar}: {odd[0]!r} is not the name of one class of {where}; they are {known}"
                )
    if not fields["label_of_none"]:
        _refuse_without_label_of_none(params, where)


def _refuse_without_label_of_none(params: Params, where: str) -> None:
    given = {"sampling.guidance": params.sampling.guidance > 1}
    if where == "base":
        given |= {f"methods.{name}.unprompted": method.unprompted > 0 for name, method in params.methods.items()}
    if asked := [where for where, wanted in given.items() if wanted]:
        neutral = "1.0" if asked[0] == "sampling.guidance" else "0.0"
        raise UserError(f"{asked[0]}: {where} was trained without a label of no class; write {neutral}")


def _check_reference(test: Lists, world: Shown, need: int, why: str) -> None:
    """A concept's retain pictures are held against real ones of the same values; there must be enough of both."""
    if len(test.retain) < need:
        raise UserError(f"test: {len(test.retain)} retain pictures; {why}")
    wanted = {
        name: values
        for name in test.retain[0].attributes
        if (values := {row.attributes[name] for row in test.retain}) & set(world.values.get(name, ()))
    }
    if (found := world.held_out(wanted)) < need:
        raise UserError(
            f"test: about {found:.0f} held-out real pictures show what the retain prompts ask for; {why}: "
            "raise world.images.reference, or give the grammar more test values"
        )


def _expand(params: Params, concept: Concept) -> dict[str, Lists]:
    grammar = params.grammars[concept.grammar]
    for name, split in (("train", concept.train), ("test", concept.test)):
        for dimension in concept.forget if isinstance(split.replacement, list) else ():
            known = grammar.values[dimension].both
            if odd := [value for value in split.replacement if value not in known]:
                raise UserError(
                    f"{name}.replacement: {odd[0]} is not in the grammar's {dimension}; it has {', '.join(known)}"
                )
    splits = {"train": concept.train.model_dump(), "test": concept.test.model_dump()}
    return expand(_grammar(params, concept), concept.targets, splits, params.seed)


def _grammar(params: Params, concept: Concept) -> Grammar:
    """The grammar of a concept."""
    return Grammar(**params.grammars[concept.grammar].model_dump())


def _check_sets(params: Params, concept: Concept, train: Lists, world: Shown, root: Path) -> None:
    """Read the metadata of a concept's own pictures as its job will; of the world there must be enough of a kind."""
    from unpaint.folder import listing

    for name, source, wanted in (
        ("forget", concept.images.forget, train.forget),
        ("retain", concept.images.retain, train.retain),
    ):
        if source == "world":
            _check_drawn(params, f"images.{name}", wanted, world)
        elif source != "render":
            listing(root / source)


def _check_drawn(params: Params, where: str, wanted: list[Prompt], world: Shown) -> None:
    if isinstance(params.base, Pinned) or isinstance(params.world, NoWorld):
        raise UserError(f"{where}: the base model was not trained on the world; write render, or data/sets/NAME")
    pictures = params.world.images
    asked = Counter(tuple(sorted(row.attributes.items())) for row in wanted)
    for values, count in asked.items():
        shown = {name: {value} for name, value in values if name in world.values and value}
        found = world.held_out(shown) * pictures.base / pictures.reference
        if found < count:
            text = ", ".join(f"{name} {value}" for name, value in values if value)
            raise UserError(
                f"{where}: {count} pictures of {text} are asked for, and about {found:.0f} of world.images.base show "
                "it; ask for fewer, or write render"
            )
