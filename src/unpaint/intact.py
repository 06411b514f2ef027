"""Whether files from elsewhere are what they are called; headers are read, no tensor and no picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unpaint.corpus import read_json
from unpaint.errors import UserError, some

POINTER = b"version https://git-lfs"
"""How the file begins that git-lfs leaves in place of a large one."""
PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""What a network may predict that was trained by DDPM."""
ANEW = "get it anew from where the folder came from"
INDEX = ".safetensors.index.json"
"""How the list is called that weights in parts have."""


def refuse_broken(folder: Path, files: Sequence[str]) -> None:
    """Refuse what nobody could load.

    Args:
        files: by relative path.

    Raises:
        UserError: a file is a pointer of git-lfs, or no whole safetensors or JSON, or a part of weights is missing.
    """
    for name in files:
        path = folder / name
        _refuse_pointer(path)
        if path.suffix == ".safetensors":
            _refuse_cut_tensors(path)
        elif path.suffix == ".json":
            read_json(path)
        if name.endswith(INDEX):
            _refuse_without_parts(path, {Path(one).name for one in files if Path(one).parent == Path(name).parent})


def mapping_in(path: Path) -> Mapping[str, Any]:
    """The JSON mapping that a config is.

    Raises:
        UserError: it is missing, broken or no mapping.
    """
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise UserError(f"{path}: not a config, which is a JSON mapping; {ANEW}")
    return fields


def timesteps_in(folder: Path) -> int | None:
    """How many timesteps the schedule of a checkpoint's betas has; none, where it has no betas.

    Args:
        folder: of its model_index.json.

    Raises:
        UserError: it has none, or what the network predicts by it is not known.
    """
    path = folder / "scheduler" / "scheduler_config.json"
    config = mapping_in(path)
    count, kind = config.get("num_train_timesteps", 1000), config.get("prediction_type", PREDICTIONS[0])
    if not isinstance(count, int) or count < 1:
        raise UserError(f"{path}: num_train_timesteps: {count}; a schedule has one at least: {ANEW}")
    if "beta_schedule" not in config or config.get("use_flow_sigmas"):
        return None
    if kind not in PREDICTIONS:
        raise UserError(f"{path}: prediction_type: {kind} is none of {', '.join(PREDICTIONS)}; {ANEW}")
    return count


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise UserError(f"{path}: a pointer of git-lfs, not the file itself; bring it: `git lfs pull`")


def _refuse_cut_tensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); {ANEW}") from None


def _refuse_without_parts(index: Path, there: set[str]) -> None:
    listed = mapping_in(index).get("weight_map")
    if not isinstance(listed, dict):
        raise UserError(f"{index}: no weight_map, the list of the parts; {ANEW}")
    if missing := sorted({str(part) for part in listed.values()} - there):
        raise UserError(f"{index.parent}: {some(missing, 2)} missing, of which {index.name} is the list")
