"""Every source file that a stage imports is an input of its rule: else an edit would go unseen."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tests.world import ROOT, make_project, tiny_params
from unpaint.evaluate import inception
from unpaint.lineage.engines import differences, rules, stages
from unpaint.lineage.manifest import sha256

PACKAGE = ROOT / "src" / "unpaint"
# params only checks; what it holds reaches a stage as settings. The run note is no artefact.
EXEMPT = {*(f"params/{name}.py" for name in ("__init__", "checks", "reading", "sections")), "lineage/note.py"}


def imports(path: Path) -> set[Path]:
    """The files of this package that a module imports, anywhere in it; not those for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in _running(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("unpaint."):
                stem = PACKAGE.joinpath(*name.split(".")[1:])
                found |= {file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()}
    return found


def _running(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        nodes += [node, *_running(node)]
    return nodes


def closure(path: Path) -> set[str]:
    seen, pending = set(), [path]
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending += [] if module.relative_to(PACKAGE).as_posix() in EXEMPT else imports(module)
    return {file.relative_to(PACKAGE).as_posix() for file in seen}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, frozenset[str]]:
    """The jobs of a project that uses every section of params.yaml."""
    params = tiny_params()
    params["models"] = {"theirs": {"source": "data/checkpoints/theirs.json", "precision": "float32"}}
    wanted = {"values": {"ink": 1}, "without": [], "apart": 0.1, "tokens": 9, "temperature": 1.0}
    params["proposals"] = {"digits": {"model": "data/language/tiny.json", **wanted}}
    project = make_project(tmp_path_factory.mktemp("code") / "project", params)
    said = {"folder": "models", "bytes": 1, "files": {}}
    theirs = {**said, "family": "Stable Diffusion 1 and 2", "side": 32}
    (project / "data/checkpoints/theirs.json").write_text(json.dumps(theirs))
    (project / "data/language/tiny.json").write_text(json.dumps({**said, "model": "gpt2"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return {job.name: job.inputs for job in rules()}


STAGES = sorted(path.stem for path in (PACKAGE / "stages").glob("[!_]*.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_lists_all_that_its_stage_imports(stage: str, jobs: dict[str, frozenset[str]]) -> None:
    needed = closure(PACKAGE / "stages" / f"{stage}.py") - EXEMPT
    needed = {name for name in needed if not (name.endswith("__init__.py") and _is_bare(PACKAGE / name))}
    assert stage in jobs
    for rule in (stage, f"{stage}_base"):
        if rule in jobs:
            listed = {path.removeprefix("src/unpaint/") for path in jobs[rule] if path.startswith("src/unpaint/")}
            assert needed <= listed, f"{rule}: {sorted(needed - listed)}"


def _is_bare(path: Path) -> bool:
    """Whether an `__init__.py` holds nothing that a stage could run into: a docstring, or the package's lazy names."""
    return path.parent == PACKAGE or len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1


def test_methods_that_are_found_by_name_are_listed_too(jobs: dict[str, frozenset[str]]) -> None:
    methods = {path.relative_to(ROOT).as_posix() for path in (PACKAGE / "unlearn/methods").glob("*.py")}
    assert methods <= jobs["unlearn"]


def test_with_the_weights_of_fid_both_engines_have_one_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = tiny_params()
    params["evaluation"]["inception"] = "data/inception/weights.pth"
    params["models"] = {"theirs": {"source": "data/checkpoints/theirs.json", "precision": "float32"}}
    params["world"]["images"]["reference"] = 250_000
    params["concepts"]["seven"]["test"] |= {"prompts": 27, "images_per_prompt": {"forget": 1, "retain": 160}}
    project = make_project(tmp_path / "project", params)
    theirs = {"folder": "models", "bytes": 1, "files": {}, "family": "Stable Diffusion 1 and 2", "side": 32}
    (project / "data/checkpoints/theirs.json").write_text(json.dumps(theirs))
    (project / "data/inception/weights.pth").write_bytes(b"weights")
    monkeypatch.chdir(project)
    monkeypatch.setattr(inception, "SHA256", sha256(Path("data/inception/weights.pth")))
    jobs = rules()
    assert differences(jobs, stages()) == []
    reading = {job.name for job in jobs if "data/inception/weights.pth" in job.inputs}
    assert reading == {"judge", "evaluate", "evaluate_base", "evaluate_retrain", "evaluate_model"}


def test_every_test_that_the_list_of_mistakes_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/mistakes.md").read_text(encoding="utf-8")))
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    written = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    assert len(named) > 30
    assert not named - written
