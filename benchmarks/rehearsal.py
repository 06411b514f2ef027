"""What a step of unlearning costs at true size: networks of their published configs with random weights.

`python benchmarks/rehearsal.py sd14` prints a line per setting: seconds a step, peak memory, and how many copies of the
gradients the restricted gradient holds beyond what any training needs. No network, no data. On CUDA the memory is that
of PyTorch's allocator, on a CPU that of the process, less what it holds before the network is made. Each setting runs
in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from unpaint.encoded import Encoded
from unpaint.known import NETWORKS
from unpaint.lineage.stage import prepare_torch
from unpaint.models.denoiser import Denoiser
from unpaint.models.flow_transformer import FluxFlow, SD3Flow
from unpaint.models.half_precision import HalfPrecision
from unpaint.models.latent_unet import LatentUNet
from unpaint.unlearn import loop, methods, optimizers

GIB = 2**30
CARDS = (24, 40, 80)
"""Memory of common GPUs, in GB as they are sold (GiB, in fact); 1 is left to the driver's context."""
ROWS = 16
"""Rows of the forget and of the retain set."""

SETTINGS = {
    "learning_rate": 1e-5,
    "hold": 1.0,
    "settle": 0.0,
    "retain_weight": 1.6,
    "unprompted": 0.0,
    "guard": True,
    "lora_rank": 16,
    "method": "rgd",
    "surgery": "pcgrad",
    "retain_batches_per_step": 2,
    "retain_batches_per_pass": 1,
}
LOSSES = {
    "paper": {"retain_target": "pictures", "truncation": {"mode": "elementwise", "value": 1.5}},
    "base": {"retain_target": "base", "truncation": {"mode": "anchor", "value": 1.5}},
}
"""The paper's, and those that look at the base model as it was."""


Shapes = dict[str, tuple[int, ...]]
"""Of conditions, by name, without their rows."""


def _network(name: str) -> Any:
    kind, config = NETWORKS[name]
    return getattr(diffusers, kind)(**config)


def sd14() -> tuple[Denoiser, Shapes, tuple[int, ...]]:
    """Stable Diffusion 1.4 at 512 pixels: the denoiser, the shapes of its conditions and of its latents."""
    unet = _network("sd14")
    schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    return LatentUNet(unet, schedule), {"text": (77, 768)}, (4, 64, 64)


def sdxl() -> tuple[Denoiser, Shapes, tuple[int, ...]]:
    """Stable Diffusion XL 1.0 at 1024 pixels."""
    unet = _network("sdxl")
    schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    shapes: Shapes = {"text": (77, 2048), "pooled": (1280,), "time_ids": (6,)}
    return LatentUNet(unet, schedule), shapes, (4, 128, 128)


def sd3() -> tuple[Denoiser, Shapes, tuple[int, ...]]:
    """Stable Diffusion 3 medium at 1024 pixels."""
    transformer = _network("sd3")
    shapes: Shapes = {"text": (333, 4096), "pooled": (2048,)}
    return SD3Flow(transformer, FlowMatchEulerDiscreteScheduler(shift=3.0)), shapes, (16, 128, 128)


def flux() -> tuple[Denoiser, Shapes, tuple[int, ...]]:
    """FLUX.1-dev at 1024 pixels."""
    transformer = _network("flux")
    shapes: Shapes = {"text": (512, 4096), "pooled": (768,), "guidance": ()}
    schedule = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    return FluxFlow(transformer, schedule), shapes, (16, 128, 128)


FAMILIES = {"sd14": sd14, "sdxl": sdxl, "sd3": sd3, "flux": flux}
# scope, optimizer, precision, gradient checkpointing, losses
FULL = [
    ("full", "adam", "float32", False, "paper"),
    ("full", "adam", "float32", True, "paper"),
    ("full", "adam", "bfloat16", False, "paper"),
    ("full", "adam", "bfloat16", True, "paper"),
]
LEAST = [("full", "adam8bit", "bfloat16", True, "paper"), ("full", "adam", "bfloat16", True, "base")]
SCOPED = [("cross-attention", "adam", "bfloat16", True, "paper")]
LORA = [("lora", "adam", "bfloat16", True, "paper"), ("lora", "adam", "bfloat16", True, "base")]
WANTED = {"sd14": FULL + LEAST + SCOPED + LORA, "sdxl": LEAST + LORA, "sd3": LEAST + LORA, "flux": LORA}


