"""Running a stage: one contract for all of them.

A stage is a function `stage(settings, manifest, *, role: In, ..., role: Out, ...)`. Its parameters are its interface:
`python -m unpaint.stages NAME --settings JSON --ROLE PATH ...`. This module checks and hashes the inputs, hands the
function temporary paths, moves them into place together when it returns, and writes the run note beside the first;
what the function returns, if anything, stands there as `found`.
A stage that fails or is killed leaves nothing under a final name.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import inspect
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from unpaint.errors import UserError, some
from unpaint.lineage import note
from unpaint.lineage.manifest import Manifest, sha256, write_json

In = Annotated[Path, "input"]
"""A file the stage reads; its sha256 goes into the manifest under the parameter's name."""
Out = Annotated[Path, "output"]
"""A file the stage writes."""
Ins = Annotated[list[Path], "inputs"]
"""Any number of files the stage reads in one role; their hashes are numbered in the order given."""
Maybe = Annotated[Path | None, "maybe"]
"""A file that a user may bring for the stage to read."""
Listing = Annotated[Path | None, "listing"]
"""The metadata file of pictures that a user brings, if they do; one hash stands for it and every file beside it."""
OutDir = Annotated[Path, "directory"]
"""A directory of files the stage writes; they are moved into place one by one."""
OUT_OF_MEMORY = (
    "out of memory. What is made stays. Painting and encoding take less with a smaller sampling.width; unlearning with "
    "gradient_checkpointing: true, a smaller batch, or the scope lora; all of a checkpoint with precision: bfloat16; "
    "docs/base-models.md has what each takes"
)
Settings = dict[str, Any]
Inputs = dict[str, Path | list[Path]]
Stage = Callable[..., Mapping[str, Any] | None]


def main(stage: Stage, arguments: list[str]) -> None:
    """Run `stage` for the command line; errors meant for the user are one line and exit code 2."""
    signal.signal(signal.SIGTERM, _end)
    try:
        run(stage, arguments)
    except UserError as error:
        sys.exit(_complain(f"{stage.__name__}: {error}"))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        sys.exit(_complain(f"{stage.__name__}: {OUT_OF_MEMORY} ({str(error).strip().partition(chr(10))[0]})"))


def run(stage: Stage, arguments: list[str]) -> None:
    """Run `stage` with command-line `arguments`.

    Raises:
        UserError: an input is missing, or whatever the stage finds wrong.
    """
    started = time.monotonic()
    roles = _roles(stage)
    given = _parser(stage, roles).parse_args(arguments)
    settings: Settings = given.settings
    paths = {role: getattr(given, role) for role in roles if getattr(given, role) is not None}
    inputs = {role: path for role, path in paths.items() if roles[role][0] in ("input", "inputs", "maybe", "listing")}
    outputs: dict[str, Path] = {role: path for role, path in paths.items() if role not in inputs}
    listings = {role for role in inputs if roles[role][0] == "listing"}
    before = _stats(inputs, listings)
    manifest = Manifest(stage.__name__, settings, _hashes(inputs, listings))
    device = prepare_torch(settings)

    partial = {role: path.with_name(f".partial-{os.getpid()}-{path.name}") for role, path in outputs.items()}
    try:
        for role, path in partial.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(outputs[role])
            if roles[role][0] == "directory":
                path.mkdir()
        found = stage(settings, manifest, **inputs, **partial) or {}
        _refuse_changed(inputs, listings, manifest, before)
        for role, path in partial.items():
            if not (path.is_file() or path.is_dir()):
                raise UserError(
                    f"{outputs[role]}: the stage ended without writing it; this is a defect, please report it"
                )
        made = {role: _move(partial[role], outputs[role]) for role in outputs}
    finally:
        for path in partial.values():
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for state in scratch(manifest).parent.glob(f"{scratch(manifest).stem}*"):
        state.unlink(missing_ok=True)
    first = next(iter(outputs.values()))
    # of a directory, every file by its path
    hashes = {
        "/".join((role, *path.relative_to(outputs[role]).parts)): sha256(path) for role in made for path in made[role]
    }
    write_json(
        first.with_name(f"{first.name}.run.json"), note.describe(started, device, hashes, manifest.as_dict(), found)
    )
    names = ", ".join(str(path) for path in outputs.values())
    print(f"{stage.__name__}: made {names} in {time.monotonic() - started:.0f} s", file=sys.stderr)


def scratch(manifest: Manifest) -> Path:
    """Where the job of this manifest keeps its resume state."""
    return Path("scratch") / f"{manifest.stage}-{manifest.digest[:16]}.safetensors"


def progress(text: str, done: int, total: int) -> None:
    """Say how far long work is: a line at each tenth, so that logs stay short."""
    if done == total or done * 10 // total != (done - 1) * 10 // total:
        print(f"{text}: {done} of {total}", file=sys.stderr, flush=True)


