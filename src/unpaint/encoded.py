"""An encoded corpus: latents and what prompts are to a denoiser, made once; unlearning needs no other network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest
from unpaint.models.conditions import Conditions


@dataclass(frozen=True)
class Encoded:
    """The rows of a corpus as a denoiser sees them.

    Attributes:
        mean, std: (n, channels, height, width), the scaled posterior of each picture's latents.
        conditions: m rows, one per distinct prompt, then one per distinct anchor.
        prompt: (n,), which of them belongs to each row.
        anchor: (n,), which of them each row of a forget set is led to; of a retain set the row's own.
        unprompted: the condition of no prompt, one row unstacked: the other branch of classifier-free guidance. Empty
            for a base model that was trained without.
    """

    mean: Tensor
    std: Tensor
    conditions: Conditions
    prompt: Tensor
    anchor: Tensor
    unprompted: Conditions

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.mean)


def write(path: Path, encoded: Encoded, manifest: Manifest) -> None:
    """Write as safetensors, with the manifest in its header."""
    from safetensors.torch import save_file

    tensors = {"mean": encoded.mean, "std": encoded.std, "prompt": encoded.prompt, "anchor": encoded.anchor}
    for group, named in (("conditions", encoded.conditions), ("unprompted", encoded.unprompted)):
        tensors |= {f"{group}.{name}": tensor for name, tensor in named.items()}
    save_file(
        {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path, metadata={KEY: manifest.dumps()}
    )


def read(path: Path) -> Encoded:
    """Read back.

    Raises:
        UserError: missing, truncated, or not an encoded corpus.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        return Encoded(
            mean=tensors["mean"],
            std=tensors["std"],
            conditions=_group(tensors, "conditions"),
            prompt=tensors["prompt"],
            anchor=tensors["anchor"],
            unprompted=_group(tensors, "unprompted"),
        )
    except (OSError, SafetensorError, KeyError):
        raise UserError(f"{path}: missing, truncated or no encoded corpus; restore it or make it again") from None


def _group(tensors: Mapping[str, Tensor], group: str) -> Conditions:
    """The tensors that are written as `group.name`."""
    return {name.removeprefix(f"{group}."): tensor for name, tensor in tensors.items() if name.startswith(f"{group}.")}
