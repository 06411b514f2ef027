"""Rendered pictures that are kept: good for what determines them alone."""

from dataclasses import replace

import numpy as np
import pytest

from unpaint import rendered as module
from unpaint.corpus import Row, encode, write
from unpaint.lineage.manifest import Manifest
from unpaint.rendered import Rendered

JOB = Manifest("images", {"set": "forget", "sampling": {"steps": 6}}, {"base": "b", "prompts": "p"})


def rows(count):
    random = np.random.default_rng(0)
    pictures = [encode(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(count)]
    return [Row(picture, f"prompt {n}", f"pair-{n}", n, {"digit": "one"}) for n, picture in enumerate(pictures)]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = rows(5)
    Rendered(JOB, "cpu").add(found[:2])
    Rendered(JOB, "cpu").add(found[2:])
    return {(row.prompt, row.seed): row for row in found}


def test_they_are_found_for_any_list_of_prompts(kept):
    assert Rendered(JOB, "cpu").load() == kept
    assert Rendered(replace(JOB, inputs={**JOB.inputs, "prompts": "others", "withdrawn": "w"}), "cpu").load() == kept


def test_those_of_other_settings_base_device_torch_or_code_are_not_used(kept, monkeypatch):
    assert not Rendered(replace(JOB, settings={**JOB.settings, "sampling": {"steps": 7}}), "cpu").load()
    assert not Rendered(replace(JOB, inputs={"base": "another", "prompts": "p"}), "cpu").load()
    assert not Rendered(JOB, "cuda").load()
    assert not Rendered(JOB, "cpu", "1.0").load()
    monkeypatch.setattr(module, "sources_hash", lambda: "edited")
    assert not Rendered(JOB, "cpu").load()


def test_a_broken_file_is_passed_over_and_what_is_whole_is_used(kept, tmp_path):
    first, _ = sorted((tmp_path / "scratch").iterdir())
    first.write_bytes(first.read_bytes()[:-5])
    assert Rendered(JOB, "cpu").load() == dict(list(kept.items())[2:])


def test_a_corpus_is_taken_as_it_is_and_cleared_without_harm(kept, tmp_path):
    other = Row(rows(6)[5].image, "prompt 5", "pair-5", 5, {"digit": "one"})
    write(tmp_path / "corpus.parquet", [other], JOB)
    whole = (tmp_path / "corpus.parquet").read_bytes()
    note = {"manifest": JOB.as_dict(), "device": "cpu", "packages": {"torch": module.version("torch")}}
    Rendered.of_note(note).take(tmp_path / "corpus.parquet")
    assert Rendered(JOB, "cpu").load() == {**kept, ("prompt 5", 5): other}
    Rendered(JOB, "cpu").clear()
    assert not Rendered(JOB, "cpu").load()
    assert (tmp_path / "corpus.parquet").read_bytes() == whole
