"""params.yaml: the one file a user edits. Read strictly, checked whole, before either engine runs.

Every key is required: a value that shapes a result stands in the file, where both engines can see it change. Snakemake
and DVC read YAML by different rules, so whatever the two would read differently is refused here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from unpaint.errors import UserError, some

if TYPE_CHECKING:
    from unpaint.diversify.grammar import Lists
    from unpaint.worlds import World as Shown

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NAME, DEVICE = r"^[A-Za-z][A-Za-z0-9_-]*$", r"^(auto|cpu|mps|cuda(:\d+)?)$"
WORLD, SOURCE = r"^data/worlds/[^/{}.][^/{}]*$", r"^(render|data/sets/[^/{}.][^/{}]*)$"
WORLD_FILE, PIN = "results/world.parquet", r"^data/checkpoints/[^/{}.][^/{}]*\.json$"
PATTERNS = {
    NAME: "a name is a letter, then letters, digits, - and _ (what it stands for may be any text)",
    DEVICE: "give auto, cpu, mps, cuda, or cuda:1",
    WORLD: "give data/worlds/NAME without braces or a / at its end; move the pictures there",
    SOURCE: "give render, or data/sets/NAME without braces or a / at its end; move the pictures there",
    PIN: f"give {WORLD_FILE} (what it is trained on), or the pin of a checkpoint, data/checkpoints/NAME.json",
}
"""What each pattern asks for, in words."""
Name = Annotated[str, StringConstraints(pattern=NAME)]
"""A name that becomes a folder and a wildcard."""


class Section(BaseModel):
    """A mapping of params.yaml: unknown keys, missing keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Pictures(Section):
    """Pictures of a world per split; no two splits share one."""

    base: Count = Field(description="train the base model")
    judge: Count = Field(description="train the judge")
    reference: Count = Field(description="held out, to measure the judge by, and for FD")


class Digits(Section):
    """The embedded world: handwriting in coloured ink on coloured grounds."""

    kind: Literal["digits"]
    images: Pictures


class Folder(Section):
    """A user's own captioned pictures, in the layout of Hugging Face's imagefolder."""

    kind: Literal["folder"]
    path: Annotated[str, StringConstraints(pattern=WORLD)]
    side: Annotated[int, Field(ge=16, multiple_of=8)] = Field(description="pixels; a multiple of 8, as diffusers wants")
    images: Pictures


World = Annotated[Digits | Folder, Field(discriminator="kind")]
"""The data that trains base model and judge."""


class Autoencoder(Section):
    """The base model's variational autoencoder and its training."""

    channels: list[Count] = Field(description="channels per resolution; each level but the last halves the side")
    latent_channels: Count
    steps: Count = Field(description="optimiser steps")
    batch: Count = Field(description="pictures per step")
    learning_rate: Positive = Field(description="peak of the one-cycle schedule")
    kl_weight: Annotated[float, Field(ge=0)] = Field(description="weight of the KL term against the reconstruction")


class Denoiser(Section):
    """The base model's U-Net and text encoder and their training."""

    channels: list[Count] = Field(description="channels per resolution")
    attention: list[bool] = Field(description="whether a resolution attends to the prompt")
    text_width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(
        description="of the text encoder; heads are 16 wide"
    )
    tokens: Annotated[int, Field(ge=8, le=77)] = Field(description="longest prompt in tokens")
    steps: Count = Field(description="optimiser steps")
    batch: Count = Field(description="pictures per step")
    learning_rate: Positive = Field(description="peak of the one-cycle schedule")
    average: Fraction = Field(description="memory of the moving average of the weights; 0 is none")
    unprompted: Fraction = Field(description="share of pictures trained without prompt, for classifier-free guidance")

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if len(self.attention) != len(self.channels):
            raise ValueError(f"attention: {len(self.attention)} entries for {len(self.channels)} resolutions")
        return self


class Trained(Section):
    """A base model of one's own, trained on the world's own split."""

    source: Literal["results/world.parquet"]
    threads: Count = Field(description="CPU threads of this stage alone: nothing else can run beside it")
    autoencoder: Autoencoder
    denoiser: Denoiser


class Pinned(Section):
    """A base model that was trained elsewhere, of one of the families that `unpaint families` lists."""

    source: Annotated[str, StringConstraints(pattern=PIN)] = Field(description="its pin, which `unpaint pin` writes")
    precision: Literal["float32", "bfloat16"] = Field(
        description="what it computes in; weights that learn are held in float32 either way"
    )


