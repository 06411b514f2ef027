"""A pool whose job was stopped: what was painted is not painted again, and the bytes are those of one that was not."""

import json
from pathlib import Path

import pytest

from unpaint import corpus
from unpaint.lineage.manifest import sha256
from unpaint.lineage.stage import run
from unpaint.models.latent_unet import StableDiffusion
from unpaint.stages.samples import samples

SETTINGS = {"threads": 1, "device": "cpu", "sampling": {"width": 2, "steps": 2, "guidance": 2.0}}


def row(prompt, seed, **more):
    return {"prompt": prompt, "seed": seed, "pair": f"p-{seed}", "attributes": {"digit": "two"}, **more}


LISTS = {
    "forget": [row("a red two", 1), row("a blue two", 2), row("four two", 3)],
    "retain": [row("a red one", 1), row("a blue one", 2)],
    "table": [
        # the prompt and the seed of a row of a list, and other pictures
        row("a red two", 1, guidance=5.0, width=None, height=None),
        row("a red one", 1, guidance=None, width=24, height=16),
        row("a two", 7, guidance=5.0, width=None, height=None),
        row("a one", 8, guidance=5.0, width=None, height=None),
    ],
}
"""In batches of two: three of the lists, two of the guidance 5, one of the other size."""


@pytest.fixture
def paint(checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("test.json").write_text(json.dumps(LISTS))
    real, base = StableDiffusion.paint, checkpoints("SD1")

    def found(place, stop=None, lists="test.json", **settings):
        """Run the job, stopped as its batch number `stop` begins; the prompts that it painted, with their guidance."""
        painted = []

        def watched(self, prompts, generators, steps):
            if len(painted) == stop:
                raise KeyboardInterrupt
            painted.append((tuple(prompts), self.guidance, self.frame))
            return real(self, prompts, generators, steps)

        monkeypatch.setattr(StableDiffusion, "paint", watched)
        out = [f"--{role}={place}/{name}" for role, name in (("pool", "samples.parquet"), ("rows", "samples.rows.tsv"))]
        given = ["--settings", json.dumps(SETTINGS | settings), f"--base={base}", f"--prompts={lists}"]
        if stop is None:
            run(samples, [*given, *out])
        else:
            with pytest.raises(KeyboardInterrupt):
                run(samples, [*given, *out])
            assert not Path(place, "samples.parquet").exists()
        return painted

    return found


@pytest.mark.parametrize("stop", range(7))
def test_a_job_that_was_stopped_paints_the_rest_alone(stop, paint, capsys):
    whole = paint("whole")
    assert len(whole) == 6
    begun = paint("other", stop) if stop < 6 else []
    assert begun == whole[: len(begun)]
    capsys.readouterr()
    assert begun + paint("other") == whole
    said = capsys.readouterr().err
    if 0 < stop < 6:
        assert f"samples: {min(5, 2 * stop)} were rendered before" in said
    if stop == 5:
        assert "samples (table): 3 were rendered before" in said
    for name in ("samples.parquet", "samples.rows.tsv"):
        assert sha256(Path("whole", name)) == sha256(Path("other", name))
    assert not list(Path("scratch").iterdir())
    pool = corpus.read(Path("whole/samples.parquet"))
    assert len({row.sha256 for row in pool}) == len(pool)


def test_pools_that_are_painted_at_once_share_nothing(paint):
    paint("one", 3)
    kept = sorted(Path("scratch").iterdir())
    assert kept
    assert len(paint("two")) == 6
    # the one that is done clears its own
    assert sorted(Path("scratch").iterdir()) == kept
    assert len(paint("one")) == 3


def test_of_other_settings_guidance_or_size_nothing_is_taken(paint):
    paint("pool", 5)
    assert len(paint("pool", 4, sampling={**SETTINGS["sampling"], "guidance": 3.0})) == 4
    changed = [{**one, "guidance": 4.0} if one["guidance"] else one for one in LISTS["table"]]
    Path("changed.json").write_text(json.dumps({**LISTS, "table": changed}))
    # the lists are there, and of the table none
    assert len(paint("pool", lists="changed.json")) == 3
