"""Which models a piece of data made: what is asked, and what could be searched."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from unpaint import tombstones
from unpaint.audit import withdrawn
from unpaint.audit.data import Match, audit
from unpaint.errors import UserError
from unpaint.lineage.git import git
from unpaint.tombstones import Tombstone

DIGEST = "7a9bd48431ee887603efb94a8bad449305e15df551edb8d739a4e32aa11029e2"
HEAD = "row\tpair\timage_sha256\tprompt_sha256\n"


def listing(picture: str = DIGEST, row: object = 0, prompt: str = "a red seven") -> str:
    return f"{HEAD}{row}\ttrain-0000.0\t{picture}\t{hashlib.sha256(prompt.encode()).hexdigest()}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one list of rows, and the dvc.lock that says what was made of it."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "me")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "me@here")
    git("init", "-q")
    write("results/seven/images/forget.rows.tsv", listing())
    md5 = hashlib.md5(listing().encode()).hexdigest()
    outs = [{"path": "results/seven/images/forget.rows.tsv", "md5": md5}]
    deps = [{"path": "results/seven/rgd/seed0/model.safetensors", "md5": "0" * 32}]
    stages = {"images": {"outs": outs}, "unlearn": {"deps": outs, "outs": deps}}
    write("dvc.lock", json.dumps({"stages": stages}))
    keep("made")
    return folder


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def keep(message: str) -> None:
    git("add", "-A")
    git("commit", "-qm", message)


def asked(query: str, database: sqlite3.Connection | None = None) -> tuple[list[Match], list[str]]:
    return audit(query, database or sqlite3.connect(":memory:"))


@pytest.mark.parametrize(
    "query",
    [
        f" {DIGEST}",
        f"\n{DIGEST}\n",
        f"sha256:{DIGEST}",
        f"SHA256 (photo.png) = {DIGEST}",
        f"{DIGEST}  photo.png",
        f"{DIGEST} *photo.png\n",
        f"\\{DIGEST}  a\\nb.png",
        DIGEST.upper(),
        "a red seven",
        " a red seven\n",
        "train-0000.0 ",
    ],
)
def test_a_query_is_understood_as_programs_print_it(query: str, project: Path) -> None:
    ((found,), remarks) = asked(query)
    assert (found.row, found.pair, found.now, remarks) == (0, "train-0000.0", True, [])
    assert [one.path for one in found.made] == ["results/seven/rgd/seed0/model.safetensors"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("\udcff", "no text in UTF-8"),
        (f"sha256:{DIGEST[:20]}", "a sha256 has 64 digits, this has 20"),
        (f"sha256:{DIGEST[:20]}x", "not one sha256"),
        (f"{DIGEST}  a\n{DIGEST}  b", "not one sha256"),
        ("/tmp/none.heic", "no such file"),
        ("none.AVIF", "no such file"),
        ("./none", "no such file"),
        ("../none", "no such file"),
        ("./results", "a folder; give one picture"),
    ],
)
def test_what_is_no_question_is_refused(query: str, told: str, project: Path) -> None:
    with pytest.raises(UserError, match=told):
        asked(query)


def test_nowhere_is_never_said_of_another_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("a blue six") == ([], [])
    monkeypatch.chdir(project / "results")
    with pytest.raises(UserError, match=r"^no dvc\.lock here, in no commit, nor any list of rows; go to the project"):
        asked(DIGEST)


def test_what_could_not_be_searched_is_remarked(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("results/seven/images/forget.rows.tsv", listing(row=10**22))
    with pytest.raises(UserError, match="not a list of rows that can be read"):
        asked(DIGEST)
    keep("broken")
    write("results/seven/images/forget.rows.tsv", listing("f" * 64))
    keep("mended")
    told = "passed over, as it cannot be read: results/seven/images/forget.rows.tsv of commit "
    found, remarks = asked("a blue six")
    assert (found, [one[: len(told)] for one in remarks]) == ([], [told])
    git("clone", "-q", "--depth", "1", f"file://{project}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    found, (remark,) = asked(DIGEST)
    assert (found, "this clone is shallow" in remark) == ([], True)


def test_a_project_that_was_moved_has_its_past_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = sqlite3.connect(":memory:")
    ((before,), _) = asked(DIGEST, database)
    (project / "inside").mkdir()
    for name in ("results", "dvc.lock"):
        git("mv", name, f"inside/{name}")
    keep("moved")
    monkeypatch.chdir(project / "inside")
    write("results/seven/images/forget.rows.tsv", listing("f" * 64))
    keep("withdrawn")
    ((past, moved), remarks) = asked(DIGEST, database)
    assert (past.corpus, past.now, past.commits) == (f"../{before.corpus}", False, before.commits)
    assert [(one.path, one.md5) for one in past.made] == [(f"../{one.path}", one.md5) for one in before.made]
    assert (moved.corpus, moved.now, len(moved.commits)) == (before.corpus, False, 1)
    assert remarks == []
    tombstones.CONCEPTS.mkdir(parents=True)
    stone = Tombstone("request 7", "2026-11-26", prompt="a red seven", seed=0, was=DIGEST)
    tombstones.write(tombstones.of_concept("seven"), [stone])
    assert [bool(one.withdrawn) for one in withdrawn.told(f"{DIGEST}  photo.png", [past])] == [True]
    # and seen from the folder above, where no project is any more
    monkeypatch.chdir(project)
    ((here, below), _) = asked(DIGEST, database)
    assert (here.commits, here.now) == (moved.commits, False)
    assert (below.corpus, below.commits) == (before.corpus, before.commits)


def test_names_that_are_no_texts_are_in_no_ones_way(project: Path) -> None:
    for name in ("\udcff.txt", "\udcff.rows.tsv"):
        Path("results", name).write_text(listing("f" * 64))
    keep("odd")
    ((found,), _) = asked("f" * 64)
    assert (found.corpus, found.now, len(found.commits)) == ("results/\\xff.rows.tsv", True, 1)
