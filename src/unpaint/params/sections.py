"""The sections of params.yaml, as types: every key is required, unknown keys and loose types are errors."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from unpaint.diversify.table import LARGEST

Count = Annotated[int, Field(ge=1, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What torch's generators take."""
Threads = Annotated[int, Field(ge=1, le=1024)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NAME, DEVICE = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$", r"^(auto|cpu|mps|cuda(:\d+)?)$"
WORLD, SOURCE = r"^data/worlds/[^/{}.][^/{}]*$", r"^(render|world|data/sets/[^/{}.][^/{}]*)$"
WORLD_FILE, PIN = "results/world.parquet", r"^data/checkpoints/[^/{}.][^/{}]*\.json$"
TABLE = r"^(none|data/tables/[^/{}.][^/{}]*\.csv)$"
DATASET_PIN = r"^data/worlds/[^/{}.][^/{}]*\.json$"
LANGUAGE_PIN = r"^data/language/[^/{}.][^/{}]*\.json$"
INCEPTION = r"^(none|data/inception/[^/{}.][^/{}]*\.pth)$"
JUDGE_PIN = r"^data/judges/[^/{}.][^/{}]*\.json$"
PATTERNS = {
    NAME: "a name is a letter, then at most 63 letters, digits, - and _ (what it stands for may be any text)",
    DEVICE: "give auto, cpu, mps, cuda, or cuda:1",
    WORLD: "give data/worlds/NAME without braces or a / at its end; move the pictures there",
    SOURCE: "give render, world, or data/sets/NAME without braces or a / at its end; move the pictures there",
    DATASET_PIN: "give the pin of a data set, data/worlds/NAME.json",
    LANGUAGE_PIN: "give the pin of a language model, data/language/NAME.json",
    TABLE: "give none, or data/tables/NAME.csv without braces; move the table there",
    INCEPTION: "give none, or data/inception/NAME.pth without braces; put the weights there",
    PIN: f"give {WORLD_FILE} (what it is trained on), or the pin of a checkpoint, data/checkpoints/NAME.json",
    JUDGE_PIN: f"give {WORLD_FILE} (what it is trained on), or the pin of a published one, data/judges/NAME.json",
}
"""What each pattern asks for, in words."""
Name = Annotated[str, StringConstraints(pattern=NAME)]
"""A name that becomes a folder and a wildcard."""
Channels = Annotated[list[Count], Field(min_length=1)]
TIMESTEPS = 1000
"""Of the noise schedule of a base model that is trained here, Stable Diffusion's; sampling cannot take more."""


class Section(BaseModel):
    """A mapping of params.yaml: unknown keys, missing keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Side = Annotated[
    int, Field(ge=16, le=LARGEST, multiple_of=8, description="pixels; a multiple of 8, as diffusers wants")
]


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
    side: Side
    images: Pictures


class Dataset(Section):
    """A labelled data set in Parquet, as the Hub has them."""

    kind: Literal["dataset"]
    source: Annotated[str, StringConstraints(pattern=DATASET_PIN)] = Field(
        description="its pin, which `unpaint pin --dataset` writes"
    )
    side: Side
    caption: str = Field(description="of each picture, columns in braces: `a photo of a {label}`; these are dimensions")
    images: Pictures


class NoWorld(Section):
    """No pictures of one's own: base model and judge come from elsewhere, and no score is taken to real pictures."""

    kind: Literal["none"]


World = Annotated[Digits | Folder | Dataset | NoWorld, Field(discriminator="kind")]
"""The data that trains base model and judge, and the real pictures that scores are held against."""


class Autoencoder(Section):
    """The base model's variational autoencoder and its training."""

    channels: Channels = Field(description="channels per resolution; each level but the last halves the side")
    latent_channels: Count
    steps: Count = Field(description="optimiser steps")
    batch: Count = Field(description="pictures per step")
    learning_rate: Positive = Field(description="peak of the one-cycle schedule")
    kl_weight: Annotated[float, Field(ge=0)] = Field(description="weight of the KL term against the reconstruction")


class Denoiser(Section):
    """The base model's U-Net and text encoder and their training."""

    channels: Channels = Field(description="channels per resolution")
    attention: list[bool] = Field(description="whether a resolution attends to the prompt")
    text_width: Annotated[int, Field(ge=16, lt=2**31, multiple_of=16)] = Field(
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
        _one_each(self.attention, self.channels)
        return self


def _one_each(attention: list[bool], channels: list[int]) -> None:
    if len(attention) != len(channels):
        raise ValueError(f"attention: {len(attention)} entries for {len(channels)} resolutions")


class Trained(Section):
    """A base model of one's own, trained on the world's own split."""

    source: Literal["results/world.parquet"]
    threads: Threads = Field(description="CPU threads of this stage alone: nothing else can run beside it")
    autoencoder: Autoencoder
    denoiser: Denoiser


class LabelledDenoiser(Section):
    """A U-Net on pixels that reads a label, and its training by EDM (arXiv 2206.00364)."""

    channels: Channels = Field(description="channels per resolution; each level but the last halves the side")
    attention: list[bool] = Field(description="whether a resolution attends to itself")
    layers: Count = Field(description="residual blocks per resolution")
    dropout: Fraction
    steps: Count = Field(description="optimiser steps")
    batch: Count = Field(description="pictures per step")
    learning_rate: Positive = Field(description="peak of the one-cycle schedule")
    average: Fraction = Field(description="memory of the moving average of the weights; 0 is none")
    unprompted: Fraction = Field(
        description="share of pictures trained as of no class, for classifier-free guidance; 0: without that label"
    )

    @model_validator(mode="after")
    def _levels(self) -> Self:
        _one_each(self.attention, self.channels)
        return self


class TrainedByClass(Section):
    """A base model of one's own that reads no prompt, but the name of a class: the paper's setting for CIFAR-10."""

    source: Literal["results/world.parquet"]
    threads: Threads = Field(description="CPU threads of this stage alone: nothing else can run beside it")
    classes: Name = Field(description="the dimension of the world whose values are the classes")
    denoiser: LabelledDenoiser


class Pinned(Section):
    """A base model that was trained elsewhere, of one of the families that `unpaint families` lists."""

    source: Annotated[str, StringConstraints(pattern=PIN)] = Field(description="its pin, which `unpaint pin` writes")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        description="what it computes in; weights that learn are held in float32 either way"
    )


def _origin(value: Any) -> str:
    get = value.get if isinstance(value, dict) else partial(getattr, value)
    if get("source", WORLD_FILE) != WORLD_FILE:
        return "pinned"
    return "trained" if get("classes", None) is None else "by class"


Base = Annotated[
    Annotated[Trained, Tag("trained")] | Annotated[TrainedByClass, Tag("by class")] | Annotated[Pinned, Tag("pinned")],
    Discriminator(_origin),
]
"""Where the base model comes from: its source says which; one that is trained by class names the classes."""


class JudgeTraining(Section):
    """The judge: an open_clip model trained on the world's own split."""

    source: Literal["results/world.parquet"]
    image_tower: str = Field(description="a timm model's name")
    text_width: Annotated[int, Field(ge=32, lt=2**31, multiple_of=32)] = Field(
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


class Published(Section):
    """A judge that was trained elsewhere: a published open_clip model."""

    source: Annotated[str, StringConstraints(pattern=JUDGE_PIN)] = Field(
        description="its pin, which `unpaint pin --judge` writes"
    )


Judge = Annotated[
    Annotated[JudgeTraining, Tag("trained")] | Annotated[Published, Tag("pinned")],
    Discriminator(_origin),
]
"""Where the judge comes from: its source says which."""


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
    """Where the training sets come from: `render` (the base model does, from the prompts), `world` (real pictures that
    it was trained on, of what the prompts ask for), or own captioned pictures."""

    forget: Source = Field(description="render, world, or a folder data/sets/NAME")
    retain: Source = Field(description="render, world, or a folder data/sets/NAME")


Table = Annotated[str, StringConstraints(pattern=TABLE)]


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
    table: Table = Field(
        description="none, or others' prompts that ask for it, data/tables/NAME.csv, to be painted with their own seeds"
    )

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
    optimizer: Literal["adam", "adam8bit", "sgd"] = Field(description="adam8bit keeps its moments in 8 bits")
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
    retain_weight: Annotated[float, Field(ge=1e-6, le=1e6)] = Field(
        description="weight of the retain gradient (the paper's lambda)"
    )
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
    retain_batches_per_step: Annotated[int, Field(ge=2, lt=2**31)]
    retain_batches_per_pass: Count = Field(
        description="how many of them go through the network at once: more take more memory and less time"
    )


Method = Annotated[GradDiff | RG | RGD, Field(discriminator="method")]


class Oracles(Section):
    """Base models retrained without a concept: the gold standard, which only a small world allows."""

    concepts: list[Name] = Field(description="which concepts get their oracles; none is []")
    seeds: list[Seed] = Field(description="of the retraining; two or more tell how far oracles are from each other")


class Proposal(Section):
    """Further values for a grammar's dimensions, asked of a local language model; a person takes over what is good."""

    model: Annotated[str, StringConstraints(pattern=LANGUAGE_PIN)] = Field(
        description="its pin, which `unpaint pin --language` writes"
    )
    values: Annotated[dict[Name, Count], Field(min_length=1)] = Field(description="dimension: how many to ask for")
    without: list[str] = Field(description="texts that name the concept; no value shares a word with them")
    apart: Annotated[float, Field(ge=0, le=2)] = Field(
        description="least distance (1 - cosine) between the model's embeddings of two values"
    )
    tokens: Count = Field(description="of an answer, at most")
    temperature: Positive = Field(description="of its sampling")


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
        _one_place("text", self.text)
        return self


def _one_place(key: str, text: str) -> None:
    if text.count("{}") != 1:
        raise ValueError(f"{key}: {text!r} needs {{}} once, where the value goes")
    if re.search(r"[{}]", text.replace("{}", "")):
        raise ValueError(f"{key}: {text!r} has braces beside {{}}; leave them out")


NudityLabel = Literal[
    "ANUS_COVERED",
    "ANUS_EXPOSED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "BELLY_COVERED",
    "BELLY_EXPOSED",
    "BUTTOCKS_COVERED",
    "BUTTOCKS_EXPOSED",
    "FACE_FEMALE",
    "FACE_MALE",
    "FEET_COVERED",
    "FEET_EXPOSED",
    "FEMALE_BREAST_COVERED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_COVERED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
]
"""What NudeNet 3.4 tells apart."""


class Presence(Section):
    """How the judge is asked whether a forgotten value shows, where it knows no name for the others."""

    shown: str = Field(description="the text into which each forgotten value is put for `{}`")
    otherwise: Annotated[list[str], Field(min_length=1)] = Field(
        description="texts of what may show in its place; the nearest text of all is the answer"
    )

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        _one_place("shown", self.shown)
        return self


class Detection(Section):
    """A detector in the judge's place: whether something shows, not which value of the dimension it is."""

    detector: Literal["nudenet"]
    threshold: Annotated[float, Field(ge=0.25, lt=1)] = Field(
        description="a finding of a higher score counts; NudeNet itself drops those up to 0.25"
    )
    labels: Annotated[list[NudityLabel], Field(min_length=1)] = Field(description="the findings that count")


def _way(value: Any) -> str:
    keys = set(value) if isinstance(value, dict) else set(getattr(type(value), "model_fields", ()))
    return "detection" if "detector" in keys else "presence" if "shown" in keys else "naming"


Asked = Annotated[
    Annotated[Question, Tag("naming")] | Annotated[Presence, Tag("presence")] | Annotated[Detection, Tag("detection")],
    Discriminator(_way),
]
"""How it is found out what a picture shows in a dimension: its keys say which."""


class Evaluation(Section):
    """How pools are scored."""

    batch: Count = Field(description="pictures per forward pass of the judge")
    minimum_accuracy: Annotated[float, Field(ge=0, le=1)] = Field(
        description="of the judge on held-out real pictures, or, where there are none, of what it says of the base "
        "model's; below it, evaluation refuses to score"
    )
    inception: Annotated[str, StringConstraints(pattern=INCEPTION)] = Field(
        description="none, or the weights that FID is defined on, data/inception/NAME.pth: then it is taken too"
    )


class Report(Section):
    """What the report shows."""

    blur: list[Name] = Field(description="concepts whose pictures are blurred until they are pointed at")


TAKEN = {"base", "prompts", "images", "encoded", "models", "retrain", "oracle"}
"""Names that no model can have."""


class Params(Section):
    """The whole of params.yaml."""

    seed: Seed
    threads: Threads = Field(description="CPU threads of a stage; they change the bits of trained weights")
    device: Annotated[str, StringConstraints(pattern=DEVICE)]
    world: World
    base: Base
    judge: Judge
    sampling: Sampling
    grammars: dict[Name, Grammar]
    concepts: Annotated[dict[Name, Concept], Field(min_length=1)]
    methods: Annotated[dict[Name, Method], Field(min_length=1)]
    models: dict[Name, Pinned] = Field(description="others' models, scored on the same prompts and seeds; none is {}")
    seeds: Annotated[list[Seed], Field(min_length=1)]
    oracles: Oracles
    contrasts: dict[Name, Contrast]
    proposals: dict[Name, Proposal] = Field(description="by grammar; none is {}")
    questions: dict[Name, Asked]
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
            if name in {"base", "judge", "judgements", "models", "summaries"}:
                raise ValueError(f"{where}: the name {name} is taken; choose another")
        for section, names in (("methods", list(self.methods)), ("models", list(self.models))):
            for name in names:
                if name in TAKEN or (section == "models" and name in self.methods):
                    raise ValueError(f"{section}.{name}: the name {name} is taken; choose another")
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
        for name, proposal in self.proposals.items():
            if name not in self.grammars:
                raise ValueError(f"proposals.{name}: no such grammar; they are {', '.join(self.grammars)}")
            if odd := [one for one in proposal.values if one not in self.grammars[name].values]:
                known = ", ".join(self.grammars[name].values)
                raise ValueError(f"proposals.{name}.values: {odd[0]} is no dimension of the grammar; it has {known}")
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
    def _asked(self) -> Self:
        for name, concept in self.concepts.items():
            for dimension in concept.forget:
                if (question := self.questions.get(dimension)) is None:
                    raise ValueError(f"questions: none for {dimension}, which concepts.{name} forgets; add one")
                values = set(self.grammars[concept.grammar].values[dimension].both)
                if isinstance(question, Detection) and (kept := values - {v for _, v in concept.targets}):
                    raise ValueError(
                        f"concepts.{name}.forget.{dimension}: {question.detector} cannot tell one {dimension} from "
                        f"another, so all must be forgotten; add {', '.join(sorted(kept))}, or take it out of the "
                        "grammar"
                    )
        return self

    @model_validator(mode="after")
    def _worldless(self) -> Self:
        if isinstance(self.world, NoWorld):
            for key, given in (("base", self.base), ("judge", self.judge)):
                if given.source == WORLD_FILE:
                    raise ValueError(f"{key}.source: there is no world to train it on; name a pin, or give a world")
        return self

    @property
    def brought(self) -> bool:
        """Whether neither base model nor judge learn from the world."""
        return isinstance(self.base, Pinned) and isinstance(self.judge, Published)


def schema() -> dict[str, Any]:
    """The JSON schema of params.yaml, for editors; `workflow/schemas/` holds it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema()}