def _origin(value: Any) -> str:
    source = value.get("source", WORLD_FILE) if isinstance(value, dict) else getattr(value, "source", WORLD_FILE)
    return "trained" if source == WORLD_FILE else "pinned"


Base = Annotated[
    Annotated[Trained, Tag("trained")] | Annotated[Pinned, Tag("pinned")],
    Discriminator(_origin),
]
"""Where the base model comes from: its source says which."""


class JudgeTraining(Section):
    """The judge: an open_clip model trained on the world's own split."""

    image_tower: str = Field(description="a timm model's name")
    text_width: Annotated[int, Field(ge=32, multiple_of=32)] = Field(
        description="of the text transformer; heads are 32 wide"
    )
    text_layers: Count
    tokens: Annotated[int, Field(ge=8, le=77)] = Field(description="longest text in tokens")
    embedding: Count = Field(description="width of the common space, on which FD is taken")
    steps: Count
    batch: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    nothing: Fraction = Field(description="share of a batch that are pictures of nothing")
    roundtrip: Fraction = Field(description="share of a batch that goes through the base model's autoencoder")


class Sampling(Section):
    """How pictures are rendered: the same for training sets and for pools."""

    width: Count = Field(description="pictures per batch; fixed, so that picture i does not depend on its neighbours")
    steps: Count = Field(description="denoising steps")
    guidance: Annotated[float, Field(ge=1)] = Field(description="classifier-free guidance; 1 is none")


class Values(Section):
    """The values of a dimension, disjoint between the splits."""

    train: list[str]
    test: list[str]

    @property
    def both(self) -> list[str]:
        """The values of both splits."""
        return [*self.train, *self.test]


class Grammar(Section):
    """A template over dimensions of values: the diversification of the paper (section 3)."""

    template: str
    values: dict[Name, Values]
    distinct: list[list[Name]] = Field(description="dimensions whose values must differ within a prompt")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, values in self.values.items():
            for split in ("train", "test"):
                given: list[str] = getattr(values, split)
                if not given:
                    raise ValueError(f"values.{name}: no value is left for the {split} split; give at least 1")
                if twice := {value for value in given if given.count(value) > 1}:
                    raise ValueError(f"values.{name}.{split}: {', '.join(sorted(twice))} stands there twice")
            if leaked := set(values.train) & set(values.test):
                raise ValueError(
                    f"values.{name}: {', '.join(sorted(leaked))} leaks: it stands in train and in test; keep it in one"
                )
        asked = set(re.findall(r"{([\w-]*)}", self.template))
        if asked != set(self.values):
            odd = ", ".join(sorted(asked ^ set(self.values)))
            raise ValueError(f"template: {odd} stands in only one of template and values; every dimension needs both")
        for group in self.distinct:
            if unknown := set(group) - set(self.values):
                raise ValueError(f"distinct: {', '.join(sorted(unknown))} is no dimension of this grammar")
        return self


class PerPrompt(Section):
    """Pictures (seeds) of each prompt, by set."""

    forget: Count
    retain: Count


class Split(Section):
    """How many prompts a split draws, how many pictures (seeds) each gets, and what stands in the concept's place."""

    prompts: Count
    replacement: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="what stands in the concept's place in a retain prompt: `value` (another of its dimension, "
        "evenly), a list of values (evenly), or `drop` (nothing)"
    )
    images_per_prompt: PerPrompt

    @model_validator(mode="after")
    def _known(self) -> Self:
        if isinstance(self.replacement, str) and self.replacement not in ("value", "drop"):
            raise ValueError(f"replacement: {self.replacement} is none of value, drop, or a list such as [one, two]")
        return self


Source = Annotated[str, StringConstraints(pattern=SOURCE)]


class Sources(Section):
    """Where the training sets come from: `render` (the base model does, from the prompts) or own captioned pictures."""

    forget: Source = Field(description="render, or a folder data/sets/NAME")
    retain: Source = Field(description="render, or a folder data/sets/NAME")


class Concept(Section):
    """What is to be forgotten, and the prompts that stand for it."""

    grammar: Name
    forget: dict[Name, str | list[str]] = Field(description="dimension: value, or a list of values")
    anchor: str = Field(
        description="what forget prompts are led to (truncation mode `anchor`): `nearest` (the value that the base "
        "model paints most alike), a value of the dimension, `drop` (nothing), or `pair` (the pair's retain prompt)"
    )
    images: Sources
    train: Split
    test: Split

    @property
    def targets(self) -> list[tuple[str, str]]:
        """The forgotten (dimension, value) pairs, by dimension."""
        from unpaint.diversify.grammar import targets_of

        return targets_of(self.forget)


