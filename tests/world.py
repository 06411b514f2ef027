"""A tiny world: the real chain, the real engines and the real classes, with settings that take seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "dvc.yaml", ".dvcignore", ".gitattributes", ".gitignore", "requirements.lock", "pyproject.toml")
COMMIT = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q")
FOLDERS = ("src", "workflow", "profiles", "data")


def tiny_params() -> dict[str, Any]:
    """params.yaml with every count cut down; the judge is too poor to mean anything, so its threshold is low."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["threads"] = 1
    params["world"]["images"] = {"base": 60, "judge": 60, "reference": 1200}
    params["base"]["threads"] = 1
    params["base"]["autoencoder"] |= {"steps": 4, "batch": 8}
    params["base"]["denoiser"] |= {"steps": 4, "batch": 8}
    params["judge"] |= {"steps": 30, "batch": 32, "embedding": 8}
    params["sampling"] |= {"width": 8, "steps": 2}
    params["evaluation"] |= {"minimum_accuracy": 0.001, "batch": 32}
    concept = params["concepts"]["seven"]
    concept["train"] = {"prompts": 8, "replacement": "value", "images_per_prompt": {"forget": 1, "retain": 2}}
    concept["test"] = {"prompts": 16, "replacement": "value", "images_per_prompt": {"forget": 1, "retain": 2}}
    params["oracles"] = {"concepts": ["seven"], "seeds": [2, 3]}
    for method in params["methods"].values():
        method |= {"steps": 2, "batch": 4}
    return params


def write_params(folder: Path, params: dict[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")


def make_project(folder: Path, params: dict[str, Any] | None = None) -> Path:
    """A git and DVC repository with this workflow and `params` (the tiny world's, if not given), committed."""
    folder.mkdir(parents=True)
    for name in PARTS:
        shutil.copy2(ROOT / name, folder / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    write_params(folder, params or tiny_params())
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "dvc", "init", "-q")
    shutil.copy2(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    commit(folder, "start")
    return folder


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, *COMMIT, "--allow-empty", "-m", message)


def bring_pictures(project: Path, count: int) -> Path:
    """Captioned pictures of the user's own as the forget set, and the folder where they are."""
    folder = project / "data/sets/mine"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    with (folder / "metadata.jsonl").open("w") as metadata:
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
            metadata.write(json.dumps({"file_name": f"{number}.png", "caption": f"a red seven number {number}"}) + "\n")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["concepts"]["seven"]["images"]["forget"] = "data/sets/mine"
    write_params(project, params)
    return folder


def environment() -> dict[str, str]:
    """This interpreter's tools first, one thread a job, and no GPU: two busy jobs share two cores."""
    tools = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def run(folder: Path, *command: str, fails: bool = False) -> str:
    """Run a command in `folder`; what it printed. Fails the test if its exit code is not as expected."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    printed = done.stdout + done.stderr
    assert bool(done.returncode) is fails, f"{' '.join(command)} ended with {done.returncode}:\n{printed[-6000:]}"
    return printed


def clone(project: Path, folder: Path, *, data: bool = True) -> Path:
    """A copy of a finished project, with its results and books, or a clean git clone without data."""
    if data:
        shutil.copytree(project, folder, symlinks=True)
    else:
        run(project, "git", "clone", "-q", str(project), str(folder))
    return folder
