"""What `unpaint check` tells of and refuses not, as it may well be meant."""

from __future__ import annotations

from importlib.util import find_spec

from unpaint import tombstones
from unpaint.params.sections import Params


def notes(params: Params) -> list[str]:
    """A line for each."""
    found = [
        f"{path}: params.yaml has no concept {path.stem}, so nothing heeds these tombstones; if it was renamed, rename "
        "the file"
        for path in tombstones.places()
        if path.parent == tombstones.CONCEPTS and path.stem not in params.concepts
    ]
    if not find_spec("bitsandbytes"):
        found += [
            f"methods.{name}: optimizer: adam8bit needs bitsandbytes, which is not installed here: pip install "
            "'bitsandbytes>=0.50'; with conda, a line in workflow/envs/torch.yaml"
            for name, method in params.methods.items()
            if method.optimizer == "adam8bit"
        ]
    return found