def measure(wanted: argparse.Namespace) -> dict[str, float]:
    """Seconds a step and peak bytes of `steps` steps, the first of which is not timed; of plain training, if asked."""
    torch.manual_seed(0)
    prepare_torch({"threads": wanted.threads, "device": wanted.device})
    device = torch.device(wanted.device)
    held = _peak(device)
    half = wanted.precision == "bfloat16"
    torch.set_default_dtype(torch.bfloat16 if half and wanted.scope == "lora" else torch.float32)
    with device:
        denoiser, shapes, latent = FAMILIES[wanted.family]()
    torch.set_default_dtype(torch.float32)
    if half:
        denoiser = HalfPrecision(denoiser, torch.bfloat16)
    forget, retain = _encoded(shapes, latent, half, 0), _encoded(shapes, latent, half, 1)
    settings = SETTINGS | LOSSES[wanted.losses]
    settings |= {"scope": wanted.scope, "steps": wanted.steps, "batch": wanted.batch, "optimizer": wanted.optimizer}
    settings["gradient_checkpointing"] = wanted.checkpointing
    if wanted.plain:
        steps: Iterator[object] = _train(denoiser, retain, settings)
    else:
        steps = loop.unlearn(denoiser, forget, retain, methods.find(settings), settings, seed=0)
    taken = []
    started = time.perf_counter()
    for _ in steps:
        taken.append(time.perf_counter() - started)
        started = time.perf_counter()
    learns = sum(parameter.numel() for parameter in denoiser.module.parameters() if parameter.requires_grad)
    seconds = statistics.median(taken[1:])
    return {"seconds": seconds, "peak": _peak(device) - held, "gradient": 4 * learns}


def _train(denoiser: Denoiser, encoded: Encoded, settings: dict[str, Any]) -> Iterator[Tensor]:
    """Plain training on the same batches: what there is without a second gradient and a guard."""
    parameters = list(loop._trained(denoiser.module, settings).values())
    optimizer = optimizers.build(settings["optimizer"], parameters, settings["learning_rate"])
    for step in range(settings["steps"]):
        rows = list(range(settings["batch"]))
        given = loop._inputs(denoiser, encoded, rows, 0, step, "retain")
        loss = denoiser.residuals(*given).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield loss.detach().cpu()


def _encoded(shapes: Shapes, latent: tuple[int, ...], half: bool, seed: int) -> Encoded:
    """A corpus of noise; a row's anchor is the next one."""
    random = torch.Generator().manual_seed(seed)
    dtype = torch.bfloat16 if half else torch.float32
    conditions = {name: torch.randn(ROWS, *shape, generator=random).to(dtype) for name, shape in shapes.items()}
    rows = torch.arange(ROWS)
    mean = torch.randn(ROWS, *latent, generator=random)
    unprompted = {name: tensor[0] for name, tensor in conditions.items()}
    return Encoded(mean, torch.full_like(mean, 0.01), conditions, rows, rows.roll(1), unprompted)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _run(arguments: Sequence[str], plain: bool) -> dict[str, float] | str:
    """Measure in a process of its own; or the error, where it failed."""
    command = [sys.executable, __file__, *arguments, *(["--plain"] if plain else [])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if re.match(r"[\w.]+(Error|Exception)\b", line)]
        return (lines or [f"ended with {done.returncode}"])[-1]
    found: dict[str, float] = json.loads(done.stdout)
    return found


def report(family: str, device: str, batch: int, steps: int, threads: int) -> None:
    """Print a line per setting of a family."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else f"CPU, {threads} threads"
    print(f"{family} on {name}, batch {batch}, {SETTINGS['retain_batches_per_step']} retain batches a step")
    print("| scope | optimizer | precision | checkpointing | losses | s/step | peak GiB | fits | gradient copies |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for scope, optimizer, precision, checkpointing, losses in WANTED[family]:
        arguments = [family, "--device", device, "--batch", str(batch), "--steps", str(steps)]
        arguments += ["--threads", str(threads), "--scope", scope, "--optimizer", optimizer]
        arguments += ["--precision", precision, "--losses", losses]
        arguments += ["--checkpointing"] if checkpointing else []
        setting = f"| {scope} | {optimizer} | {precision} | {'yes' if checkpointing else 'no'} | {losses} |"
        found = _run(arguments, plain=False)
        if isinstance(found, str):
            print(setting, f"{found} | | | |", flush=True)
            continue
        card = next((f"{size} GB" for size in CARDS if found["peak"] < (size - 1) * GIB), "none")
        copies = "-"
        if (scope, losses) == ("full", "paper") and not isinstance(plain := _run(arguments, plain=True), str):
            # where its memory peaks, at the end of the forward pass, plain training holds none
            copies = f"{(found['peak'] - plain['peak']) / found['gradient']:.2f}"
        print(setting, f"{found['seconds']:.2f} | {found['peak'] / GIB:.1f} | {card} | {copies} |", flush=True)


def main() -> None:
    """Measure all settings of a family; or, with --scope, one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--scope", choices=["full", "cross-attention", "lora"])
    parser.add_argument("--optimizer", choices=["adam", "adam8bit"], default="adam")
    parser.add_argument("--precision", choices=["float32", "bfloat16"])
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--losses", choices=LOSSES)
    parser.add_argument("--plain", action="store_true")
    wanted = parser.parse_args()
    if wanted.scope and not (wanted.precision and wanted.losses):
        parser.error("--scope measures one setting: give --precision and --losses as well")
    if wanted.scope:
        print(json.dumps(measure(wanted)))
    else:
        report(wanted.family, wanted.device, wanted.batch, wanted.steps, wanted.threads)


if __name__ == "__main__":
    main()
