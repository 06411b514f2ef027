"""A CLIP model as a judge of pictures: zero-shot questions with an answer "none of these", and picture features."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from unpaint.errors import UserError


class Judge:
    """An open_clip model in evaluation mode with its own preprocessing and tokenizer."""

    def __init__(self, model: nn.Module, preprocess: Any, tokenizer: Any, device: torch.device) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.preprocess, self.tokenizer, self.device = preprocess, tokenizer, device

    @classmethod
    def load(cls, config: Path, checkpoint: Path, device: str | torch.device = "cpu") -> Judge:
        """Load an own model from `open_clip_config.json` and a safetensors checkpoint.

        Raises:
            UserError: a file is missing or damaged, does not fit the other, or the checkpoint is not safetensors.
        """
        import open_clip
        from safetensors import SafetensorError

        for path in (config, checkpoint):
            if not path.is_file():
                raise UserError(f"{path} does not exist; it is a part of the judge")
        if checkpoint.suffix != ".safetensors":
            raise UserError(f"{checkpoint} is no safetensors file; a pickled checkpoint can run code and is refused")
        with tempfile.TemporaryDirectory() as folder:
            # open_clip's own loader wants both files in a folder, under these names
            Path(folder, "open_clip_config.json").write_bytes(config.read_bytes())
            Path(folder, "open_clip_model.safetensors").symlink_to(checkpoint.resolve())
            name = f"local-dir:{folder}"
            try:
                model, _, preprocess = open_clip.create_model_and_transforms(name)
                tokenizer = open_clip.get_tokenizer(name)
            except (ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
                raise UserError(f"{config} and {checkpoint} do not load as an open_clip model: {error}") from error
        return cls(model, preprocess, tokenizer, torch.device(device))

    @torch.no_grad()
    def image_features(self, images: Iterable[NDArray[np.uint8] | Image.Image], batch: int) -> Tensor:
        """Unit features of pictures (PIL, or uint8 [height, width, 3]): float32 [n, width] on the CPU.

        The last batch is padded to `batch`, so that a picture's feature does not depend on its neighbours.
        """
        found = []
        for group in _groups(images, batch):
            pixels = torch.stack([self.preprocess(_picture(image)) for image in group])
            padding = batch - len(group)
            pixels = torch.cat([pixels, pixels[-1:].expand(padding, -1, -1, -1)]) if padding else pixels
            features = self.model.encode_image(pixels.to(self.device), normalize=True)  # type: ignore[operator]
            found.append(features[: len(group)].float().cpu())
        return torch.cat(found) if found else torch.zeros(0, self._width())

    @torch.no_grad()
    def text_features(self, texts: list[str]) -> Tensor:
        """Unit features of texts: float32 [n, width] on the CPU."""
        if not texts:
            return torch.zeros(0, self._width())
        found = [text_feature(self.model, self.tokenizer, text, self.device) for text in texts]
        return torch.stack(found).float().cpu()

    def _width(self) -> int:
        tokens = self.tokenizer([""]).to(self.device)
        with torch.no_grad():
            return int(self.model.encode_text(tokens).shape[-1])  # type: ignore[operator]


@torch.no_grad()
def text_feature(model: nn.Module, tokenizer: Any, text: str, device: torch.device) -> Tensor:
    """The unit feature [d] of a text, encoded alone: it must not depend on which others are asked."""
    found: Tensor = model.encode_text(tokenizer([text]).to(device), normalize=True)[0]  # type: ignore[operator]
    return found


def refuse_long(texts: Iterable[str], tokenizer: Any) -> None:
    """Refuse what an open_clip tokenizer would cut off: texts that differ there would be one to the judge.

    Raises:
        UserError: which text is too long, and by how much.
    """
    for text in sorted(set(texts)):
        if (tokens := len(tokenizer.encode(text)) + 2) > tokenizer.context_length:
            raise UserError(
                f"{text!r} has {tokens} tokens, and the judge reads {tokenizer.context_length}; shorten the text (or, "
                "of a judge that is trained here, raise judge.tokens)"
            )


def ask(image_features: Tensor, candidates: Mapping[str, Tensor], none: Tensor | None = None) -> list[str | None]:
    """The candidate nearest to each picture, or None where a text of `none` is nearer than all of them.

    `image_features` [n, d] and `none` [k, d] hold unit features, `candidates` one unit feature [d] each; a tie goes to
    the earlier candidate, and to a candidate rather than to none.

    Raises:
        UserError: there is no candidate.
    """
    if not candidates:
        raise UserError("a question to the judge has no candidates")
    names: list[str | None] = list(candidates)
    texts = torch.stack(list(candidates.values()))
    if none is not None and len(none):
        names += [None] * len(none)
        texts = torch.cat([texts, none])
    return [names[int(place)] for place in (image_features @ texts.T).argmax(dim=1)]


def _picture(image: NDArray[np.uint8] | Image.Image) -> Image.Image:
    return (image if isinstance(image, Image.Image) else Image.fromarray(image)).convert("RGB")


def _groups(
    images: Iterable[NDArray[np.uint8] | Image.Image], batch: int
) -> Iterator[list[NDArray[np.uint8] | Image.Image]]:
    rest = iter(images)
    while group := list(islice(rest, batch)):
        yield group
