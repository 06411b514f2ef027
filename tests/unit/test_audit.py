"""Audits: what needs no project."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from unpaint.audit import hashes, lock
from unpaint.errors import UserError
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
