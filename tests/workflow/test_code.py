"""Every source file that a stage imports is an input of its rule: else an edit would go unseen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.world import ROOT
from unpaint.lineage.engines import rules

PACKAGE = ROOT / "src" / "unpaint"
# params.py only checks; what it holds reaches a stage as settings. The run note is no artefact.
EXEMPT = {"params.py", "lineage/note.py"}


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
def jobs(request: pytest.FixtureRequest) -> dict[str, frozenset[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {job.name: job.inputs for job in rules()}


STAGES = sorted(path.stem for path in (PACKAGE / "stages").glob("[!_]*.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_lists_all_that_its_stage_imports(stage: str, jobs: dict[str, frozenset[str]]) -> None:
    needed = closure(PACKAGE / "stages" / f"{stage}.py") - EXEMPT
    needed = {name for name in needed if not (name.endswith("__init__.py") and _is_bare(PACKAGE / name))}
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
