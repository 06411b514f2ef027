"""The same method on a GPU."""

import pytest
import torch

from tests.unit.test_loop import PCGRAD, SETTINGS, denoiser, run


@pytest.mark.gpu
def test_a_gpu_unlearns_as_the_cpu_does_within_rounding():
    here, there = denoiser(), denoiser()
    there.module.to("cuda")
    expected, found = run(here), run(there, method=PCGRAD)
    for one, other in zip(expected, found, strict=True):
        assert other.forget_loss == pytest.approx(one.forget_loss, rel=1e-3)
        assert other.retain_loss == pytest.approx(one.retain_loss, rel=1e-3)
        assert other.cosine == pytest.approx(one.cosine, abs=1e-3)
    # a step of Adam is about the learning rate: far less than one apart
    distance = 0.1 * SETTINGS["learning_rate"]
    for one, other in zip(here.module.parameters(), there.module.parameters(), strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=0, atol=distance)