class Truncation(Section):
    """The bound on the forget loss (the paper's alpha), or where it leads."""

    mode: Literal["anchor", "clamp", "elementwise", "skip"]
    value: Positive = Field(description="in squared units of the prediction; for `anchor` a share of the way there")


class Unlearning(Section):
    """Settings that every method shares."""

    scope: Literal["full", "cross-attention", "lora"]
    steps: Count
    batch: Count = Field(description="pictures of the forget set per step, and of each retain batch")
    optimizer: Literal["adam", "sgd"]
    learning_rate: Positive = Field(description="at the start")
    hold: Annotated[float, Field(ge=0, le=1)] = Field(
        description="share of the steps at that rate; then it falls as a cosine towards 0; 1 is a constant rate"
    )
    settle: Fraction = Field(
        description="share of the steps, at the end, in which the forget gradient only constrains, where a surgery or "
        "the guard holds it: what was lost is mended, and what was forgotten stays so; 0 is the paper's"
    )
    gradient_checkpointing: bool = Field(
        description="compute activations anew for the gradient in place of keeping them: less memory, more time, the "
        "same result"
    )
    retain_weight: Positive = Field(description="weight of the retain gradient (the paper's lambda)")
    retain_target: Literal["pictures", "base"] = Field(
        description="what predictions for retain pictures are held to: the pictures (the paper), or the base model's"
    )
    unprompted: Fraction = Field(
        description="share of the retain pictures seen without their prompt; holds the branch that guidance subtracts"
    )
    truncation: Truncation
    guard: bool = Field(description="project the optimiser's step so that neither loss rises to first order")
    lora_rank: Count = Field(description="rank of the adapters; read by the scope `lora` alone")

    @model_validator(mode="after")
    def _settles_on_something(self) -> Self:
        holds = self.guard or getattr(self, "surgery", None) in ("pcgrad", "cone")
        if self.settle and not holds:
            raise ValueError(
                f"settle: {self.settle} of the steps would only retain, and nothing hold what was forgotten; "
                "set guard: true, or settle: 0.0"
            )
        return self


class GradDiff(Unlearning):
    """Difference of gradients, no surgery."""

    method: Literal["graddiff"]


class RG(Unlearning):
    """Restricted gradient, one retain batch a step."""

    method: Literal["rg"]
    surgery: Literal["pcgrad", "cone", "unilateral"]


class RGD(Unlearning):
    """Restricted gradient on diversified data, several retain batches a step."""

    method: Literal["rgd"]
    surgery: Literal["pcgrad", "cone", "unilateral"]
    retain_batches_per_step: Annotated[int, Field(ge=2)]
    retain_batches_per_pass: Count = Field(
        description="how many of them go through the network at once: more take more memory and less time"
    )


Method = Annotated[GradDiff | RG | RGD, Field(discriminator="method")]


class Oracles(Section):
    """Base models retrained without a concept: the gold standard, which only a small world allows."""

    concepts: list[Name] = Field(description="which concepts get their oracles; none is []")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        description="of the retraining; two or more tell how far oracles are from each other"
    )


class Contrast(Section):
    """Two concepts that forget the same and are tested alike, but trained on other data."""

    concept: Name
    against: Name


class Question(Section):
    """How the judge is asked for a dimension, zero-shot."""

    text: str = Field(description="the text into which each value is put for `{}`")
    none: list[str] = Field(description="the texts of `none of these`")

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if self.text.count("{}") != 1:
            raise ValueError(f"text: {self.text!r} needs {{}} once, where the value goes")
        if re.search(r"[{}]", self.text.replace("{}", "")):
            raise ValueError(f"text: {self.text!r} has braces beside {{}}; leave them out")
        return self


class Evaluation(Section):
    """How pools are scored."""

    batch: Count = Field(description="pictures per forward pass of the judge")
    minimum_accuracy: Annotated[float, Field(gt=0, le=1)] = Field(
        description="of the judge on held-out real pictures; below it, evaluation refuses to score"
    )


