"""The weights of an unlearned model: what was trained, as safetensors with the manifest in the header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from unpaint.errors import UserError
from unpaint.lineage import manifest as manifests
from unpaint.lineage.manifest import KEY, Manifest
from unpaint.models.denoiser import apply_weights


def write(path: Path, trained: Mapping[str, Tensor], manifest: Manifest) -> None:
    """Write the trained parameters; one metadata key, since several come out in varying order."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in trained.items()}
    save_file(tensors, path, metadata={KEY: manifest.dumps()})


def apply(module: nn.Module, path: Path, base: Path) -> Manifest:
    """Put unlearned weights into the base model's network, and return their manifest.

    Raises:
        UserError: the file is missing or truncated, or was unlearned from another base model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    manifest = manifests.read(path)
    if manifest.stage != "unlearn":
        raise UserError(
            f"{path}: made by the stage {manifest.stage}, so it holds no unlearned weights; name another file"
        )
    if manifest.inputs.get("base") != manifests.sha256(base):
        raise UserError(f"{path}: unlearned from another base model than {base}; make it again from this one")
    try:
        tensors = load_file(path)
    except SafetensorError:
        raise UserError(f"{path}: truncated; restore it with `dvc checkout` or make it again") from None
    settings = manifest.settings["method"]
    apply_weights(module, tensors, settings["scope"], settings["lora_rank"], str(path))
    return manifest
