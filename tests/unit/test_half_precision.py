"""Half precision: in float16 no gradient is lost below its smallest number, and none comes out at another size."""

import pytest
import torch
from diffusers import DDPMScheduler

from tests.unit.tiny import pairs, unet
from unpaint.models.half_precision import HalfPrecision
from unpaint.models.latent_unet import LatentUNet
from unpaint.unlearn import loop

TINY = 1e-7
"""Of a loss so much smaller most gradients are below 6e-8, the smallest number of float16."""


def denoiser():
    found = LatentUNet(unet(), DDPMScheduler(num_train_timesteps=100))
    found.module.eval()
    return found


def gradient(model, weight, calls=1):
    """The gradient of `weight` times the mean squared residual, of so many backward passes together."""
    for call in range(calls):
        given = loop._inputs(model, pairs(seed=1), [call, call + 1], 0, call, "retain")
        (weight * model.residuals(*given).square().mean()).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.module.parameters()])


@pytest.mark.parametrize("weight", [1.0, TINY, -TINY, 1e4])
@pytest.mark.parametrize("calls", [1, 2])
def test_a_gradient_in_float16_is_that_in_float32_within_rounding(weight, calls):
    whole, half = gradient(denoiser(), weight, calls), gradient(HalfPrecision(denoiser(), torch.float16), weight, calls)
    assert half.dtype == torch.float32
    assert (half - whole).norm() < 0.01 * whole.norm()


def test_without_a_scale_it_would_be_lost():
    model = denoiser()
    given = loop._inputs(model, pairs(seed=1), [0, 1], 0, 0, "retain")
    with torch.autocast("cpu", torch.float16):
        residuals = model.residuals(*given)
    (TINY * residuals.square().mean()).backward()
    lost = torch.cat([parameter.grad.flatten() for parameter in model.module.parameters()])
    whole = gradient(denoiser(), TINY)
    assert (lost - whole).norm() > 0.5 * whole.norm()


def test_gradient_checkpointing_changes_no_bit():
    plain, again = (HalfPrecision(denoiser(), torch.float16) for _ in range(2))
    again.module.enable_gradient_checkpointing()
    again.module.train()
    assert torch.equal(gradient(plain, TINY), gradient(again, TINY))


def test_a_loss_that_is_flat_has_no_gradient():
    assert not gradient(HalfPrecision(denoiser(), torch.float16), 0.0).any()


def test_what_is_not_finite_stays_so():
    """So that the loop sees it."""
    assert not gradient(HalfPrecision(denoiser(), torch.float16), float("inf")).isfinite().any()


def test_residuals_are_those_of_autocast():
    model, half = denoiser(), HalfPrecision(denoiser(), torch.float16)
    given = loop._inputs(model, pairs(seed=1), [0, 1], 0, 0, "retain")
    with torch.autocast("cpu", torch.float16):
        expected = model.residuals(*given)
    found = half.residuals(*given)
    assert torch.equal(found, expected)
    with torch.no_grad():
        assert torch.equal(half.residuals(*given), expected)
