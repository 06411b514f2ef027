"""The training loop of the world's own networks: it repeats, resumes, averages, and stops at what is not finite."""

import math

import pytest
import torch

from unpaint.errors import UserError
from unpaint.resume import Resume
from unpaint.train.fit import fit

STEPS = 7


def network():
    torch.manual_seed(0)
    # batch norm has buffers, which a resumed run needs as well
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))


def records(model, resume=None, bad=None, **changes):
    def loss(step):
        data = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        return model(data).square().mean() * (math.nan if step == bad else 1)

    wanted = {"steps": STEPS, "learning_rate": 1e-2, "average": 0.5, **changes}
    return fit({"net": model}, loss, resume=resume, **wanted)


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("done", [1, 4, STEPS])
def test_a_resumed_training_ends_in_the_same_bits(tmp_path, done):
    whole, stopped, anew = network(), network(), network()
    list(records(whole))
    for record in records(stopped, Resume(tmp_path / "s", "x", 0)):
        if record.step == done:
            break
    steps = [record.step for record in records(anew, Resume(tmp_path / "s", "x", 1e9))]
    assert steps == list(range(done + 1, STEPS + 1))
    assert same(anew, whole)


def test_the_state_of_another_job_is_not_used(tmp_path):
    whole, anew = network(), network()
    list(records(whole))
    list(records(network(), Resume(tmp_path / "s", "other", 0)))
    assert len(list(records(anew, Resume(tmp_path / "s", "mine", 1e9)))) == STEPS
    assert same(anew, whole)


def test_the_average_lies_between_the_weights_passed_and_none_is_the_last(monkeypatch):
    averaged, plain = network(), network()
    passed = [
        {key: value.detach().clone() for key, value in plain.named_parameters()} for _ in records(plain, average=0.0)
    ]
    list(records(averaged))
    for key, value in averaged.named_parameters():
        seen = torch.stack([weights[key] for weights in passed] + [dict(network().named_parameters())[key].detach()])
        assert (value >= seen.amin(0) - 1e-7).all()
        assert (value <= seen.amax(0) + 1e-7).all()
    assert all(torch.equal(passed[-1][key], value) for key, value in plain.named_parameters())
    assert not same(averaged, plain)


def test_a_loss_that_is_not_finite_names_the_step_and_leaves_and_keeps_the_weights_before_it(tmp_path):
    model, before = network(), None
    message = r"^step 4 of 7: the loss is nan, its gradient's norm .*, not finite; the state before this step is kept; "
    with pytest.raises(UserError, match=message + "lower learning_rate$"):
        for _ in records(model, Resume(tmp_path / "s", "x", 1e9), bad=3):
            before = {key: value.detach().clone() for key, value in model.named_parameters()}
    assert all(torch.equal(before[key], value) for key, value in model.named_parameters())
    assert Resume(tmp_path / "s", "x").load()[0] == 3
    whole, anew = network(), network()
    list(records(whole))
    list(records(anew, Resume(tmp_path / "s", "x", 1e9)))
    assert same(anew, whole)


def test_a_gradient_that_is_not_finite_is_found_before_it_reaches_the_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    steps = fit({"net": model}, lambda _: model(torch.ones(1, 1)).sqrt().sum(), steps=2, learning_rate=0.1)
    with pytest.raises(UserError, match=r"^step 1 of 2: the loss is 0, its gradient's norm (inf|nan), not finite;"):
        list(steps)
    assert model.weight.item() == 0
