"""The run note `X.run.json`: how an artefact came about, beside it. No stage but the report reads it.

What the manifest leaves out so that equal inputs give equal bytes: commit, sources, versions, device, seconds, memory.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unpaint.errors import UserError
from unpaint.lineage.git import git

PACKAGES = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "open_clip_torch",
    "nudenet",
    "onnxruntime",
    "opencv-python-headless",
    "peft",
    "bitsandbytes",
    "safetensors",
    "tokenizers",
    "timm",
    "torch-fidelity",
    "datasets",
    "pyarrow",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
)
CODE = ("commit", "dirty", "sources")
"""What a note tells of the code that ran."""
RAN_ON = ("device", "processor", "python", "platform", "packages")
"""What it tells of where that ran, on which rounding may depend."""
ENVIRONMENT = (*RAN_ON, "lock")


def describe(
    started: float, device: str, outputs: Mapping[str, str], manifest: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, Any]:
    """The note of a stage that began at `started` (time.monotonic), made `outputs` (role: sha256) and `found` this."""
    root = Path(__file__).parents[3]
    lock = root / "requirements.lock"
    return {
        "outputs": dict(outputs),
        "manifest": dict(manifest),
        "found": dict(found),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": _dirty(),
        "sources": sources_hash(),
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
        **environment(device),
    }


def environment(device: str) -> dict[str, Any]:
    """What rounding may depend on, of a stage on a device of this machine."""
    return {
        "device": device,
        "processor": _processor(device),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
    }


def sources_hash() -> str:
    """One sha256 over every Python file of this package, by relative path and content."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def peak_memory_mb() -> float:
    """The largest resident set of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _processor(device: str) -> str:
    """The name of a GPU; of a CPU also the numbers that tell generations apart which a cloud names alike."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in told:
        return platform.processor() or platform.machine()
    return f"{told['model name']}, family {told.get('cpu family')}, model {told.get('model')}"


def _git(*arguments: str) -> str | None:
    try:
        return git(*arguments).strip()
    except UserError:
        return None


def _dirty() -> bool | None:
    """Whether this folder's files are others than the commit's; results are what stages write, and are left out."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!dvc.lock")
    # a source that was never added runs as well, whatever git ignores
    added = _git("ls-files", "--others", "--exclude-standard", "--", "src", "workflow", "data", "*.yaml")
    ignored = _git("ls-files", "--others", "--", ":(glob)src/**/*.py", ":(glob)workflow/**/*.smk")
    # and one that git was told not to look at (lower case is to assume it unchanged, S to skip it), if it is there
    known = (_git("ls-files", "-vz", "--", ".", ":!results") or "").split("\0")
    hidden = (line[2:] for line in known if line[:1] == "S" or line[:1].islower())
    if changed is None or added is None:
        return None
    return bool(changed or added or ignored or any(map(os.path.exists, hidden)))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