def _parser(stage: Stage, roles: dict[str, tuple[str, bool]]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"unpaint.stages {stage.__name__}", description=inspect.getdoc(stage))
    parser.add_argument("--settings", required=True, type=json.loads, help="the stage's settings as JSON")
    for role, (kind, required) in roles.items():
        count = {"inputs": {"nargs": "*"}, "maybe": {"nargs": "?"}, "listing": {"nargs": "?"}}.get(kind, {})
        parser.add_argument(
            f"--{role.replace('_', '-')}", type=Path, required=required, help=kind, metavar="PATH", **count
        )
    return parser


def _numbered(inputs: Inputs) -> dict[str, Path]:
    return {
        role if number is None else f"{role}.{number}": path
        for role, given in inputs.items()
        for number, path in (enumerate(given) if isinstance(given, list) else [(None, given)])
    }


def _stats(inputs: Inputs, listings: set[str]) -> dict[str, list[tuple[int, ...]]]:
    """What tells by role whether an input may be another by now."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for role, path in _numbered(inputs).items():
        files = sorted(path.parent.rglob("*")) if role in listings else [path]
        stats = [file.stat() for file in files if file.is_file()]
        found[role] = [(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for stat in stats]
    return found


def _refuse_changed(
    inputs: Inputs, listings: set[str], manifest: Manifest, before: dict[str, list[tuple[int, ...]]]
) -> None:
    """Refuse to write what was made of an input that is another by now: DVC would record the one that is there."""
    if _stats(inputs, listings) == before:
        return
    now = _hashes(inputs, listings)
    if changed := [str(path) for role, path in _numbered(inputs).items() if now[role] != manifest.inputs[role]]:
        raise UserError(f"{some(changed, 3)} changed while this ran, so nothing is written; run it again")


def _hashes(inputs: Inputs, listings: set[str]) -> dict[str, str]:
    """sha256 of every input by role; all are checked before the first is read."""
    numbered = _numbered(inputs)
    for role, path in numbered.items():
        if not path.is_file():
            raise UserError(f"{path}: the {role.replace('_', ' ')} file is missing; make or restore it first")
    return {role: hash_of_folder(path.parent) if role in listings else sha256(path) for role, path in numbered.items()}


def hash_of_folder(folder: Path, hash_of: Callable[[Path], str] = sha256) -> str:
    """One hash of every file in a folder and of its path there."""
    files = sorted((os.fsencode(path.relative_to(folder)), path) for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(name + f"\n{hash_of(path)}\n".encode() for name, path in files)).hexdigest()


def _roles(stage: Stage) -> dict[str, tuple[str, bool]]:
    """Each path parameter of a stage: its kind, as the annotations above name it, and whether it must be given."""
    roles = {}
    hints = get_type_hints(stage, include_extras=True)
    for name, parameter in inspect.signature(stage).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            hint = hints[name]
            kinds = [tag for part in (hint, *get_args(hint)) for tag in getattr(part, "__metadata__", ())]
            roles[name] = (kinds[0], parameter.default is inspect.Parameter.empty)
    return roles


def prepare_torch(settings: Settings) -> str:
    """Set threads and determinism for stages that compute, and name the device; importing torch costs seconds."""
    if "device" not in settings:
        return "cpu"
    import torch

    keep_freed_memory()
    # in half precision its gradients of FLUX.1 were not finite (torch 2.11 on an H200); other kernels' are
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.set_num_threads(settings["threads"])
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # else every empty tensor is filled first, in case an operation reads what it never wrote; none here does
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _silence_libraries()
    return str(find_device(settings["device"]))


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors: else the system takes and empties the same pages at every operation.

    Those of 32 MB and more are given back as ever. `benchmarks/allocator.py` measures what it saves.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        tune = ctypes.CDLL(None).mallopt
        tune(-1, 2**30)  # M_TRIM_THRESHOLD: bytes free at the end of the heap before any is given back
        tune(-3, 2**25)  # M_MMAP_THRESHOLD: bytes from which a request is a mapping of its own


def _silence_libraries() -> None:
    """Our own progress lines are enough in a log file."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # it tells of kernels for language models that it lacks
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def find_device(wish: str) -> str:
    """The device to compute on: `auto` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        UserError: the device that was asked for is not there.
    """
    import torch

    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if wish == "auto":
        return next(name for name, count in there.items() if count)
    kind, _, number = wish.partition(":")
    if int(number or 0) >= there[kind]:
        raise UserError(f"device: {wish} is not available on this machine; write auto")
    return wish


def _sweep(target: Path) -> None:
    """Delete what a killed run has left of this output; an engine never runs a job twice at once."""
    for left in target.parent.glob(f".partial-*-{target.name}"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _move(source: Path, target: Path) -> list[Path]:
    """Put a finished output under its final name, a directory file by file, and return the files."""
    if source.is_file():
        os.replace(source, target)
        return [target]
    moved = []
    for path in sorted(source.rglob("*")):
        if path.is_file():
            final = target / path.relative_to(source)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, final)
            moved.append(final)
    # what another kind of model left there is no part of this one
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_file() and path not in moved:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return moved


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU's memory, or the machine's, was not enough; torch has no class of its own for the machine's."""
    told = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(text in str(error) for text in told)


def _end(*_: object) -> None:
    # told twice (by the group and by its asker), a job tidies up once
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 2
