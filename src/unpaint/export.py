"""An unlearned model as a full pipeline folder for `DiffusionPipeline.from_pretrained`, with nothing of ours in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unpaint import crate, weights
from unpaint.errors import UserError
from unpaint.lineage.manifest import KEY, Manifest, sha256, write_text
from unpaint.lineage.whole import refuse_existing, whole
from unpaint.models.checkpoint import load, strip_paths
from unpaint.models.denoiser import adapters_of
from unpaint.models.families import find
from unpaint.pipeline_card import pipeline_card
from unpaint.receipt.folder import PARTS
from unpaint.receipt.statement import NAME, subject_of


def export(
    model: Path,
    base: Path,
    folder: Path,
    statement: Mapping[str, Any] | None = None,
    *,
    receipt: Path | None = None,
    as_crate: bool = False,
) -> str:
    """Write the base pipeline with the unlearned weights in place; adapters are merged into their layers.

    The network is written in float32; what did not learn is copied as it is.

    Args:
        statement: of the model, as a receipt has it, for a card with data and scores. Without one the card is that
            beside the weights.
        receipt: the folder of a receipt to go with it, which `hold` found to be of this statement.
        as_crate: whether to make the folder an RO-Crate; needs a statement, and the project.

    Returns:
        The call that loads it.

    Raises:
        UserError: the folder exists, the weights do not fit the base model, or a file of it is missing or changed; the
            statement is of another model.
    """
    refuse_existing(folder)
    if statement and subject_of(statement)[1] != sha256(model):
        raise UserError(f"{model}: not the model that the receipt is of (sha256); give the receipt of this one")
    checkpoint = load(base)
    source = checkpoint.verified()
    family = find(source)
    module: Any = family.load_denoiser(source, "cpu", torch.float32).module
    manifest = weights.apply(module, model, base)
    if manifest.settings["method"]["scope"] == "lora":
        _merge_adapters(module)
    with whole(folder) as made:
        for name in checkpoint.files:
            if not name.startswith(f"{family.network}/"):
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, made / name)
        module.save_pretrained(made / family.network, safe_serialization=True)
        strip_paths(made)
        for path in sorted((made / family.network).glob("*.safetensors")):
            _insert(path, manifest)
        how = partial(family.loading, precision=checkpoint.precision)
        _tell(made, model, statement, receipt, how("FOLDER"))
        if statement and as_crate:
            crate.describe(made, statement, family.network)
    return how(str(folder))


def _tell(folder: Path, model: Path, statement: Mapping[str, Any] | None, receipt: Path | None, how: str) -> None:
    """Write the card, and bring the receipt that it speaks of."""
    card = model.with_name("README.md")
    if statement is None:
        if card.is_file():
            shutil.copyfile(card, folder / "README.md")
        return
    digest = sha256(receipt / NAME) if receipt else None
    write_text(folder / "README.md", pipeline_card(statement, digest, how))
    if receipt:
        (folder / "receipt").mkdir()
        for path in (receipt / part for part in PARTS):
            if path.is_file():
                shutil.copyfile(path, folder / "receipt" / path.name)


def _insert(path: Path, manifest: Manifest) -> None:
    """Put the manifest back into a header that `save_pretrained` wrote; diffusers wants its own key beside it."""
    from safetensors.torch import load_file, save_file

    save_file(load_file(path), path, metadata={"format": "pt", KEY: manifest.dumps()})
    # the library writes two keys in varying order: sort them, so that exports are the same bytes
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[end:])


def _merge_adapters(module: nn.Module) -> None:
    adapters = adapters_of(module)
    for name, layer in list(module.named_modules()):
        if layer in adapters:
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, layer.get_base_layer())
