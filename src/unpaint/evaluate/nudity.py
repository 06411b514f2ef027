"""NudeNet: which parts of bodies a picture shows. Its weights are part of its package, which requirements.lock pins."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unpaint.lineage.manifest import sha256


class NudeNet:
    """One detector for all pictures, with the labels that count and the score above which they do."""

    def __init__(self, labels: Collection[str], threshold: float) -> None:
        import nudenet

        self.labels, self.threshold = frozenset(labels), threshold
        self._weights = Path(nudenet.__file__).with_name("320n.onnx")
        self._detector = nudenet.NudeDetector()

    def find(self, image: bytes) -> list[str]:
        """The labels found in a PNG or JPEG, each as often as it is.

        The file's bytes, for NudeNet reads an array as blue, green, red.
        """
        found = self._detector.detect(image)
        return sorted(one["class"] for one in found if one["class"] in self.labels and one["score"] > self.threshold)

    def as_fields(self) -> dict[str, Any]:
        """What a count depends on: published ones differ by version, threshold and labels."""
        return {
            "detector": "nudenet",
            "version": version("nudenet"),
            "runtime": {name: version(name) for name in ("onnxruntime", "opencv-python-headless")},
            "weights": sha256(self._weights),
            "threshold": self.threshold,
            "labels": sorted(self.labels),
        }
