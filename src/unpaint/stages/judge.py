"""judge: train it on the world's own split, or bring the published one; hold it against real pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from unpaint.corpus import Row, read, stack
from unpaint.evaluate import inception as inceptions
from unpaint.evaluate import reference as references
from unpaint.evaluate.judge import Judge, ask, refuse_long
from unpaint.lineage.manifest import KEY, Manifest, write_json, write_text
from unpaint.lineage.stage import In, Maybe, Out, Settings, find_device, progress
from unpaint.models.checkpoint import load
from unpaint.params import JudgeTraining, Question
from unpaint.resume import Resume
from unpaint.sources import JUDGES
from unpaint.train.judge import EASELS, build, configuration, fit_judge

BATCH = 32
"""Pictures per forward pass of a published judge."""


def judge(
    settings: Settings,
    manifest: Manifest,
    *,
    world: In,
    source: In,
    base: In,
    inception: Maybe = None,
    judge: Out,
    config: Out,
    weights: Out,
    reference: Out,
) -> None:
    """Write the model in open_clip's layout, its features of held-out real pictures, its accuracy, where it is from.

    `source` is the world again, on which it is trained, or the pin of a published one. `inception` are the weights that
    FID is taken with, if it is asked for: the reference then carries its features too.
    """
    rows = read(world)
    # presence and detectors are no questions with an answer for every real picture
    questions = {name: Question(**given) for name, given in settings["questions"].items() if "text" in given}
    if source.suffix == ".json":
        folder = JUDGES.verified(source)
        for name, copy in zip(JUDGES.wanted, (config, weights), strict=True):
            shutil.copyfile(folder / name, copy)
        repository = JUDGES.read(source).get("repository")
    else:
        repository = None
        _train(settings, manifest, rows, questions, base, config, weights)
    held_out = [row for row in rows if row.attributes["split"] == "reference"]
    device = find_device(settings["device"])
    clip = Judge.load(config, weights, device)
    features = clip.image_features([row.pixels for row in held_out], settings["judge"].get("batch", BATCH))
    known = {name: question for name, question in questions.items() if held_out and name in held_out[0].attributes}
    accuracy = measure(clip, held_out, features, known)
    # Parquet has no column without fields
    real = [{name: row.attributes[name] for name in ("split", *known)} for row in held_out]
    kept = inceptions.features(inceptions.load(inception, device), held_out, device) if inception else None
    references.write(reference, references.Reference(real, features.double().numpy()), manifest, kept)
    said = {"accuracy": accuracy, "n": len(held_out), "repository": repository}
    write_json(judge, {KEY: manifest.as_dict(), **said})


def _train(
    settings: Settings,
    manifest: Manifest,
    rows: list[Row],
    questions: dict[str, Question],
    base: Path,
    config: Path,
    weights: Path,
) -> None:
    from diffusers import AutoencoderKL

    own = [row for row in rows if row.attributes["split"] == "judge"]
    pixels = torch.from_numpy(stack(own)).permute(0, 3, 1, 2).contiguous()
    side = pixels.shape[-1]
    wanted = JudgeTraining(**settings["judge"])
    device = find_device(settings["device"])
    model = build(wanted, side, settings["seed"]).to(device)
    tokenizer = open_clip.SimpleTokenizer(context_length=wanted.tokens)
    autoencoder = None
    if (vae := load(base).verified("vae") / "vae").is_dir():  # a base model on pixels has none
        autoencoder = AutoencoderKL.from_pretrained(vae, use_safetensors=True).to(device)
    refuse_long(_texts(rows, questions), tokenizer)
    easel = EASELS[settings["world"]](
        pixels,
        [row.prompt for row in own],
        [row.attributes for row in own],
        list(questions),
        batch=wanted.batch,
        nothing=wanted.nothing,
        roundtrip=wanted.roundtrip,
        autoencoder=autoencoder,
    )
    resume = Resume.of(manifest, device)
    steps = fit_judge(model, tokenizer, easel, wanted, questions, seed=settings["seed"], resume=resume)
    for record in steps:
        progress(f"judge, loss {record.loss:.4f}", record.step, record.steps)
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, weights, metadata={KEY: manifest.dumps()})
    write_text(config, json.dumps(configuration(wanted, side), indent=2) + "\n")


def _texts(rows: list[Row], questions: dict[str, Question]) -> set[str]:
    """All that it will be trained on and asked."""
    texts = {row.prompt for row in rows if row.attributes["split"] == "judge"}
    for dimension, question in questions.items():
        texts |= {question.text.format(row.attributes[dimension]) for row in rows} | set(question.none)
    return texts


def measure(clip: Judge, rows: list[Row], features: Tensor, questions: dict[str, Question]) -> dict[str, float]:
    """The share of real pictures whose value the judge names rightly from their features (n, d), by dimension."""
    found = {}
    for dimension, question in questions.items():
        values = sorted({row.attributes[dimension] for row in rows})
        texts = clip.text_features([question.text.format(value) for value in values])
        none = clip.text_features(question.none)
        named = ask(features, dict(zip(values, texts, strict=True)), none)
        right = sum(answer == row.attributes[dimension] for answer, row in zip(named, rows, strict=True))
        found[dimension] = round(right / len(rows), 6)
    return found
