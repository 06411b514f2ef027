"""How many numbers each method of a params.yaml learns: its network is built of its config, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unpaint import known
from unpaint.errors import UserError
from unpaint.intact import mapping_in
from unpaint.params import Params, Pinned, Trained, TrainedByClass


def learned(params: Params, told: Mapping[str, Any], side: int, root: Path) -> list[int]:
    """The numbers of each method; none, where nobody here knows the network.

    Args:
        told: what the pin of the base model says, if it is from elsewhere; or its `network` of those known.
        side: of its pictures, in pixels.
    """
    import torch

    from unpaint.models.denoiser import train_scope

    wanted = [(method.scope, method.lora_rank) for method in params.methods.values()]
    found: dict[tuple[str, int], int] = {}
    for scope, rank in set(wanted):
        with torch.device("meta"):
            if (network := _network(params, told, side, root)) is None:
                return []
            found[scope, rank] = sum(values.numel() for values in train_scope(network, scope, rank).values())
    return [found[key] for key in wanted]


def _network(params: Params, told: Mapping[str, Any], side: int, root: Path) -> Any:
    import diffusers
    import torch

    if isinstance(params.base, Trained):
        from unpaint.train import base

        return base.build(params.base.autoencoder, params.base.denoiser, side, seed=0).unet
    if isinstance(params.base, TrainedByClass):
        from unpaint.train import by_class

        # a world may show more classes than the grammars name: a few numbers
        named = {name for grammar in params.grammars.values() for name in grammar.values[params.base.classes].both}
        with torch.device("cpu"):  # its sampler cannot be without numbers
            return by_class.build(params.base.denoiser, len(named), side, seed=0).unet
    if "network" in told:
        kind, config = known.NETWORKS[told["network"]]
        return getattr(diffusers, kind)(**config)
    if (found := _config(params.base, told, root)) is None:
        return None
    return getattr(diffusers, found["_class_name"]).from_config(found)


def _config(base: Pinned, told: Mapping[str, Any], root: Path) -> Mapping[str, Any] | None:
    """The config of a pinned network, from where it lies on this machine; or as it is published."""
    from unpaint.models.checkpoint import cached
    from unpaint.models.families import named

    try:
        folder = root / told["folder"] if "folder" in told else cached(told["repository"], told["revision"])
        return mapping_in(folder / named(told["family"]).network / "config.json")
    except UserError:
        pass
    found = known.CHECKPOINTS.get(Path(base.source).stem)
    if found is None or found.repository != told.get("repository"):
        return None
    kind, config = known.NETWORKS[found.network]
    return {"_class_name": kind, **config}
