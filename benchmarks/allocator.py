"""How much time a stage saves by keeping freed memory: a small model with the allocator as ever and tuned.

`python benchmarks/allocator.py` prints the median milliseconds of each and their ratio; no network, no data, a minute.
Turns alternate, so that a machine that grows slower slows both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unpaint.lineage.stage import keep_freed_memory
from unpaint.params import Trained, load
from unpaint.train.base import build

TURNS, CALLS, ROWS = 3, 10, 60


def measure() -> dict[str, float]:
    """Milliseconds of a denoiser's pass, of a decoder's, and of a pass with gradients; of the default world's size."""
    torch.set_num_threads(1)
    base = load(Path("params.yaml")).base
    assert isinstance(base, Trained), "params.yaml names a checkpoint from elsewhere"
    pipeline = build(base.autoencoder, base.denoiser, 32, 0)
    text = torch.randn(ROWS, base.denoiser.tokens, base.denoiser.text_width)
    latents = torch.randn(ROWS, base.autoencoder.latent_channels, 16, 16)

    def denoise(rows: int = ROWS) -> torch.Tensor:
        noise: torch.Tensor = pipeline.unet(latents[:rows], torch.tensor(500), text[:rows]).sample
        return noise

    found = {}
    with torch.inference_mode():
        found["denoise"] = _median(denoise)
        found["decode"] = _median(lambda: pipeline.vae.decode(latents))
    found["train"] = _median(lambda: denoise(32).square().mean().backward())  # type: ignore[no-untyped-call]
    return found


def _median(call: Callable[[], object]) -> float:
    call()
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return 1e3 * statistics.median(taken)


def main() -> None:
    """Measure in processes of their own, in turn."""
    runs: dict[str, list[dict[str, float]]] = {"as ever": [], "tuned": []}
    for _ in range(TURNS):
        for name, done in runs.items():
            command = [sys.executable, __file__, name]
            done.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))  # noqa: S603
    for work in runs["tuned"][0]:
        plain, tuned = (statistics.median(run[work] for run in done) for done in runs.values())
        print(f"{work}: {plain:.0f} ms as ever, {tuned:.0f} ms with freed memory kept: {tuned / plain:.2f} of the time")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] == "tuned":
            keep_freed_memory()
        print(json.dumps(measure()))
    else:
        main()
