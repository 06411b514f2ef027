"""The optimisers: each does what it proposed, and 8 bits are enough for the moments of Adam."""

import sys

import pytest
import torch

from tests.unit.tiny import ADAM8BIT
from unpaint.errors import UserError
from unpaint.unlearn import optimizers

SHAPES = [(100, 70), (64,), (5000,), (48, 3, 3, 16)]
"""Tensors that bitsandbytes keeps in 8 bits, and small ones that it does not; the first two end in half a block."""
RATE = 1e-2


def parameters():
    random = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


def drawn(step):
    random = torch.Generator().manual_seed(step + 1)
    return [torch.randn(shape, generator=random) * 10.0 ** (-step) for shape in SHAPES]


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def take(optimizer, trained, step):
    for parameter, given in zip(trained, drawn(step), strict=True):
        parameter.grad = given
    optimizer.step()


@pytest.mark.parametrize("name", ["adam", ADAM8BIT, "sgd"])
def test_an_optimiser_moves_the_parameters_as_it_proposed(name):
    trained = parameters()
    optimizer = optimizers.build(name, trained, RATE)
    for step in range(4):
        inverse, moved = optimizers.proposed(optimizer, trained, flat(drawn(step)), step)
        before = flat(trained)
        take(optimizer, trained, step)
        torch.testing.assert_close(before - flat(trained), RATE * moved, rtol=1e-4, atol=1e-6)
        assert (inverse > 0).all()


@pytest.mark.parametrize("name", ["adam", ADAM8BIT])
def test_the_inverse_is_that_of_adam_s_own_preconditioner(name):
    """sqrt(v) + eps, v unbiased: of one step the gradient's own size."""
    trained = parameters()
    given = flat(drawn(0))
    inverse, _ = optimizers.proposed(optimizers.build(name, trained, RATE), trained, given, 0)
    torch.testing.assert_close(inverse, 1 / (given.abs() + optimizers.EPSILON), rtol=1e-4, atol=1e-4)


def test_what_is_proposed_is_not_yet_done():
    trained = parameters()
    optimizer = optimizers.build("adam", trained, RATE)
    take(optimizer, trained, 0)
    before, kept = (
        flat(trained),
        {name: value.clone() for name, value in optimizers.state(optimizer, named(trained)).items()},
    )
    optimizers.proposed(optimizer, trained, flat(drawn(1)), 1)
    assert torch.equal(flat(trained), before)
    assert all(torch.equal(value, kept[name]) for name, value in optimizers.state(optimizer, named(trained)).items())


def named(trained):
    return {str(at): parameter for at, parameter in enumerate(trained)}


def size(optimizer, trained):
    return sum(value.nbytes for value in optimizers.state(optimizer, named(trained)).values())


@pytest.mark.parametrize("name", [ADAM8BIT])
def test_8_bits_keep_a_quarter_and_follow_the_32(name):
    whole, short = parameters(), parameters()
    plain, small = optimizers.build("adam", whole, RATE), optimizers.build(name, short, RATE)
    start = flat(whole)
    for _ in range(20):
        take(plain, whole, 0)
        take(small, short, 0)
    assert size(small, short) < 0.27 * size(plain, whole)
    assert {value.dtype for value in optimizers.state(small, named(short)).values()} == {torch.uint8, torch.float32}
    gone, other = flat(whole) - start, flat(short) - start
    assert (gone - other).norm() < 0.1 * gone.norm()


@pytest.mark.parametrize("name", ["adam", ADAM8BIT, "sgd"])
def test_a_state_that_is_put_back_goes_on_in_the_same_bits(name):
    trained = parameters()
    optimizer = optimizers.build(name, trained, RATE)
    for step in range(2):
        take(optimizer, trained, step)
    kept = {key: value.clone() for key, value in optimizers.state(optimizer, named(trained)).items()}
    other = [torch.nn.Parameter(parameter.detach().clone()) for parameter in trained]
    resumed = optimizers.build(name, other, RATE)
    optimizers.put_back(resumed, named(other), kept, 2)
    for step in range(2, 4):
        take(optimizer, trained, step)
        take(resumed, other, step)
    assert torch.equal(flat(trained), flat(other))


@pytest.mark.parametrize("name", [ADAM8BIT])
def test_a_device_without_8_bits_is_refused(name):
    with pytest.raises(UserError, match="adam8bit does not run on meta; write adam, or device: cpu"):
        optimizers.build(name, [torch.nn.Parameter(torch.empty(5000, device="meta"))], RATE)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(UserError, match="adam8bit needs bitsandbytes, which is not installed: pip install bitsand"):
        optimizers.build("adam8bit", parameters(), RATE)