class Report(Section):
    """What the report shows."""

    blur: list[Name] = Field(description="concepts whose pictures are blurred until they are pointed at")


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    threads: Count = Field(description="CPU threads of a stage; they change the bits of trained weights")
    device: Annotated[str, StringConstraints(pattern=DEVICE)]
    world: World
    base: Base
    judge: JudgeTraining
    sampling: Sampling
    grammars: dict[Name, Grammar]
    concepts: Annotated[dict[Name, Concept], Field(min_length=1)]
    methods: Annotated[dict[Name, Method], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    oracles: Oracles
    contrasts: dict[Name, Contrast]
    questions: dict[Name, Question]
    evaluation: Evaluation
    report: Report

    @model_validator(mode="after")
    def _references(self) -> Self:
        for name, concept in self.concepts.items():
            where = f"concepts.{name}"
            if (grammar := self.grammars.get(concept.grammar)) is None:
                raise ValueError(f"{where}.grammar: {concept.grammar} is none of {', '.join(self.grammars)}")
            if not concept.targets:
                raise ValueError(f"{where}.forget: nothing to forget; give a dimension and a value")
            for dimension, value in concept.targets:
                if dimension not in grammar.values:
                    known = ", ".join(grammar.values)
                    raise ValueError(f"{where}.forget: {dimension} is no dimension of the grammar; it has {known}")
                if value not in (values := grammar.values[dimension].both):
                    known = ", ".join(values)
                    raise ValueError(f"{where}.forget.{dimension}: {value} is not in the grammar; it has {known}")
            if twice := {target for target in concept.targets if concept.targets.count(target) > 1}:
                raise ValueError(f"{where}.forget: {', '.join(value for _, value in sorted(twice))} stands there twice")
            if name in {"base", "judge", "judgements", "summaries"}:
                raise ValueError(f"{where}: the name {name} is taken; choose another")
        for name in self.methods:
            if name in {"base", "prompts", "images", "encoded", "retrain", "oracle"}:
                raise ValueError(f"methods.{name}: the name {name} is taken; choose another")
        return self

    @model_validator(mode="after")
    def _anchored(self) -> Self:
        from unpaint.diversify.anchor import KEYWORDS

        for name, concept in self.concepts.items():
            where, anchor = f"concepts.{name}.anchor: {concept.anchor}", concept.anchor
            forgotten = {value for _, value in concept.targets}
            for dimension in concept.forget:
                values = [v for v in self.grammars[concept.grammar].values[dimension].both if v not in forgotten]
                if anchor in values and anchor in KEYWORDS:
                    raise ValueError(f"{where} is a value of {dimension} too; call the value otherwise in the grammar")
                if anchor not in (*values, *KEYWORDS):
                    known = f"{', '.join(KEYWORDS)}, or of {dimension}'s {', '.join(values)}"
                    raise ValueError(f"{where} is none of {known}")
        return self

    @model_validator(mode="after")
    def _compared(self) -> Self:
        for where, given in (("seeds", self.seeds), ("oracles.seeds", self.oracles.seeds)):
            if len(set(given)) != len(given):
                raise ValueError(f"{where}: a seed stands there twice")
        named = [("oracles.concepts", asked) for asked in self.oracles.concepts]
        named += [("report.blur", asked) for asked in self.report.blur]
        for title, contrast in self.contrasts.items():
            named += [(f"contrasts.{title}", asked) for asked in (contrast.concept, contrast.against)]
        for where, asked in named:
            if asked not in self.concepts:
                raise ValueError(f"{where}: {asked} is none of the concepts; they are {', '.join(self.concepts)}")
        self._refuse_useless_oracles()
        return self

    def _refuse_useless_oracles(self) -> None:
        concepts, seeds = self.oracles.concepts, self.oracles.seeds
        if concepts and isinstance(self.base, Pinned):
            raise ValueError(
                "oracles: nobody can train this base model anew without the concept; write { concepts: [], seeds: [] }"
            )
        if bool(concepts) != bool(seeds):
            raise ValueError("oracles: give concepts and seeds, or neither ({ concepts: [], seeds: [] })")
        if concepts and self.seed in seeds:
            raise ValueError(
                f"oracles.seeds: {self.seed} is the base model's own (seed), of whose first weights and noise an "
                "oracle should be independent; take another"
            )
        shown: dict[frozenset[tuple[str, str]], str] = {}
        for name in concepts:
            targets = frozenset(self.concepts[name].targets)
            if targets in shown:
                other = "stands there twice" if shown[targets] == name else f"forgets the same as {shown[targets]}"
                raise ValueError(f"oracles.concepts: {name} {other}; one of them is enough")
            shown[targets] = name

    @model_validator(mode="after")
    def _enough_pictures(self) -> Self:
        need = 2 * self.judge.embedding
        if self.world.images.reference < need:
            raise ValueError(f"world.images.reference: FD needs {need} pictures, twice judge.embedding")
        for name, concept in self.concepts.items():
            pictures = concept.test.prompts * concept.test.images_per_prompt.retain
            if pictures < need:
                raise ValueError(
                    f"concepts.{name}.test: {pictures} retain pictures; FD needs {need}, twice judge.embedding"
                )
        return self


def load(path: Path) -> Params:
    """Read and check a params file.

    Raises:
        UserError: naming the file, the key and what to do.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; copy one of presets/ to it")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        raise UserError(f"{path}: not a text in UTF-8; save it as one") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise UserError(f"{path}:{line} {error.problem}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: not a mapping of keys; copy one of presets/ to it")
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        # a value that may be a text or a list has two issues, of which the first says it
        issues = [issue for issue in error.errors() if issue["loc"][-1:] != ("list[str]",)]
        raise UserError("\n".join(f"{path}: {_describe(issue)}" for issue in issues)) from None
    try:
        world = _check_world(params, path.parent)
        _check_pin(params, path.parent)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    tests = {}
    for name, concept in params.concepts.items():
        try:
            tests[name] = _expand(params, concept)["test"]
            _check_reference(params, tests[name], world)
            _list_own(concept, path.parent)
        except UserError as error:
            raise UserError(f"{path}: concepts.{name}: {error}") from None
    for name, contrast in params.contrasts.items():
        first, second = contrast.concept, contrast.against
        if first == second or tests[first] != tests[second]:
            raise UserError(
                f"{path}: contrasts.{name}: {first} and {second} must be two concepts with the same test prompts and "
                "seeds; give both the same forget and test, and the same test values in their grammars"
            )
    return params


def schema() -> dict[str, Any]:
    """The JSON schema of params.yaml, for editors; `workflow/schemas/` holds it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema()}


