"""Tombstones: what they cover, and what is none."""

import json

import pytest

from unpaint import tombstones
from unpaint.corpus import Row
from unpaint.errors import UserError
from unpaint.tombstones import Tombstone
from unpaint.withdraw import Withdrawal, _undone_on_failure
from unpaint.withdraw.text import as_text

ROW = Row(b"picture", "a red seven", "train-0001.0", 12, {"file_sha256": "f" * 64})


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({"picture": ROW.sha256}, True),
        ({"picture": "f" * 64}, True),
        ({"picture": "e" * 64}, False),
        ({"prompt": "a red seven"}, True),
        ({"prompt": "a red seven", "seed": 12}, True),
        ({"prompt": "a red seven", "seed": 0}, False),
        ({"prompt": "a red"}, False),
    ],
)
def test_a_tombstone_covers_its_picture_or_its_prompt(fields, covered, tmp_path):
    path = tmp_path / "seven.jsonl"
    tombstones.write(path, [Tombstone("request 7", "2026-11-26", **fields)])
    found = tombstones.read(path)
    assert found == [Tombstone("request 7", "2026-11-26", **fields)]
    assert tombstones.withdrawn(ROW, found) is covered


def test_one_stands_on_each_line_and_none_is_an_empty_file(tmp_path):
    path = tmp_path / "world.jsonl"
    tombstones.write(path, [])
    assert path.read_text() == "\n"
    assert tombstones.read(path) == tombstones.read(None) == tombstones.read(tmp_path / "none") == []
    tombstones.write(path, [Tombstone("x", "2026-11-26", prompt=name) for name in "ab"])
    assert path.read_text().splitlines() == [
        '{"why": "x", "on": "2026-11-26", "prompt": "a"}',
        '{"why": "x", "on": "2026-11-26", "prompt": "b"}',
    ]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"why": "x", "on": "2026-11-26"},
        {"why": "x", "on": "2026-11-26", "prompt": "a", "picture": "f" * 64},
        {"why": "x", "on": "2026-11-26", "picture": "F" * 64},
        {"why": "x", "on": "26.11.2026", "prompt": "a"},
        {"why": 1, "on": "2026-11-26", "prompt": "a"},
        {"why": "x", "on": "2026-11-26", "prompt": "a", "seed": "1"},
        {"why": "x", "on": "2026-11-26", "prompt": "a", "more": 1},
        [],
    ],
)
def test_what_is_no_tombstone_is_named(row, tmp_path):
    path = tmp_path / "seven.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"why": "x", "on": "2026-11-26", "prompt": "a"}, row])))
    with pytest.raises(UserError, match=r"seven\.jsonl: line 2: no tombstone"):
        tombstones.read(path)


@pytest.mark.parametrize("text", ["{}", "[", "<<<<<<< ours", "null"])
def test_a_line_that_is_no_json_object_is_named(text, tmp_path):
    path = tmp_path / "seven.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=r"seven\.jsonl: line 1: no tombstone"):
        tombstones.read(path)


def test_a_character_that_ends_a_line_elsewhere_ends_none_here(tmp_path):
    path = tmp_path / "seven.jsonl"
    written = [
        Tombstone(f"request 17{mark}by mail", "2026-11-26", prompt="a") for mark in "\u2028\u2029\x85\v\f\x1c\r\n"
    ]
    tombstones.write(path, written)
    assert tombstones.read(path) == written


@pytest.mark.parametrize("content", [b'{"why": "\xff"}', b"[" * 200_000])
def test_what_no_program_wrote_is_named(content, tmp_path):
    (tmp_path / "seven.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"seven\.jsonl: line 1: no tombstone"):
        tombstones.read(tmp_path / "seven.jsonl")


def test_a_withdrawal_that_fails_leaves_the_tombstones_as_they_were(tmp_path):
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old.write_bytes(b"{}\r\n")
    for failure in (UserError, KeyboardInterrupt):
        with pytest.raises(failure), _undone_on_failure([old, new]):
            for path in (old, new):
                tombstones.write(path, [])
            raise failure
        assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]
        assert old.read_bytes() == b"{}\r\n"
    with _undone_on_failure([old, new]):
        tombstones.write(new, [])
    assert new.is_file()


def test_of_what_was_not_withdrawn_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = Withdrawal({}, [], ["results/summary.json"], 0)
    assert "what was withdrawn" not in as_text(done)
    tombstones.WORLD.parent.mkdir(parents=True)
    tombstones.write(tombstones.WORLD, [Tombstone("x", "2026-11-26", prompt="a")])
    assert "git's history and DVC's cache keep what was withdrawn" in as_text(done)
