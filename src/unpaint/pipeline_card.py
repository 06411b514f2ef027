"""The model card of an exported pipeline: its base model, on which data it unlearned what, and how it scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unpaint.diversify.grammar import targets_of
from unpaint.receipt.page import score_texts
from unpaint.receipt.statement import subject_of


def pipeline_card(statement: Mapping[str, Any], receipt: str | None, how: str) -> str:
    """Markdown with the Hub's metadata in front.

    Args:
        statement: of the model, as a receipt has it.
        receipt: sha256 of the receipt.json that goes with it, if one does.
        how: the call that loads it.
    """
    told = statement["predicate"]
    asked, data, scores = told["asked"], told["data"], told["scores"]
    values = ", ".join(value for _, value in targets_of(asked["forget"]))
    _, digest = subject_of(statement)
    sets = "\n".join(
        f"| to {'forget' if one['set'] == 'forget' else 'keep'} | {one['pictures']} pictures, {one['origin']} | "
        f"`{one['sha256']}` |"
        for one in data["sets"]
    )
    lines = "\n".join(
        f"| {one['key']} | {one['value']} | {one['interval']} | {one['delta']} | {one['range']} | {one['n']} |"
        for one in score_texts(statement)
    )
    base = data["base"]
    place = f": `{base['repository']}` at `{base['revision']}`" if base["repository"] else ""
    return f"""---
{_metadata(told)}
---

# {asked["concept"]}, unlearned by {asked["method"]["name"]}

A model for diffusers that was to forget: {values}. Its weights are those of the model with the sha256 `{digest}`, in
its base model, {base["origin"]}{place}. `{how}` loads it.

## Data

| | | sha256 |
| --- | --- | --- |
{sets}
| base model | {base["files"]} files, {base["origin"]} | `{base["sha256"]}` |

The root of the hash tree over all {len(data["files"])} files that it was made from is `{data["root"]}`.

## Scores

On {scores["pictures"]} pictures of test prompts that training never saw, with {scores["confidence"]:.0%} intervals; and
the differences from the base model on the same prompts and seeds, with theirs. Differences of shares are in percentage
points.

| | score | interval | difference | interval | n |
| --- | --- | --- | --- | --- | --- |
{lines}

They hold for these prompts, seeds and this judge. Whether other prompts, or further training, bring the concept back
was not measured.

## Proof

{_proof(told, receipt)}
"""


def _metadata(told: Mapping[str, Any]) -> str:
    """The Hub's metadata; `base_model` names a repository, so one that was trained here has none."""
    from huggingface_hub import EvalResult, ModelCardData

    asked = told["asked"]
    test = next(one for one in told["data"]["prompts"] if one["split"] == "test")
    results = [
        EvalResult(
            task_type="text-to-image",
            dataset_type="prompts",
            dataset_name=f"test prompts of {asked['concept']}",
            dataset_revision=test["sha256"],
            metric_type=key,
            metric_name=key,
            metric_value=score["value"],
        )
        for key, score in told["scores"]["model"].items()
    ]
    data = ModelCardData(
        base_model=told["data"]["base"]["repository"],
        eval_results=results,
        library_name="diffusers",
        model_name=f"{asked['concept']}-{asked['method']['name']}-seed{asked['seed']}",
        pipeline_tag="text-to-image",
        tags=["unlearning", asked["method"]["settings"]["method"]],
    )
    return str(data.to_yaml())


def _proof(told: Mapping[str, Any], receipt: str | None) -> str:
    again = f"""In a clone of the project, this makes the model again:

```bash
git checkout {told["reproduce"]["commit"]}
{told["reproduce"]["command"]}
```"""
    if receipt is None:
        return again
    return f"""`receipt/` states all this, and what is unknown. The sha256 of its `receipt.json` is
`{receipt}`. If it is signed, `unpaint verify receipt --key PUBLIC.pem --model MODEL`
holds it against its owner's public key, and against the project's own model.safetensors, from which the weights here
were taken; the signature does not cover this folder. {again}"""
