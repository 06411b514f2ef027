"""A manifest is the same text for the same content, and is found again in every kind of artefact."""

import json

import numpy as np
import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from safetensors.numpy import save_file

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.lineage import manifest as manifests
from unpaint.lineage.manifest import KEY, Manifest, read, sha256, write_json

MANIFEST = Manifest("unlearn", {"b": [1, 2.5, True], "a": {"y": "é", "x": None}}, {"forget": "f0", "base": "b0"})
TEXT = st.text(max_size=5)
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
NESTED = st.recursive(
    LEAVES, lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXT, part, max_size=3), max_leaves=5
)


def turned(value):
    """The same content with every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(part) for key, part in reversed(value.items())}
    return [turned(part) for part in value] if isinstance(value, list) else value


@given(st.dictionaries(TEXT, NESTED, max_size=4))
def test_the_text_does_not_depend_on_the_order_of_keys_and_reads_back(settings):
    one = Manifest("s", settings, {"a": "1", "b": "2"})
    other = Manifest("s", turned(settings), {"b": "2", "a": "1"})
    assert (one.dumps(), one.digest) == (other.dumps(), other.digest)
    assert Manifest.loads(one.dumps(), "x") == one


def test_another_order_of_a_list_is_another_manifest():
    assert Manifest("s", {"a": [1, 2]}, {}).digest != Manifest("s", {"a": [2, 1]}, {}).digest


def in_parquet(path):
    table = arrow.table({"a": [1]}).replace_schema_metadata({KEY: MANIFEST.dumps()})
    parquet.write_table(table, path)


def in_safetensors(path):
    save_file({"a": np.zeros(2)}, path, metadata={KEY: MANIFEST.dumps()})


def in_json(path):
    write_json(path, {KEY: MANIFEST.as_dict(), "x": 1})


def in_metrics(path):
    write_json(path, {KEY: [MANIFEST.as_dict()], "UA": 1})


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.parquet", in_parquet), ("a.safetensors", in_safetensors), ("a.json", in_json), ("metrics.json", in_metrics)],
)
def test_a_manifest_round_trips_through_every_format_in_the_same_bytes(name, write, tmp_path):
    write(tmp_path / name)
    assert read(tmp_path / name) == MANIFEST
    first = (tmp_path / name).read_bytes()
    write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == first


def foreign(path):
    match path.suffix:
        case ".parquet":
            parquet.write_table(arrow.table({"a": [1]}), path)
        case ".safetensors":
            save_file({"a": np.zeros(2)}, path)
        case ".json":
            write_json(path, {"x": 1})


@pytest.mark.parametrize("name", ["a.parquet", "a.safetensors", "a.json"])
def test_a_foreign_file_is_refused(name, tmp_path):
    foreign(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}: carries no manifest: made elsewhere, or a part of a pipeline$"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.parquet", "not a readable Parquet file; restore it or make it again"),
        ("a.safetensors", "missing, truncated or no safetensors file; restore it or make it again"),
        ("a.json", "not a readable JSON file; restore it or make it again"),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"\xff{"])
def test_a_missing_or_broken_file_is_refused(name, message, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: {message}$"):
        read(tmp_path / name)


@pytest.mark.parametrize("held", ["[1]", '"text"', '{"stage": "s"}', "3", "{"])
def test_what_is_no_manifest_is_refused(held):
    with pytest.raises(UserError, match=r"^x: its manifest cannot be read; make the file again$"):
        Manifest.loads(held, "x")


def test_a_manifest_of_another_schema_is_refused():
    text = json.dumps(MANIFEST.as_dict() | {"schema": 7})
    with pytest.raises(UserError, match=r"^x: manifest schema 7, this Unpaint reads 1; make it again$"):
        Manifest.loads(text, "x")


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.txt: files of kind .txt carry no manifest$"):
        read(tmp_path / "a.txt")


def test_json_is_readable_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": "é", "a": 1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": "é",\n  "a": 1\n}\n'
    with pytest.raises(ValueError, match=r"JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"a": 1})

    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr(manifests.os, "replace", fail)
    with pytest.raises(OSError, match=r"full"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "text",
    [
        '{"stage": "base", "settings": {"\\ud800": 1}, "inputs": {}, "schema": 1}',
        '{"stage": "base", "settings": {}, "inputs": {}, "schema": %s}' % ("1" * 5000),
        "[" * 200_000,
    ],
)
def test_what_no_program_wrote_is_no_manifest(text):
    with pytest.raises(UserError, match=r"^here: its manifest cannot be read"):
        Manifest.loads(text, "here")


@pytest.mark.parametrize("reading", [read, read_json])
def test_json_that_is_too_deep_is_named(reading, tmp_path):
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(UserError, match=r"a\.json: not a readable JSON file"):
        reading(tmp_path / "a.json")
