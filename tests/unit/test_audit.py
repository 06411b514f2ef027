"""Audits: what needs no project."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from unpaint.audit import copies, hashes, lock, withdrawn
from unpaint.audit.books import Found, _setting
from unpaint.audit.lock import Entry
from unpaint.audit.model import audit
from unpaint.audit.text import as_fields, as_text
from unpaint.errors import UserError
from unpaint.lineage.manifest import Manifest
from unpaint.withdraw.query import pattern


@pytest.mark.parametrize(
    "stage",
    [
        {"outs": [{"path": 3, "md5": "0" * 32}]},
        {"deps": [{"path": "results/a", "md5": 3}]},
        {"deps": [{"path": ["results/a"], "md5": "0" * 32}]},
        {"outs": 3},
        {"params": {"params.yaml": ["seed"]}},
        {"params": {"params.yaml": {"seed": "2026-11-26"}}},
        [],
    ],
)
def test_a_lock_that_no_dvc_wrote_cannot_be_read(stage: object) -> None:
    # a date is written without quotes, as YAML reads it
    content = json.dumps({"stages": {"base": stage}}).replace('"2026-11-26"', "2026-11-26").encode()
    with pytest.raises(UserError, match=r"^dvc.lock \(blob \w+\): cannot be read; restore it from git$"):
        lock.take_in(content, sqlite3.connect(":memory:"))


def test_commands_at_once_share_an_index_that_one_of_them_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hashes, "PATIENCE", 0.1, raising=False)
    (tmp_path / ".dvc").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)

    def kept() -> int:
        with closing(sqlite3.connect(hashes.INDEX)) as database:
            (count,) = database.execute("SELECT count(*) FROM files").fetchone()
        return int(count)

    with hashes.index() as database:
        hashes.Hashes(database).of(Path("a"))
    with hashes.index() as one, hashes.index() as other, hashes.index(anew=True) as anew:
        for database in (one, other, anew):
            assert hashes.Hashes(database).of(Path("b")).md5 == hashlib.md5(b"b").hexdigest()
        # what was kept before is known to both but the one that forgets it
        counts = [each.execute("SELECT count(*) FROM files").fetchone() for each in (one, other, anew)]
        assert counts == [(2,), (2,), (1,)]
    assert kept() == 2
    with hashes.index(anew=True) as database:
        hashes.Hashes(database).of(Path("a"))
    assert kept() == 1
    with closing(sqlite3.connect(hashes.INDEX)) as database:
        database.executescript("DROP TABLE files; CREATE VIEW files AS SELECT 'a' AS path, '' AS stat")
    with hashes.index(anew=True) as database:
        hashes.Hashes(database).of(Path("a"))
    assert kept() == 1
    hashes.INDEX.write_bytes(b"?" * 9000)
    with hashes.index(anew=True) as database:
        hashes.Hashes(database).of(Path("a"))
    assert kept() == 1


def test_a_star_is_any_text() -> None:
    for query, text, found in (
        ("a red * at the *", "a red seven at the top", True),
        ("a red * at the *", "a red seven on the top", False),
        ("*", "", True),
        ("a**b", "ab", True),
        ("a*b", "a\nb", True),
        ("*ab*ab", "ab", False),
        ("*ab*ab", "xabab", True),
        ("a*a", "a", False),
        ("1+1*", "1+1=2", True),
        ("one", "one more", False),
        ("*b*bc", "abcbbc", True),
    ):
        assert bool(pattern(query).fullmatch(text)) is found, (query, text)


@pytest.mark.parametrize("query", ["*" * 25 + "x", "*a" * 25 + "x", "*" * 25 + "a" + "*" * 25 + "x"])
def test_no_pattern_takes_long(query: str) -> None:
    start = time.monotonic()
    assert not pattern(query).fullmatch("a" * 300)
    assert time.monotonic() - start < 1


def test_a_copy_of_the_same_md5_and_other_bytes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = colliding()
    assert one != other
    (md5,) = {hashlib.md5(each, usedforsecurity=False).hexdigest() for each in (one, other)}
    note = json.dumps({"outputs": {"model": hashlib.sha256(one).hexdigest()}}).encode()
    Path("model.run.json").write_bytes(note)
    outs = {"model": md5, "model.run.json": hashlib.md5(note, usedforsecurity=False).hexdigest()}
    listed = [{"path": path, "md5": digest} for path, digest in outs.items()]
    lock.PATH.write_text(json.dumps({"stages": {"unlearn": {"outs": listed}}}))
    database = sqlite3.connect(":memory:")
    for content, said in ((one, []), (other, ["copy: has the md5 of model, and another content:"])):
        Path("copy").write_bytes(content)
        copy = copies.find("copy", {}, database)
        assert copy is not None
        assert (copy.path, copy.entry.name) == ("model", "unlearn")
        found = Found(copy.entry)
        copies.hold("copy", copy, found, database)
        assert [text.partition(" its sha256")[0] for text in found.contradictions] == said


def colliding() -> tuple[bytes, bytes]:
    """Two messages of one MD5: Wang, Feng, Lai, Yu, Collisions for Hash Functions MD4, MD5 and others, 2004."""
    one = bytes.fromhex(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99f"
        "d91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1e"
        "c69821bcb6a8839396f9652b6ff72a70"
    )
    other = bytearray(one)
    for place in (19, 45, 59, 83, 109, 123):
        other[place] ^= 0x80
    return one, bytes(other)


def test_without_a_project_a_file_says_of_itself_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    said = Manifest("unlearn", {"seed": 3, "method": {"method": "rgd"}}, {"base": "b" * 64, "forget": "f" * 64})
    save_file({"one": np.zeros(1)}, "copy.safetensors", metadata={"unpaint": said.dumps()})
    found = audit("copy.safetensors", sqlite3.connect(":memory:"))
    told, fields = as_text(found), as_fields(found)
    assert fields["verdict"] == "missing"
    assert fields["stages"][0]["inputs"] == said.inputs
    for line in ("  seed: 3", '  method: {"method": "rgd"}', "  forget ffffffffffff: unknown here"):
        assert line in told.splitlines()
    assert "there is no dvc.lock here; above is what copy.safetensors says of itself" in told
    said = Manifest("unlearn", {}, {"base\nverified": "b" * 64})
    save_file({"one": np.zeros(1)}, "odd.safetensors", metadata={"unpaint": said.dumps()})
    with pytest.raises(UserError, match=r"odd.safetensors: its manifest cannot be read; and there is no dvc.lock here"):
        audit("odd.safetensors", sqlite3.connect(":memory:"))
    save_file({"one": np.zeros(1)}, "bare.safetensors")
    with pytest.raises(UserError, match=r"carries no manifest.* there is no dvc.lock here, so nothing is known"):
        audit("bare.safetensors", sqlite3.connect(":memory:"))


def stage(name: str, depth: int, *reads: str, **missing: str) -> Found:
    return Found(Entry(name, {}, "", {}, {}), depth=depth, reads=list(reads), missing=missing)


def test_an_ancestry_is_a_tree_of_what_read_what() -> None:
    found = [
        stage("unlearn", 0, "base", "encode"),
        stage("samples", 0, "base", "unlearn"),
        stage("base", 1, "world"),
        stage("encode", 1, "base"),
        stage("world", 2),
    ]
    lines = ["samples:", "  base:", "    world:", "  unlearn:", "    base (above)", "    encode:", "      base (above)"]
    assert [line.replace(" verified", "") for line in as_text(found).splitlines()[:7]] == lines
    assert [(one["depth"], one["reads"]) for one in as_fields(found)["stages"]][1] == (0, ["base", "unlearn"])


def test_what_is_missing_is_brought_by_the_stages_that_were_made_from_it() -> None:
    files = {f"file{number}": f"dvc pull file{number}" for number in range(7)}
    found = [
        stage("unlearn", 0, "base"),
        stage("samples", 0, "unlearn", "base", file9="dvc pull file9"),
        stage("summary", 0, "base", one="dvc repro summary", two="dvc repro summary"),
        stage("base", 1, **files),
    ]
    told = as_text(found).splitlines()
    assert "  missing: 8 files; dvc pull --with-deps samples" in told
    assert "    file9, file0, file1, file2, file3 and 3 more" in told
    assert "  missing: 2 files; dvc repro summary" in told
    assert as_fields(found)["next"] == ["dvc pull --with-deps samples", "dvc repro summary"]


def test_what_learnt_what_was_withdrawn_is_not_verified() -> None:
    found = [stage("unlearn", 0, "base", "encode"), stage("base", 1), stage("encode", 1, "images"), stage("images", 2)]
    found[3].withdrawn["seven.jsonl"] = ["train-0001.0 of seven"]
    line = withdrawn.learnt(found)
    assert [one.verdict for one in line] == ["missing", "verified", "missing", "missing"]
    assert "  withdrawn since: train-0001.0 of seven; make exactly that anew: " in as_text(line)
    # a withdrawal that was undone takes out no row, and what it was heeded in is not up to date
    found[3].withdrawn["seven.jsonl"] = []
    assert "  withdrawn since: otherwise, by seven.jsonl; " in as_text(withdrawn.learnt(found))


def test_a_key_of_no_setting_is_none() -> None:
    for key in ("concepts", "concepts.seven"):
        assert _setting(key, {"concept": {"forget": 1}, "seven": 2}) is None
    assert _setting("concepts.seven.forget", {"concept": {"forget": 1}}) == 1


def test_a_file_whose_name_is_no_text_has_hashes(tmp_path: Path) -> None:
    path = tmp_path / "\udcff"
    path.write_bytes(b"x")
    index = hashes.Hashes(sqlite3.connect(":memory:"))
    assert index.of(path) == index.of(path)
    assert index.of(path).md5 == hashlib.md5(b"x").hexdigest()
