"""Tombstones: what they cover, and what is none."""

import json

import pytest

from unpaint import tombstones
from unpaint.corpus import Row
from unpaint.errors import UserError
from unpaint.tombstones import Tombstone

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
