"""Audits: what needs no project."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest

from unpaint.audit import lock
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
