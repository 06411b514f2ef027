"""The same method on a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import BUILDERS
from tests.unit.test_families import METHODS, base_model, corpus, halved, inputs, requests
from tests.unit.test_families import SETTINGS as FAMILY_SETTINGS
from tests.unit.test_loop import ANCHORED, FORGET, PCGRAD, RETAIN, SETTINGS, denoiser, run
from tests.unit.test_optimizers import RATE, drawn, flat, parameters
from tests.unit.tiny import ADAM8BIT, pairs
from unpaint import warm, weights
from unpaint.lineage.manifest import Manifest, sha256
from unpaint.models.base_model import load_denoiser, network_of
from unpaint.models.conditions import moved, taken
from unpaint.nearest import Anchors, distances
from unpaint.resume import Resume
from unpaint.sample import render
from unpaint.unlearn import loop, methods, optimizers


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
    texts = pairs(seed=3).conditions
    here, there = denoiser(), denoiser()
    there.module.to("cuda")
    expected, found = (
        distances(
            ("a", "b"), prompts, FORGET, anchors, model, lambda asked: taken(texts, [int(text) for text in asked]), 4
        )
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
@pytest.mark.parametrize("name", ["adam", ADAM8BIT, "sgd"])
def test_an_optimiser_moves_the_parameters_as_it_proposed_on_a_gpu(name):
    trained = [torch.nn.Parameter(parameter.detach().cuda()) for parameter in parameters()]
    optimizer = optimizers.build(name, trained, RATE)
    for step in range(4):
        given = [part.cuda() for part in drawn(step)]
        _, moved_by = optimizers.proposed(optimizer, trained, flat(given), step)
        before = flat(trained)
        for parameter, part in zip(trained, given, strict=True):
            parameter.grad = part
        optimizer.step()
        torch.testing.assert_close(before - flat(trained), RATE * moved_by, rtol=1e-3, atol=1e-5)


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


@pytest.mark.gpu
@pytest.mark.parametrize("family", BUILDERS)
def test_every_family_errs_on_a_gpu_as_on_the_cpu(checkpoints, family):
    given = inputs(base_model(checkpoints(family), family), family)
    errors = []
    for device in ("cpu", "cuda"):
        there = load_denoiser(checkpoints(family), device)
        with torch.no_grad():
            errors.append(there.residuals(*on([*given, there.spread(4)], device)).cpu())
    torch.testing.assert_close(errors[1], errors[0], rtol=1e-3, atol=1e-3)


def on(given, device):
    return [moved(each, device) if isinstance(each, dict) else each.to(device) for each in given]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("scope", ["full", "lora"])
@pytest.mark.parametrize("family", BUILDERS)
def test_every_family_unlearns_and_paints_on_a_gpu_in_half_precision(checkpoints, tmp_path, family, scope, precision):
    path = halved(checkpoints(family), tmp_path, precision)
    model = base_model(path, family, "cuda")
    forget, retain = corpus(model, family)
    settings = FAMILY_SETTINGS | METHODS["rgd"] | {"scope": scope, "unprompted": 0.0, "gradient_checkpointing": True}
    denoised = load_denoiser(path, "cuda", scope)
    first, _ = loop.unlearn(denoised, forget, retain, methods.find(settings), settings, seed=0)
    assert first.retain_loss == 0
    trained = {name: value for name, value in denoised.module.named_parameters() if value.requires_grad}
    stamp = Manifest("unlearn", {"method": settings, "seed": 0}, {"base": sha256(path)})
    weights.write(tmp_path / "model.safetensors", trained, stamp)
    weights.apply(network_of(model), tmp_path / "model.safetensors", path)
    once, twice = (next(render(model, requests(family)[:1], width=1, steps=2)) for _ in range(2))
    assert np.array_equal(once, twice)
