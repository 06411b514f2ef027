"""The optimisers: each does what it proposed, and 8 bits are enough for the moments of Adam."""

import math
import sys

import pytest
import torch

from tests.unit.tiny import ADAM8BIT
from unpaint.errors import UserError
from unpaint.unlearn import optimizers

SHAPES = [(100, 70), (64,), (5000,), (48, 3, 3, 16)]
"""Tensors that bitsandbytes keeps in 8 bits, and one that it does not; the first and the third end within a block."""
RATE = 1e-2


def parameters():
    random = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


def drawn(step):
    """Gradients that differ in size, from step to step and within a block; some are always 0."""
    random = torch.Generator().manual_seed(step + 1)
    sizes = [10.0 ** (torch.arange(math.prod(shape)) % 4 - 3) for shape in SHAPES]
    zero = [torch.arange(math.prod(shape)) % 7 > 0 for shape in SHAPES]
    return [
        torch.randn(shape, generator=random) * (size * there).view(shape) * 10.0 ** (-step)
        for shape, size, there in zip(SHAPES, sizes, zero, strict=True)
    ]


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


def test_the_inverse_is_that_of_adam_s_own_preconditioner():
    """sqrt(v) + eps, v unbiased: of one step the gradient's own size."""
    trained = parameters()
    given = flat(drawn(0))
    inverse, _ = optimizers.proposed(optimizers.build("adam", trained, RATE), trained, given, 0)
    torch.testing.assert_close(inverse, 1 / (given.abs() + optimizers.EPSILON), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["adam", ADAM8BIT])
@pytest.mark.parametrize("count", [1, len(SHAPES)])
def test_what_is_proposed_is_not_yet_done(name, count):
    trained = parameters()
    optimizer = optimizers.build(name, trained, RATE)
    take(optimizer, trained, 0)
    before, kept = (
        flat(trained),
        {name: value.clone() for name, value in optimizers.state(optimizer, named(trained)).items()},
    )
    optimizers.proposed(optimizer, trained[:count], flat(drawn(1)[:count]), 1)
    assert torch.equal(flat(trained), before)
    assert all(torch.equal(value, kept[name]) for name, value in optimizers.state(optimizer, named(trained)).items())


def named(trained):
    return {str(at): parameter for at, parameter in enumerate(trained)}


def size(optimizer, trained):
    return sum(value.nbytes for value in optimizers.state(optimizer, named(trained)).values())


@pytest.mark.parametrize("name", [ADAM8BIT])
def test_8_bits_keep_a_quarter_and_follow_the_32(name):
    """As far as the gradients of neighbours differ tenfold at most: what is far smaller is lost beside the largest."""
    start, random = torch.zeros(51_200), torch.Generator().manual_seed(0)
    sizes = 10.0 ** -(torch.arange(len(start)) % 2)
    whole, short = ([torch.nn.Parameter(start.clone())] for _ in range(2))
    plain, small = optimizers.build("adam", whole, RATE), optimizers.build(name, short, RATE)
    steady = torch.randn(len(start), generator=random)
    for _ in range(100):
        given = sizes * (torch.randn(len(start), generator=random) + 0.3 * steady)
        for optimizer, (parameter,) in ((plain, whole), (small, short)):
            parameter.grad = given.clone()
            optimizer.step()
    assert size(small, short) < 0.26 * size(plain, whole)
    assert {value.dtype for value in optimizers.state(small, named(short)).values()} == {torch.uint8, torch.float32}
    for part in (sizes == 1, sizes < 1):
        gone, other = flat(whole)[part], flat(short)[part]
        assert (gone - other).norm() < 0.05 * gone.norm()


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
    with pytest.raises(UserError, match="adam8bit needs bitsandbytes, which is not installed: pip install 'bitsand"):
        optimizers.build("adam8bit", parameters(), RATE)


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match=r"^optimizer: adamw is none of adam, adam8bit, sgd$"):
        optimizers.build("adamw", parameters(), RATE)
