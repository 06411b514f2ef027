"""An encoded corpus: latents and prompt embeddings, made once; unlearning needs no autoencoder and no text encoder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from torch import Tensor

from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest


@dataclass(frozen=True)
class Encoded:
    """The rows of a corpus as a denoiser sees them.

    Attributes:
        mean, std: (n, channels, height, width), the scaled posterior of each picture's latents.
        embeddings: (m, tokens, width), one per distinct prompt, then one per distinct anchor.
        prompt: (n,), which of them belongs to each row.
        anchor: (n,), which of them each row of a forget set is led to; of a retain set the row's own.
        unprompted: (tokens, width), the embedding of the empty prompt: the other branch of classifier-free guidance.
    """

    mean: Tensor
    std: Tensor
    embeddings: Tensor
    prompt: Tensor
    anchor: Tensor
    unprompted: Tensor

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.mean)


def write(path: Path, encoded: Encoded, manifest: Manifest) -> None:
    """Write as safetensors, with the manifest in its header."""
    from safetensors.torch import save_file

    tensors = {field.name: getattr(encoded, field.name).cpu().contiguous() for field in fields(Encoded)}
    save_file(tensors, path, metadata={KEY: manifest.dumps()})


def read(path: Path) -> Encoded:
    """Read back.

    Raises:
        UserError: missing, truncated, or not an encoded corpus.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return Encoded(**load_file(path))
    except (OSError, SafetensorError, TypeError):
        raise UserError(f"{path}: missing, truncated or no encoded corpus; restore it or make it again") from None