def _check_world(params: Params, root: Path) -> Shown:
    """Base model and judge are trained on the world alone: what it does not show, neither can draw or name."""
    from unpaint.worlds import find, words_of

    for name, grammar in params.grammars.items():
        if unasked := [dimension for dimension in grammar.values if dimension not in params.questions]:
            raise UserError(f"questions: none for {unasked[0]}, a dimension of grammars.{name}; add one")
    shown = find(params.world.model_dump(), list(params.questions), params.seed, root)
    known = ", ".join(shown.values)
    if missing := [dimension for dimension in shown.values if dimension not in params.questions]:
        raise UserError(f"questions: none for {', '.join(missing)}; the judge needs one for all that the world shows")
    for dimension, question in params.questions.items():
        if dimension not in shown.values:
            raise UserError(f"questions.{dimension}: the world has no {dimension}; it has {known}")
        if odd := [text for text in question.none if text not in shown.nothing]:
            called = ", ".join(shown.nothing)
            raise UserError(f"questions.{dimension}.none: no picture of nothing is called {odd[0]}; it is {called}")
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
    return shown


def _check_pin(params: Params, root: Path) -> None:
    """What a pinned base model cannot do is found before any work."""
    from unpaint.models.families import named
    from unpaint.pin import read

    if not isinstance(params.base, Pinned):
        return
    if not (root / params.base.source).is_file():
        raise UserError(f"base.source: {params.base.source} is missing; make it: unpaint pin SOURCE")
    fields = read(root / params.base.source)
    family = named(fields["family"])
    for name, method in params.methods.items():
        if method.scope == "cross-attention" and not family.crosses:
            raise UserError(
                f"methods.{name}.scope: no layer of {family.name} attends to the prompt alone; take full or lora"
            )
    if not family.by_class:
        return
    for name, concept in params.concepts.items():
        grammar = params.grammars[concept.grammar]
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
                    f"grammars.{concept.grammar}: {odd[0]!r} is not the name of one class of the base model; they are "
                    f"{known}"
                )
    _refuse_without_label_of_none(params, fields["label_of_none"])


def _refuse_without_label_of_none(params: Params, known: bool) -> None:
    given = {"sampling.guidance": params.sampling.guidance > 1}
    given |= {f"methods.{name}.unprompted": method.unprompted > 0 for name, method in params.methods.items()}
    if not known and (asked := [where for where, wanted in given.items() if wanted]):
        neutral = "1.0" if asked[0] == "sampling.guidance" else "0.0"
        raise UserError(f"{asked[0]}: the base model was trained without a label of no class; write {neutral}")


