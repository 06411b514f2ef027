"""The model card that stands beside unlearned weights: how they were made, on which data, and how to use them."""

from __future__ import annotations

import json

from unpaint.lineage.manifest import Manifest
from unpaint.unlearn.loop import Step


def card(manifest: Manifest, last: Step, monotone: float) -> str:
    """Markdown with the Hub's metadata in front.

    Args:
        last: telemetry of the last step.
        monotone: share of the steps in which neither loss rose to first order.
    """
    from huggingface_hub import ModelCardData

    settings = manifest.settings["method"]
    data = ModelCardData(
        library_name="diffusers", pipeline_tag="text-to-image", tags=["unlearning", settings["method"]]
    )
    inputs = "\n".join(f"| {role} | `{digest}` |" for role, digest in manifest.inputs.items())
    return f"""---
{data.to_yaml()}
---

# Unlearned by {settings["method"]}

Weights of the denoiser (scope `{settings["scope"]}`) after {settings["steps"]} steps, seed {manifest.settings["seed"]}.
They belong to one base model, the one whose hash stands below; `unpaint export` makes a full pipeline folder of both.

## Which data made it

| role | sha256 |
| --- | --- |
{inputs}

The same stands in the header of `model.safetensors` under the key `unpaint`; following the hashes leads to the prompts,
the pictures and the base model. `training.tsv` has the losses and the first-order changes of every step.

| last step | |
| --- | --- |
| forget loss (bounded) | {last.forget_loss:.4g} |
| retain loss | {last.retain_loss:.4g} |
| cosine of the two gradients | {last.cosine:.3f} |
| steps in which neither loss rose to first order | {monotone:.1%} |

## Settings

```json
{json.dumps(settings, indent=2, sort_keys=True)}
```

Scores are in `metrics.json` beside this file: unlearning is measured, never assumed. What an audit cannot see in these
hashes (the raw data of a base model that was trained elsewhere) is unknown.
"""
