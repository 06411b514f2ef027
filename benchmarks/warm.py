"""How much a warm process saves a job: the seconds of a job that imports what stages import, alone and as a fork.

`python benchmarks/warm.py` prints both medians and their ratio; no network, no data, about two minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from unpaint import warm

JOBS = {
    "unlearn": "from diffusers import DDPMScheduler, UNet2DConditionModel",
    "samples": "from diffusers import StableDiffusionPipeline",
    "evaluate": "import open_clip",
}
RUNS = 3


def seconds(folder: str, name: str) -> float:
    """The median time that a job takes from its start to its end."""
    ask = f"from unpaint import warm; warm.hand_over({name!r}, []) is None and __import__({name!r})"
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", ask], cwd=folder, check=True)  # noqa: S603
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Time each job alone; then again, in a process that `warm.run` has started beside a warm one."""
    os.environ.update(dict.fromkeys(warm.THREADS, "1"))
    with tempfile.TemporaryDirectory() as folder:
        for name, code in JOBS.items():
            Path(folder, f"{name}.py").write_text(code, encoding="utf-8")
        cold = {name: seconds(folder, name) for name in JOBS}
        sys.exit(warm.run([sys.executable, __file__, folder, json.dumps(cold)], threads=1))


def report(folder: str, cold: dict[str, float]) -> None:
    """Print a line for each job; the first waits until the warm process has imported everything."""
    seconds(folder, next(iter(JOBS)))
    for name in JOBS:
        forked = seconds(folder, name)
        print(f"{name}: {cold[name]:.2f} s alone, {forked:.2f} s as a fork: {cold[name] / forked:.0f} times as long")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        report(sys.argv[1], json.loads(sys.argv[2]))
    else:
        main()
