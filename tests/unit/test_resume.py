"""Resume states: whole, and good for one job alone."""

import pytest
import torch

from unpaint import resume as module
from unpaint.lineage.manifest import Manifest
from unpaint.resume import Resume

JOB = Manifest("base", {"seed": 1}, {"world": "w"})


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Resume.of(JOB, "cpu").save(7, {"a": torch.ones(3)})


def test_a_state_is_found_again_by_the_same_job(saved):
    done, tensors = Resume.of(JOB, "cpu").load()
    assert (done, list(tensors)) == (7, ["a"])
    assert torch.equal(tensors["a"], torch.ones(3))


def test_a_state_of_other_settings_data_device_part_or_code_is_not_used(saved, monkeypatch):
    others = [Manifest("base", {"seed": 2}, {"world": "w"}), Manifest("base", {"seed": 1}, {"world": "v"})]
    assert all(Resume.of(other, "cpu").load() is None for other in others)
    assert Resume.of(JOB, "cuda").load() is None
    assert Resume.of(JOB, "cpu", "vae").load() is None
    monkeypatch.setattr(module, "sources_hash", lambda: "edited")
    assert Resume.of(JOB, "cpu").load() is None


def test_a_truncated_state_is_not_used(saved):
    path = Resume.of(JOB, "cpu").path
    path.write_bytes(path.read_bytes()[:-4])
    assert Resume.of(JOB, "cpu").load() is None


def test_a_state_is_due_after_its_time_and_takes_a_tenth_of_it_at_most(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    state = Resume(tmp_path / "state.safetensors", "stamp", every=60.0)
    now[0] = 59.0
    assert not state.due()
    now[0] = 60.0
    assert state.due()
    monkeypatch.setattr(module.os, "replace", lambda *_: now.__setitem__(0, 80.0))  # the save takes 20 s
    state.save(1, {"a": torch.ones(1)})
    now[0] = 80.0 + 179.0
    assert not state.due()
    now[0] = 80.0 + 180.0
    assert state.due()
    assert Resume(tmp_path / "state.safetensors", "stamp", every=0).due()
