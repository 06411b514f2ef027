"""model: another's model, pinned as a base model is, to be scored beside ours."""

from __future__ import annotations

from unpaint.lineage.manifest import Manifest
from unpaint.lineage.stage import In, Out, Settings
from unpaint.models.checkpoint import adopt


def model(settings: Settings, manifest: Manifest, *, source: In, base: Out) -> None:
    """Take over what the pin says, and check what it names."""
    adopt(base, source, settings["model"]["precision"], manifest)
