# Shared by all rules. Here params.yaml is checked; a rule finds its one parameter and its source files here.
import json
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from unpaint.errors import UserError
from unpaint.params import load

PARAMS = Path(workflow.basedir) / "params.yaml"

# a job reads this file again in a process of its own: what the main process has checked is not checked again
if workflow.is_main_process:
    try:
        load(PARAMS)
    except UserError as error:
        raise WorkflowError(str(error).replace(f"{workflow.basedir}/", "")) from None
# what comes before `configfile:` was given on the command line, where DVC would never see it
if config and config != yaml.safe_load(PARAMS.read_text(encoding="utf-8")):
    raise WorkflowError("settings on the command line are unseen by DVC; change params.yaml instead")


def settings(*keys, **values):
    """A rule's only parameter, as JSON, from sections of params.yaml by name, and further values.

    Snakemake compares parameters as a set of values, so several could swap theirs unnoticed.
    """
    return json.dumps({**{key: config[key] for key in keys}, **values}, sort_keys=True)


def code(*paths):
    """The source files of a stage, every file under the given paths of the package, what runs it, and its rule.

    Snakemake compares inputs as a sorted list, so a rule that swaps two of its own would go unseen otherwise.
    """
    package = Path(workflow.basedir) / "src" / "unpaint"
    rules = Path(workflow.basedir) / "workflow" / "rules"
    found = {rules / "common.smk", rules / f"{Path(paths[0]).stem}.smk"}
    for path in (*paths, "lineage/stage.py", "lineage/manifest.py", "errors.py"):
        whole = package / path
        found |= set(whole.rglob("*.py")) if whole.is_dir() else {whole}
    return sorted(str(file.relative_to(workflow.basedir)) for file in found)


def source_of(wildcards):
    """Where a set of a concept comes from: `render`, `world`, or a folder of own pictures."""
    return config["concepts"][wildcards.concept]["images"][wildcards.set]


def own_set(wildcards):
    """The folder of a set that the user brings."""
    source = source_of(wildcards)
    return None if source in ("render", "world") else source


def table_of(wildcards):
    """The user's own table of prompts for a concept, if it has one."""
    table = config["concepts"][wildcards.concept]["table"]
    return [] if table == "none" else table


def inception():
    """The weights that FID is taken with, if it is asked for."""
    path = config["evaluation"]["inception"]
    return [] if path == "none" else path


def listing(folder):
    """The metadata file of a folder of own pictures; none for what the base model renders or the world draws."""
    names = ("metadata.jsonl", "metadata.csv")
    return [f"{folder}/{name}" for name in names if Path(folder, name).is_file()] if folder else []


def pictures(folder):
    """Every file of a folder of own pictures. Too many for a command line: a stage gets the listing."""
    return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file()) if folder else []


def tombstones(concept):
    """What was withdrawn of a concept's pictures, if anything was."""
    path = Path("data/withdrawn/concepts") / f"{concept}.jsonl"
    return str(path) if path.is_file() else []


def campaign():
    """What every job behind the summaries is known by."""
    concepts, oracles = config["concepts"], config["oracles"]
    data = ["prompts/train.json", "prompts/anchors.json", "images/forget.parquet", "images/retain.parquet"]
    data += ["encoded/forget.safetensors", "encoded/retain.safetensors"]
    scored = ["samples.parquet", "metrics.json"]
    return [
        *collect("results/{file}", file=["world.parquet", "base/base.json", "judge/judge.json"]),
        *collect("results/models/{model}.json", model=config["models"]),
        *collect("results/{concept}/{file}", concept=concepts, file=data),
        *collect("results/{concept}/base/{file}", concept=concepts, file=scored),
        *collect("results/{concept}/models/{model}/{file}", concept=concepts, model=config["models"], file=scored),
        *collect(
            "results/{concept}/{method}/seed{seed}/{file}",
            concept=concepts,
            method=config["methods"],
            seed=config["seeds"],
            file=["model.safetensors", *scored],
        ),
        *collect(
            "results/{concept}/retrain/seed{seed}/{file}",
            concept=oracles["concepts"],
            seed=oracles["seeds"],
            file=["base.json", *scored],
        ),
    ]


def trained():
    """Whether the base model is trained here; else it is a checkpoint from elsewhere."""
    return config["base"]["source"] == "results/world.parquet"


def memory(source=None):
    """Of a job that holds a model, in MB: a checkpoint's files, twice where they are in half precision."""
    if source is None and trained():
        return 4000
    pin = PARAMS.parent / (source or config["base"]["source"])
    return 4000 + 2 * json.loads(pin.read_text(encoding="utf-8"))["bytes"] // 10**6


def minutes(few):
    """Of a job that paints, encodes or unlearns: a day for a model from elsewhere, whose pictures take seconds each."""
    return few if trained() else 24 * 60


def training_minutes():
    """Of a job that trains a base model: a week for one by class, which may be of true size."""
    return 7 * 24 * 60 if "classes" in config["base"] else 120


def judge_memory():
    """Of a job that holds the judge, in MB; and Inception with its features, if FID is asked for."""
    source = config["judge"]["source"]
    return (memory(source) if source.endswith(".json") else 4000) + (4000 if inception() else 0)


def base_threads():
    """The threads of the base model's job: nothing else can run beside its training."""
    return config["base"]["threads"] if trained() else 1


def pipeline_files():
    """The files of the base model's pipeline that its job writes: of a checkpoint only what it says of itself."""
    said = ["model_index.json", "scheduler/scheduler_config.json"]
    unet = ["unet/config.json", "unet/diffusion_pytorch_model.safetensors"]
    text_to_image = [
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    if not trained():
        return said
    return said + unet if "classes" in config["base"] else said + unet + text_to_image
