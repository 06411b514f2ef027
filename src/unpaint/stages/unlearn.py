"""unlearn: take the forget set out of the base model while keeping the retain set."""

from __future__ import annotations

from dataclasses import astuple, fields

from unpaint import card as cards
from unpaint import encoded, weights
from unpaint.lineage.manifest import Manifest, write_text
from unpaint.lineage.stage import In, Out, Settings, find_device, progress
from unpaint.models.base_model import load_denoiser
from unpaint.resume import Resume
from unpaint.unlearn import methods
from unpaint.unlearn.loop import Step
from unpaint.unlearn.loop import unlearn as loop
from unpaint.unlearn.monotone import monotone


def unlearn(
    settings: Settings,
    manifest: Manifest,
    *,
    base: In,
    forget: In,
    retain: In,
    model: Out,
    training: Out,
    card: Out,
) -> None:
    """Write the unlearned weights, `training.tsv` (a line of telemetry per step) and the model card."""
    chosen = settings["method"]
    device = find_device(settings["device"])
    denoiser = load_denoiser(base, device, chosen["scope"])
    telemetry: list[Step] = []
    steps = loop(
        denoiser,
        encoded.read(forget),
        encoded.read(retain),
        methods.find(chosen),
        chosen,
        settings["seed"],
        Resume.of(manifest, device),
    )
    for step in steps:
        telemetry.append(step)
        progress(f"unlearn ({chosen['method']})", step.step, chosen["steps"])
    trained = {name: value for name, value in denoiser.module.named_parameters() if value.requires_grad}
    weights.write(model, trained, manifest)
    lines = ["\t".join(field.name for field in fields(Step))]
    lines += ["\t".join(_cell(value) for value in astuple(step)) for step in telemetry]
    write_text(training, "\n".join([*lines, ""]))
    share = sum(monotone(step.forget_change, step.retain_change) for step in telemetry) / len(telemetry)
    write_text(card, cards.card(manifest, telemetry[-1], share))


def _cell(value: float) -> str:
    return str(int(value)) if isinstance(value, bool | int) else f"{value:.6g}"
