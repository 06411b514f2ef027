"""Rendered pictures that are kept: good for what determines them alone, and for one set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unpaint import rendered as module
from unpaint.corpus import Row, encode, write
from unpaint.lineage.manifest import Manifest
from unpaint.rendered import Rendered

JOB = Manifest("images", {"set": "forget", "sampling": {"steps": 6}}, {"base": "b", "prompts": "p"})

PLACE = Path("results/seven/images")


def of(job=JOB, place=PLACE, **others):
    return Rendered(job, place, {"device": "cpu", "packages": {"torch": "2.0"}, **others}, "sources")


def rows(count):
    random = np.random.default_rng(0)
    pictures = [encode(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(count)]
    return [Row(picture, f"prompt {n}", f"pair-{n}", n, {"digit": "one"}) for n, picture in enumerate(pictures)]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = rows(5)
    of().add(found[:2])
    of().add(found[2:])
    return {(row.prompt, row.seed): row for row in found}


def test_they_are_found_for_any_list_of_prompts(kept):
    assert of().load() == kept
    assert of(replace(JOB, inputs={**JOB.inputs, "prompts": "others", "withdrawn": "w"})).load() == kept


def test_those_of_other_settings_models_place_environment_or_code_are_not_used(kept):
    assert not of(replace(JOB, settings={**JOB.settings, "sampling": {"steps": 7}})).load()
    assert not of(replace(JOB, inputs={"base": "another", "prompts": "p"})).load()
    assert not of(replace(JOB, inputs={**JOB.inputs, "model": "unlearned"})).load()
    assert not of(place=Path("results/eight/images")).load()
    for other in ({"device": "cuda"}, {"packages": {"torch": "2.0", "diffusers": "1"}}, {"processor": "another"}):
        assert not of(**other).load()
    assert not Rendered(JOB, PLACE, {"device": "cpu", "packages": {"torch": "2.0"}}, "edited").load()


def test_a_broken_file_is_passed_over_and_what_is_whole_is_used(kept, tmp_path):
    first, _ = sorted((tmp_path / "scratch").iterdir())
    first.write_bytes(first.read_bytes()[:-5])
    assert of().load() == dict(list(kept.items())[2:])


def test_a_corpus_is_taken_as_it_is_by_its_note(kept, tmp_path, monkeypatch):
    other = Row(rows(6)[5].image, "prompt 5", "pair-5", 5, {"digit": "one"})
    PLACE.mkdir(parents=True)
    write(PLACE / "forget.parquet", [other], JOB)
    whole = (PLACE / "forget.parquet").read_bytes()
    here = module.note.environment("cpu")
    said = {"manifest": JOB.as_dict(), "seconds": 3, **here}
    Rendered.of_corpus(PLACE / "forget.parquet", said, module.note.sources_hash()).take(PLACE / "forget.parquet")
    mine = Rendered.here(JOB, PLACE, "cpu")
    assert mine.load() == {("prompt 5", 5): other}
    # deleting one set's touches no other's, and takes with it what is of other code, or half written
    (tmp_path / "scratch" / f"{of()._stem}-000009.1.partial").touch()
    elsewhere = of(place=Path("results/eight/images"))
    elsewhere.add([other])
    mine.clear()
    assert not mine.load()
    assert not of().load()
    assert elsewhere.load() == {("prompt 5", 5): other}
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    assert (PLACE / "forget.parquet").read_bytes() == whole
    module.clear_all()
    assert not list((tmp_path / "scratch").iterdir())