def _check_reference(params: Params, test: Lists, world: Shown) -> None:
    """FD compares a concept's retain pictures with held-out real ones of the same values; there must be enough."""
    need = 2 * params.judge.embedding
    wanted = {
        name: values
        for name in test.retain[0].attributes
        if (values := {row.attributes[name] for row in test.retain}) & set(world.values[name])
    }
    if (found := world.held_out(wanted)) < need:
        raise UserError(
            f"test: about {found:.0f} held-out real pictures show what the retain prompts ask for; FD needs {need}, "
            "twice judge.embedding: raise world.images.reference, or give the grammar more test values"
        )


def _expand(params: Params, concept: Concept) -> dict[str, Lists]:
    """Expand a concept's prompts as its job will, so that whatever is wrong with them is found before any work."""
    from unpaint.diversify.grammar import Grammar, expand

    grammar = params.grammars[concept.grammar]
    for name, split in (("train", concept.train), ("test", concept.test)):
        for dimension in concept.forget if isinstance(split.replacement, list) else ():
            known = grammar.values[dimension].both
            if odd := [value for value in split.replacement if value not in known]:
                raise UserError(
                    f"{name}.replacement: {odd[0]} is not in the grammar's {dimension}; it has {', '.join(known)}"
                )
    splits = {"train": concept.train.model_dump(), "test": concept.test.model_dump()}
    return expand(Grammar(**grammar.model_dump()), concept.targets, splits, params.seed)


def _list_own(concept: Concept, root: Path) -> None:
    """Read the metadata of a concept's own pictures as its job will."""
    from unpaint.folder import listing

    for source in (concept.images.forget, concept.images.retain):
        if source != "render":
            listing(root / source)


def _describe(issue: Any) -> str:
    tags = {"graddiff", "rg", "rgd"}
    where = [str(part) for part in issue["loc"]]
    # pydantic names the union's member, which is no key of the file
    if len(where) > 2 and where[0] == "methods" and where[2] in tags:
        del where[2]
    if len(where) > 1 and where[0] in ("world", "base") and where[1] in ("digits", "folder", "trained", "pinned"):
        del where[1]
    key, given = ".".join(where), repr(issue["input"])
    match issue["type"]:
        case "extra_forbidden":
            text = "unknown key; delete it or correct its spelling"
        case "missing" | "union_tag_not_found":
            text = "missing; every key is required, presets/ show each"
        case "value_error":
            # it names the rest of the key itself
            text = str(issue["ctx"]["error"])
            return f"{key}.{text}" if key else text
        case "union_tag_invalid":
            text = f"{issue['ctx']['tag']} is none of {issue['ctx']['expected_tags']}"
        case "string_type":
            key, text = key.removesuffix(".str"), f"a text is wanted, got {given}; put it in quotes"
        case "string_pattern_mismatch":
            key, text = key.removesuffix(".[key]"), f"{PATTERNS[issue['ctx']['pattern']]}, got {given}"
        case _:
            text = issue["msg"]
            text = f"{text[:1].lower()}{text[1:]}, got {given}"
    if issue["type"].startswith("union_tag"):
        key = f"{key}.{issue['ctx']['discriminator'].strip(chr(39))}"
    return f"{key}: {text}"


class _StrictLoader(yaml.SafeLoader):
    """YAML without what Snakemake's and DVC's parsers read differently."""

    _EXPONENT = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$")
    _NUMBER = re.compile(r"^[-+]?(0[0-9_]+|0o[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$")
    _WORD = re.compile(r"^(y|n|yes|no|on|off)$", re.IGNORECASE)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key} stands twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            text = node.value
            if self._WORD.match(text):
                advice = f"{text} is a word to one engine and a truth value to the other; write true, false or quotes"
                raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
            if self._NUMBER.match(text):
                advice = f"{text} is not the same number to both engines; write it plainly or in quotes"
                raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
            if self._EXPONENT.match(text) and not re.fullmatch(r"[-+]?[0-9]+\.[0-9]*[eE][-+][0-9]+", text):
                mantissa, exponent = re.split("[eE]", text)
                mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
                exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
                advice = f"{text} is a text to one engine and a number to the other; write {mantissa}e{exponent}"
                raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
        return super().construct_scalar(node)
