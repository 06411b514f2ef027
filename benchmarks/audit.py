"""How long an audit takes in a project of 1,000 models and 200 corpora of 1,000 rows.

`python benchmarks/audit.py` builds it in a temporary folder (a git repository with a dvc.lock and the files that it
names, of a few bytes each; the pictures of the corpora are no longer; nothing is trained), and prints the seconds of
each question with an empty index, and again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save

from unpaint import corpus
from unpaint.corpus import Row
from unpaint.lineage.manifest import Manifest

CONCEPTS, METHODS, SEEDS, ROWS, CODE = 100, 5, 2, 1000, 12


def file_of(content: Any, suffix: str, manifest: Manifest) -> bytes:
    """A file of such a content: bytes, or the rows of a corpus."""
    if suffix == ".safetensors":
        return save({"weight": np.frombuffer(content, np.uint8)}, metadata={"unpaint": manifest.dumps()})
    if suffix not in (".parquet", ".tsv"):
        return bytes(content)
    with tempfile.TemporaryDirectory() as folder:
        made, listing = Path(folder, "made.parquet"), Path(folder, "made.tsv")
        corpus.write(made, content, manifest, listing)
        return (made if suffix == ".parquet" else listing).read_bytes()


def build(root: Path) -> tuple[str, str]:
    """Write the project; a model's name and a picture's hash."""
    stages: dict[str, Any] = {}
    lock: dict[str, str] = {}
    digests: dict[str, str] = {}

    def write(path: str, content: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        lock[path] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        digests[path] = hashlib.sha256(content).hexdigest()

    def stage(name: str, kind: str, settings: Any, reads: list[str], writes: dict[str, Any], params: Any) -> None:
        first = next(iter(writes))
        inputs = {str(number): digests[path] for number, path in enumerate(reads)}
        manifest = Manifest(kind, settings, inputs)
        for path, content in writes.items():
            write(path, file_of(content, Path(path).suffix, manifest))
        outputs = {str(number): digests[path] for number, path in enumerate(writes)}
        note = {"outputs": outputs, "manifest": manifest.as_dict(), "commit": None, "dirty": False}
        write(f"{first}.run.json", json.dumps(note, indent=2).encode())
        code = [{"path": f"src/unpaint/{number}.py", "hash": "md5", "md5": "0" * 32} for number in range(CODE)]
        stages[name] = {
            "cmd": f"snakemake --cores 8 --force --allowed-rules {kind} -- {first}",
            "deps": [*({"path": path, "hash": "md5", "md5": lock[path]} for path in reads), *code],
            "params": {"params.yaml": params},
            "outs": [{"path": path, "hash": "md5", "md5": lock[path]} for path in (*writes, f"{first}.run.json")],
        }

    def text(name: str) -> bytes:
        return hashlib.sha256(name.encode()).hexdigest().encode()

    picture = ""
    base = "results/base/base.json"
    stage("base", "base", {"seed": 0}, [], {base: b'{"base": 1}'}, {"seed": 0})
    for concept in (f"concept{number:03d}" for number in range(CONCEPTS)):
        folder = f"results/{concept}"
        encoded = []
        for which in ("forget", "retain"):
            rows = [Row(text(f"{concept}{which}{n}"), f"{concept}{n}", f"p{n}", n, {"what": "it"}) for n in range(ROWS)]
            picture = rows[-1].sha256
            pictures, listing = f"{folder}/images/{which}.parquet", f"{folder}/images/{which}.rows.tsv"
            stage(
                f"images@{concept}-{which}",
                "images",
                {"set": which},
                [base],
                {pictures: rows, listing: rows},
                {},
            )
            encoded.append(f"{folder}/encoded/{which}.bin")
            stage(
                f"encode@{concept}-{which}",
                "encode",
                {"set": which},
                [base, pictures],
                {encoded[-1]: text(encoded[-1])},
                {},
            )
        for method in (f"method{number}" for number in range(METHODS)):
            for seed in range(SEEDS):
                place = f"{folder}/{method}/seed{seed}"
                settings = {"method": {"steps": 1, "name": method}, "seed": seed}
                model, pool = f"{place}/model.safetensors", f"{place}/samples.bin"
                key = {f"methods.{method}": settings["method"]}
                name = f"{concept}-{method}-{seed}"
                stage(f"unlearn@{name}", "unlearn", settings, [base, *encoded], {model: text(model)}, key)
                stage(f"samples@{name}", "samples", {}, [base, model], {pool: text(pool)}, {})
                stage(f"evaluate@{name}", "evaluate", {}, [pool], {f"{place}/metrics.json": b'{"UA": 1}'}, {})
    (root / "dvc.lock").write_text(yaml.dump({"schema": "2.0", "stages": stages}, Dumper=yaml.CSafeDumper), "utf-8")
    (root / ".gitignore").write_text("*.bin\n*.safetensors\n*.parquet\n*.run.json\n/.dvc/\n", "utf-8")
    (root / ".dvc").mkdir()
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "made"]):
        subprocess.run(["git", *command], cwd=root, check=True)  # noqa: S603, S607
    return "concept050/method2/seed1", picture


def ask(root: Path, question: str, *arguments: str) -> str:
    """Put a question; how long it took, and the last line of the answer."""
    start = time.monotonic()
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", "from unpaint.cli import main; main()", "audit", question, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stdout + done.stderr).strip().splitlines()[-1]
    return f"{time.monotonic() - start:5.1f} s  exit {done.returncode}  {last}"


def main() -> None:
    """Build it, and ask each question without the index and with it."""
    with tempfile.TemporaryDirectory() as folder:
        model, picture = build(Path(folder))
        for question, name in (("model", [model]), ("data", [picture]), ("model", [])):
            for index in (["--full"], []):
                title = " ".join([question, *(one[:24] for one in name), *index])
                print(f"{title:<40} {ask(Path(folder), question, *name, *index)}")


if __name__ == "__main__":
    main()
