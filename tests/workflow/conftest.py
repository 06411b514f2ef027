"""The tiny world's finished project, made once for all workflow tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import commit, make_project, run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole chain, run by Snakemake and recorded, in a folder whose name has spaces and letters beyond ASCII."""
    folder = make_project(tmp_path_factory.mktemp("world") / "kleine Wölt ✓")
    printed = run(folder, "unpaint", "warm", "snakemake", "--cores", "2")
    assert "no warm process has taken this job" not in printed
    run(folder, "unpaint", "record")
    commit(folder, "made")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project that a test may change."""
    from tests.world import clone

    return clone(finished, tmp_path / "a copy")
