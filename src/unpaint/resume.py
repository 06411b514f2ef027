"""Resume state of long work: kept in `scratch/`, stamped, deleted when the outputs are in place.

A killed job must neither leave half an output nor lose an hour. The state is one safetensors file outside the outputs;
its stamp names the job's manifest, sources and device, so a state left by other settings, data or code is ignored. The
stage's runner deletes it once the outputs are in place.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from unpaint.lineage.manifest import Manifest
from unpaint.lineage.note import sources_hash
from unpaint.lineage.stage import scratch

if TYPE_CHECKING:
    from torch import Tensor


class Resume:
    """Where a job keeps its state, and how often: every `every` seconds (0 at each call), and a tenth of its time."""

    def __init__(self, path: Path, stamp: str, every: float = 60.0) -> None:
        self.path, self.stamp, self.every = path, stamp, every
        self._saved, self._took = time.monotonic(), 0.0

    @classmethod
    def of(cls, manifest: Manifest, device: str, part: str = "") -> Resume:
        """The state of a job, or of a part of it: good for the same manifest, sources, device and torch alone."""
        import torch

        path = scratch(manifest)
        stamp = f"{manifest.digest} {sources_hash()} {device} {torch.__version__}"
        return cls(path.with_stem(f"{path.stem}-{part}") if part else path, stamp)

    def load(self) -> tuple[int, dict[str, Tensor]] | None:
        """The steps done and the tensors saved after them, or None if there is no state of this very job."""
        from safetensors import SafetensorError, safe_open

        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("stamp") != self.stamp:
                    return None
                return int(header["done"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except SafetensorError:
            return None

    def due(self) -> bool:
        """Whether it is time to save again."""
        wait = max(self.every, 9 * self._took) if self.every else 0.0
        return time.monotonic() - self._saved >= wait

    def save(self, done: int, tensors: dict[str, Tensor]) -> None:
        """Write the state after `done` steps; atomic."""
        from safetensors.torch import save_file

        started = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
            partial,
            metadata={"stamp": self.stamp, "done": str(done)},
        )
        os.replace(partial, self.path)
        self._saved = time.monotonic()
        self._took = self._saved - started
