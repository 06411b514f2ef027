"""The same method on a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.test_loop import ANCHORED, FORGET, PCGRAD, RETAIN, SETTINGS, denoiser, run
from tests.unit.tiny import pairs
from unpaint import warm
from unpaint.nearest import Anchors, distances
from unpaint.resume import Resume
from unpaint.unlearn import loop


@pytest.mark.gpu
@pytest.mark.parametrize("truncation", [SETTINGS["truncation"], ANCHORED])
def test_a_gpu_unlearns_as_the_cpu_does_within_rounding(truncation):
    here, there = denoiser(), denoiser()
    there.module.to("cuda")
    expected, found = (run(model, method=PCGRAD, truncation=truncation) for model in (here, there))
    for one, other in zip(expected, found, strict=True):
        # past its anchor a picture counts nothing: one device may be there, the other within rounding of it
        assert other.forget_loss == pytest.approx(one.forget_loss, rel=1e-3, abs=1e-6)
        assert other.retain_loss == pytest.approx(one.retain_loss, rel=1e-3, abs=1e-6)
        assert other.cosine == pytest.approx(one.cosine, abs=1e-3)
    # a step of Adam is about the learning rate: far less than one apart
    distance = 0.1 * SETTINGS["learning_rate"]
    for one, other in zip(here.module.parameters(), there.module.parameters(), strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=0, atol=distance)


@pytest.mark.gpu
def test_a_gpu_ranks_anchors_as_the_cpu_does():
    prompts = [f"{number}" for number in range(len(FORGET))]
    target = dict.fromkeys(prompts, ("a", "b"))
    anchors = Anchors(target, {prompt: {"one": "0", "two": "1"} for prompt in prompts}, {})
    texts = pairs(seed=3).embeddings
    here, there = denoiser(), denoiser()
    there.module.to("cuda")
    expected, found = (
        distances(("a", "b"), prompts, FORGET, anchors, model, lambda asked: texts[[int(text) for text in asked]], 4)
        for model in (here, there)
    )
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.gpu
def test_a_stopped_run_goes_on_on_a_gpu(tmp_path):
    keep = [tmp_path / "state.safetensors", "stamp", 0]
    first, second = denoiser(), denoiser()
    for model in (first, second):
        model.module.to("cuda")
    stopped = loop.unlearn(first, FORGET, RETAIN, PCGRAD, SETTINGS, 0, Resume(*keep))
    next(stopped)
    stopped.close()
    assert len(run(second, resume=Resume(*keep))) == SETTINGS["steps"]


@pytest.mark.gpu
def test_a_fork_of_the_warm_process_may_use_the_gpu(tmp_path):
    (tmp_path / "job.py").write_text("import torch; torch.ones(1, device='cuda').item()", encoding="utf-8")
    ask = "from unpaint import warm; import sys; sys.exit(warm.hand_over('job', []) or 0)"
    environment = {"PYTHONPATH": str(Path(warm.__file__).parents[1]), **dict.fromkeys(warm.THREADS, "1")}
    code = f"import os; from unpaint import warm; os._exit(warm.run([{sys.executable!r}, '-c', {ask!r}], 1))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no warm process" not in done.stderr
