"""The loop on a tiny U-Net: its telemetry is measured, its guarantee holds, its runs repeat."""

import gc
import math
from dataclasses import astuple, replace

import pytest
import torch
from diffusers import DDPMScheduler

from tests.unit.tiny import ADAM8BIT, pairs, unet
from unpaint.errors import UserError
from unpaint.models.conditions import taken
from unpaint.models.latent_unet import LatentUNet
from unpaint.resume import Resume
from unpaint.unlearn import loop, optimizers
from unpaint.unlearn.frozen import Frozen
from unpaint.unlearn.gradient import SURGERIES
from unpaint.unlearn.methods import Method, find
from unpaint.unlearn.objectives import anchored_loss, forget_loss, retain_loss

FORGET, RETAIN = pairs(seed=1), pairs(seed=2)
SETTINGS = {
    "scope": "full",
    "lora_rank": 2,
    "steps": 3,
    "batch": 2,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "hold": 1.0,
    "settle": 0.0,
    "retain_weight": 2.0,
    "gradient_checkpointing": False,
    "unprompted": 0.25,
    "retain_target": "pictures",
    "truncation": {"mode": "clamp", "value": 50.0},
    "guard": True,
}
PCGRAD = Method(SURGERIES["pcgrad"])


def denoiser(kind="epsilon", optimizer="adam"):
    # bitsandbytes keeps tensors of fewer than 4,096 numbers whole
    wide = {"block_out_channels": (32,)} if optimizer == "adam8bit" else {}
    return LatentUNet(unet(**wide), DDPMScheduler(num_train_timesteps=100, prediction_type=kind))


def run(model, forget=FORGET, retain=RETAIN, method=PCGRAD, seed=0, resume=None, **changes):
    return list(loop.unlearn(model, forget, retain, method, {**SETTINGS, **changes}, seed, resume))


def values(model):
    return {name: value.detach().clone() for name, value in model.module.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def errors(model, *where):
    return model.residuals(*loop._inputs(model, *where)).square()


def losses(model, forget, retain, step, batches=1, batch=2):
    """The two losses of a step, put together anew from the loop's own rows and noise."""
    with torch.no_grad():
        lost = errors(model, forget, loop._rows(len(forget), batch, step, 0), 0, step, "forget").mean()
        turns = [step * batches + part for part in range(batches)]
        kept = [
            errors(model, retain, loop._rows(len(retain), batch, turn, 0), 0, turn, "retain", SETTINGS["unprompted"])
            for turn in turns
        ]
        return float(lost), float(sum(part.mean() for part in kept) / batches)


@pytest.mark.parametrize(
    ("kind", "guard", "batches", "optimizer", "rate"),
    [
        ("epsilon", True, 1, "adam", 2e-6),
        ("epsilon", False, 3, "adam", 2e-6),
        ("v_prediction", False, 1, "adam", 2e-6),
        ("v_prediction", True, 3, "adam", 2e-6),
        pytest.param("epsilon", True, 1, "adam8bit", 2e-6, marks=ADAM8BIT.marks),
        pytest.param("v_prediction", False, 3, "adam8bit", 2e-6, marks=ADAM8BIT.marks),
        ("epsilon", True, 1, "sgd", 1e-5),
        ("v_prediction", False, 3, "sgd", 1e-5),
    ],
)
def test_the_first_order_changes_are_the_measured_changes_of_the_losses(kind, guard, batches, optimizer, rate):
    model = denoiser(kind, optimizer)
    method = Method(SURGERIES["pcgrad"], batches)
    before, seen = losses(model, FORGET, RETAIN, 0, batches), []
    changes = {"learning_rate": rate, "optimizer": optimizer, "guard": guard, "steps": 2}
    for step in loop.unlearn(model, FORGET, RETAIN, method, {**SETTINGS, **changes}, 0):
        after = losses(model, FORGET, RETAIN, step.step - 1, batches)
        seen.append((step, after[0] - before[0], after[1] - before[1]))
        before = losses(model, FORGET, RETAIN, step.step, batches)
    for step, lost, kept in seen:
        size = max(abs(lost), abs(kept))
        assert size > 1e-6
        assert step.forget_change == pytest.approx(-lost, abs=0.1 * size)
        assert step.retain_change == pytest.approx(kept, abs=0.1 * size)


def test_the_rate_holds_and_then_falls_towards_nothing():
    assert [loop._fall(step, 10, 0.4) for step in range(5)] == [1] * 5
    assert loop._fall(7, 10, 0.4) == pytest.approx(0.5)
    assert 0 < loop._fall(9, 10, 0.4) < 0.1
    assert [loop._fall(step, 10, 1.0) for step in range(10)] == [1] * 10
    assert loop._fall(9, 10, 0.0) == pytest.approx(0.5 * (1 + math.cos(0.9 * math.pi)))


def test_a_falling_rate_changes_the_later_steps_alone():
    constant, falling = (run(denoiser(), hold=hold, steps=4) for hold in (1.0, 0.5))
    assert constant[:3] == falling[:3]
    assert abs(falling[3].retain_change) < abs(constant[3].retain_change)


def test_a_run_settles_in_its_later_steps_alone():
    throughout, settling = (run(denoiser(), settle=settle, steps=4) for settle in (0.0, 0.5))
    assert throughout[:2] == settling[:2]
    assert settling[2].retain_change < throughout[2].retain_change < 0


@pytest.mark.parametrize("surgery", ["pcgrad", "cone"])
def test_while_a_run_settles_it_mends_what_was_lost_and_forgets_no_less(surgery):
    """A plain gradient step: all but the retain gradient, less its part against the forget gradient."""
    steps = run(denoiser(), method=Method(SURGERIES[surgery]), steps=4, settle=0.75, optimizer="sgd", guard=False)
    assert any(step.conflict for step in steps[1:])
    for step in steps[1:]:
        assert step.retain_change < 0
        assert step.forget_change <= 1e-3 * abs(step.retain_change)
        if step.conflict:
            assert abs(step.forget_change) < 0.01 * abs(step.retain_change)


def test_without_surgery_what_settles_may_be_learned_again():
    steps = run(
        denoiser(), retain=FORGET, method=find({"method": "graddiff"}), settle=1.0 - 1e-9, optimizer="sgd", guard=False
    )
    assert all(step.forget_change > 0 for step in steps[1:])


def test_the_reported_losses_are_those_before_the_step():
    model = denoiser()
    lost, kept = losses(model, FORGET, RETAIN, 0)
    first = run(model, steps=1)[0]
    assert (first.step, first.forget_loss, first.retain_loss) == (1, pytest.approx(lost), pytest.approx(kept))


@pytest.mark.parametrize("optimizer", ["adam", ADAM8BIT, "sgd"])
@pytest.mark.parametrize("surgery", SURGERIES)
def test_a_guarded_step_never_raises_either_loss_to_first_order(surgery, optimizer):
    model = denoiser(optimizer=optimizer)
    for step in run(model, method=Method(SURGERIES[surgery]), steps=6, optimizer=optimizer):
        slack = 1e-6 * (abs(step.forget_change) + abs(step.retain_change)) + 1e-12
        assert step.forget_change <= slack
        assert step.retain_change <= slack


CONFLICT = {"retain": FORGET, "learning_rate": 1e-2, "retain_weight": 0.125, "steps": 6}
"""Unlearning what is to be kept as well."""


@pytest.mark.parametrize("surgery", ["pcgrad", "cone"])
def test_plain_sgd_keeps_the_guarantee_of_the_paper_without_a_guard(surgery):
    method = Method(SURGERIES[surgery])
    for step in run(denoiser(), method=method, guard=False, optimizer="sgd", **{**CONFLICT, "learning_rate": 1e-4}):
        assert step.conflict
        assert max(step.forget_change, step.retain_change) < 1e-9


def test_plain_sgd_without_surgery_breaks_it():
    method = Method(SURGERIES["none"])
    steps = run(denoiser(), method=method, guard=False, optimizer="sgd", **{**CONFLICT, "learning_rate": 1e-4})
    assert any(step.retain_change > 1e-6 for step in steps)


def test_plain_adam_breaks_the_guarantee_of_the_paper_s_surgery():
    steps = run(denoiser(), guard=False, **CONFLICT)
    assert any(max(step.forget_change, step.retain_change) > 1e-3 for step in steps)
    assert not any(step.guarded for step in steps)


def test_guard_keeps_it_and_marks_the_steps_that_it_corrected():
    steps = run(denoiser(), **CONFLICT)
    assert {step.guarded for step in steps} == {True, False}
    assert all(max(step.forget_change, step.retain_change) < 1e-6 for step in steps)


@pytest.mark.parametrize("factor", [1e-3, 1e-4, 1e3])
def test_telemetry_and_guard_bear_a_retain_gradient_of_another_size(factor):
    """A retain gradient far smaller than the forget gradient must not drown in what the guard computes from both."""
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.zeros(64))
    f, r = torch.randn(64), torch.randn(64)
    r = r - 1.2 * (r @ f) / (f @ f) * f
    r *= factor
    adam = optimizers.build("adam", [parameter], 1e-3)
    a, b = PCGRAD.surgery(loop.gradient.gram([[f], [r]]), 1.0)
    combined = [r.clone()]
    loop.gradient.combine([f], combined, a, b)
    parameter.grad = combined[0]
    changes, _ = loop._guard(adam, 0, [f], combined, a, b, True)
    adam.step()
    taken = parameter.detach().double()
    for change, vector in zip(changes.tolist(), (f, r), strict=True):
        size = float(vector.double().norm() * taken.norm())
        assert change == pytest.approx(float(taken @ vector.double()), abs=1e-3 * size)
        assert change <= 1e-3 * size


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("optimizer", ["adam", ADAM8BIT, "sgd"])
def test_a_resumed_run_ends_in_the_same_bits_and_yields_the_same_records(tmp_path, done, optimizer):
    whole = denoiser(optimizer=optimizer)
    records = run(whole, optimizer=optimizer)
    keep = [tmp_path / "state.safetensors", "stamp", 0]
    settings = {**SETTINGS, "optimizer": optimizer}
    stopped = loop.unlearn(denoiser(optimizer=optimizer), FORGET, RETAIN, PCGRAD, settings, 0, Resume(*keep))
    for _ in range(done):
        next(stopped)
    stopped.close()
    left, state = Resume(*keep).load()
    assert left == done
    assert any(value.dtype == torch.uint8 for value in state.values()) is (optimizer == "adam8bit")
    anew = denoiser(optimizer=optimizer)
    assert run(anew, optimizer=optimizer, resume=Resume(*keep)) == records
    assert same(values(anew), values(whole))


def test_a_state_of_another_job_is_ignored(tmp_path):
    path = tmp_path / "state.safetensors"
    run(denoiser(), seed=5, resume=Resume(path, "other", 0))
    anew = denoiser()
    run(anew, resume=Resume(path, "mine", 1e9))
    whole = denoiser()
    run(whole)
    assert same(values(anew), values(whole))


def test_cross_attention_trains_attn2_alone_and_its_gram_sees_nothing_else(monkeypatch):
    sizes, true = [], loop.gradient.gram
    monkeypatch.setattr(
        loop.gradient, "gram", lambda given: (sizes.append([len(part) for part in given]), true(given))[1]
    )
    model = denoiser()
    before = values(model)
    wanted = {name for name in before if ".attn2." in name}
    run(model, scope="cross-attention")
    after = values(model)
    assert {name for name in before if not torch.equal(before[name], after[name])} == wanted
    assert sizes == [[len(wanted)] * 2] * SETTINGS["steps"]
    # a gradient that is left over anywhere would add up over the run and enter the next projection
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_each_step_s_gram_is_of_that_step_s_gradients_alone(monkeypatch):
    seen, true = [], loop.gradient.gram
    monkeypatch.setattr(loop.gradient, "gram", lambda given: (seen.append(true(given)), seen[-1])[1])
    model = denoiser()
    steps = loop.unlearn(model, FORGET, RETAIN, PCGRAD, SETTINGS, 0)
    next(steps)
    trained = list(model.module.parameters())
    own = [
        [part.detach() for part in torch.autograd.grad(sign * errors(model, *where).mean(), trained)]
        for sign, where in (
            (-1, (FORGET, loop._rows(6, 2, 1, 0), 0, 1, "forget")),
            (1, (RETAIN, loop._rows(6, 2, 1, 0), 0, 1, "retain", SETTINGS["unprompted"])),
        )
    ]
    next(steps)
    torch.testing.assert_close(seen[1], true(own), rtol=1e-4, atol=1e-7)


def test_a_pass_through_the_network_finds_two_gradients_at_most(monkeypatch):
    """That of the forget loss and that of the retain batches so far; nothing of the step before."""
    model, found = denoiser(), []
    parameter = model.module.time_embedding.linear_2.weight
    plain = model.residuals

    def alive():
        gc.collect()
        there = {
            each.data_ptr() for each in gc.get_objects() if torch.is_tensor(each) and each.shape == parameter.shape
        }
        return len(there if parameter.grad is None else there | {parameter.grad.data_ptr()})

    def counting(*given):
        found.append(alive())
        return plain(*given)

    before = alive()
    monkeypatch.setattr(model, "residuals", counting)
    run(model, method=Method(SURGERIES["pcgrad"], retain_batches=2))
    moments = 2
    assert [count - before for count in found] == [0, 1, 2, *[moments, moments + 1, moments + 2] * 2]


def test_lora_trains_adapters_alone():
    model = denoiser()
    before = values(model)
    run(model, scope="lora")
    after = values(model)
    adapters = {name for name, parameter in model.module.named_parameters() if parameter.requires_grad}
    assert adapters
    assert all(".lora_" in name for name in adapters)
    assert same({name.replace(".base_layer", ""): after[name] for name in after if name not in adapters}, before)
    assert any(after[name].abs().sum() > 0 for name in adapters if ".lora_B" in name)


@pytest.mark.parametrize("together", [1, 2, 3, 4])
def test_rgd_averages_its_retain_batches_before_the_surgery_however_many_pass_at_once(together):
    given = {"method": "rgd", "surgery": "pcgrad", "retain_batches_per_step": 3, "retain_batches_per_pass": together}
    model, sizes = denoiser(), []
    kept = losses(model, FORGET, RETAIN, 0, batches=3)[1]
    model.module.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0]) // SETTINGS["batch"]))
    first, second = run(model, method=find(given), steps=2)
    assert first.retain_loss == pytest.approx(kept)
    assert sizes == 2 * {1: [1, 1, 1, 1], 2: [1, 2, 1], 3: [1, 3], 4: [1, 3]}[together]
    alone = run(denoiser(), method=find({**given, "retain_batches_per_pass": 1}), steps=2)[1]
    assert astuple(second) == pytest.approx(astuple(alone), rel=1e-3)


def test_the_guard_s_spans_are_all_parameters_in_order_of_one_type_each_and_of_bounded_size(monkeypatch):
    monkeypatch.setattr(loop, "SPAN", 10)
    given = [(4, "float32"), (6, "float32"), (1, "float32"), (2, "float16"), (30, "float16"), (3, "float16")]
    parameters = [torch.nn.Parameter(torch.zeros(size, dtype=getattr(torch, kind))) for size, kind in given]
    spans = list(loop._spans(parameters))
    assert [(span.start, span.stop) for span in spans] == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_the_guard_is_the_same_whatever_its_spans(monkeypatch):
    whole, parted = denoiser(), denoiser()
    run(whole, **CONFLICT)
    monkeypatch.setattr(loop, "SPAN", 100)
    run(parted, **CONFLICT)
    for one, other in zip(values(whole).values(), values(parted).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("role", ["forget", "retain"])
def test_a_loss_that_is_not_finite_names_the_step_and_leaves_the_parameters_before_it(role, tmp_path):
    good = {"forget": FORGET, "retain": RETAIN}
    bad = next(row for row in loop._rows(6, 2, 1, 0) + loop._rows(6, 2, 2, 0) if row not in loop._rows(6, 2, 0, 0))
    at = next(step for step in range(3) if bad in loop._rows(6, 2, step, 0))
    mean = good[role].mean.clone()
    mean[bad] = math.nan
    poisoned = good | {role: replace(good[role], mean=mean)}
    model, seen, before = denoiser(), [], None
    with pytest.raises(UserError, match=rf"^step {at + 1} of 3: the forget loss is .*not finite.*lower learning_rate$"):
        for step in loop.unlearn(model, *poisoned.values(), PCGRAD, SETTINGS, 0, Resume(tmp_path / "s", "x", 1e9)):
            seen, before = [*seen, step], values(model)
    assert len(seen) == at
    assert same(values(model), before)
    assert Resume(tmp_path / "s", "x").load()[0] == at


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    one, other, third = denoiser(), denoiser(), denoiser()
    torch.manual_seed(1)
    first = run(one)
    torch.manual_seed(2)
    assert [astuple(step) for step in run(other)] == [astuple(step) for step in first]
    run(third, seed=1)
    assert same(values(one), values(other))
    assert not same(values(one), values(third))


def inputs(*where, corpus=FORGET):
    return loop._inputs(denoiser(), corpus, *where)


def test_the_noise_of_a_row_depends_on_neither_its_batch_mates_nor_its_place():
    together, apart = inputs([1, 4, 2], 7, 3, "forget"), inputs([2, 0], 7, 3, "forget")
    for name in ("latents", "noise", "times"):
        assert torch.equal(getattr(together, name)[2], getattr(apart, name)[0])
    assert same(taken(together.conditions, [2]), taken(apart.conditions, [0]))


def test_noise_differs_between_steps_rows_roles_and_seeds():
    given = [([1], 7, 3, "forget"), ([2], 7, 3, "forget"), ([1], 7, 4, "forget"), ([1], 7, 3, "retain")]
    noises = [inputs(*where)[2] for where in (*given, ([1], 8, 3, "forget"))]
    assert len({noise.sum().item() for noise in noises}) == 5


def test_a_row_that_a_batch_holds_twice_is_noised_twice():
    for turn in range(30):
        _, _, noise, _ = inputs(loop._rows(3, 4, turn, 0), 0, turn, "forget")
        assert len({part.sum().item() for part in noise}) == 4


def test_latents_and_prompts_are_the_corpus_s_own():
    rows = [0, 3]
    latents, told, _, timesteps = inputs(rows, 0, 0, "retain", corpus=RETAIN)
    assert torch.equal(told["text"], RETAIN.conditions["text"][RETAIN.prompt[rows]])
    assert ((latents - RETAIN.mean[rows]).abs() <= 6 * RETAIN.std[rows]).all()
    assert not torch.equal(latents, RETAIN.mean[rows])
    assert all(0 <= at < 100 for at in timesteps)


def test_a_share_of_the_retain_pictures_and_no_forget_picture_is_seen_without_its_prompt(monkeypatch):
    seen, rows, original = {"forget": [], "retain": []}, pairs(200, seed=3), LatentUNet.residuals

    def residuals(self, latents, told, noise, times):
        silent = (told["text"] == rows.unprompted["text"]).flatten(1).all(1)
        seen["forget" if len(seen["forget"]) <= len(seen["retain"]) else "retain"].append(silent)
        return original(self, latents, told, noise, times)

    monkeypatch.setattr(LatentUNet, "residuals", residuals)
    run(denoiser(), rows, rows, batch=200, steps=2)
    assert not torch.cat(seen["forget"]).any()
    assert torch.cat(seen["retain"]).float().mean().item() == pytest.approx(0.25, abs=0.07)


def test_a_prompt_left_out_changes_nothing_else_of_a_row():
    where = [0, 1, 2, 3, 4, 5], 0, 0, "retain"
    (latents, said, noise, timesteps), (other, partly, *rest) = inputs(*where), inputs(*where, 0.5)
    assert all(torch.equal(one, two) for one, two in zip((latents, noise, timesteps), (other, *rest), strict=True))
    kept = (said["text"] == partly["text"]).flatten(1).all(1)
    assert 0 < kept.sum() < 6
    assert (partly["text"][~kept] == FORGET.unprompted["text"]).all()


@pytest.mark.parametrize(("count", "batch"), [(6, 2), (7, 3), (5, 8)])
def test_an_epoch_covers_every_row_once(count, batch):
    order = [row for turn in range(3 * count) for row in loop._rows(count, batch, turn, 4)]
    epochs = [order[start : start + count] for start in range(0, len(order) - count + 1, count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


RESIDUALS = torch.tensor([[0.5, -1.0], [1.5, -2.0]])
"""Errors 0.25, 1 (mean 0.625) and 2.25, 4 (mean 3.125)."""


def gradient_of(mode, bound):
    residuals = RESIDUALS.clone().requires_grad_()
    loss = forget_loss(residuals, mode, bound)
    loss.backward()
    return loss.item(), residuals.grad.tolist()


def test_clamp_bounds_each_picture_s_mean_and_has_no_gradient_above():
    assert gradient_of("clamp", 2.0) == (1.3125, [[0.25, -0.5], [0, 0]])


def test_elementwise_bounds_each_element_and_has_no_gradient_above():
    assert gradient_of("elementwise", 2.0) == (1.3125, [[0.25, -0.5], [0, 0]])
    assert gradient_of("elementwise", 3.0) == (1.625, [[0.25, -0.5], [0.75, 0]])


def test_skip_drops_the_whole_batch_while_its_mean_is_above():
    assert gradient_of("skip", 1.8) == (0, [[0, 0], [0, 0]])
    assert gradient_of("skip", 1.875) == (1.875, [[0.25, -0.5], [0.75, -1.0]])


def test_the_anchored_loss_is_nothing_at_the_base_model_and_the_square_of_the_way_at_the_goal():
    own, asked = torch.tensor([[0.5, -1.0]]), torch.tensor([[2.5, -2.0]])
    way = 1.5 * (asked - own)
    assert anchored_loss(own, own, asked, 1.5) == 0
    assert anchored_loss(own + way, own, asked, 1.5) == way.square().mean() == (9 + 2.25) / 2
    assert anchored_loss(own + 0.5 * way, own, asked, 1.5) == 0.75 * way.square().mean()
    assert anchored_loss(own + 2 * way, own, asked, 1.5) == 0, "too far is no better than not at all"
    residuals = own.clone().requires_grad_()
    anchored_loss(residuals, own, asked, 1.5).backward()
    assert torch.equal(residuals.grad, way), "mean of two squares: the gradient is the way"


@pytest.mark.parametrize("mode", ["clamp", "elementwise", "skip"])
def test_truncation_far_above_is_the_plain_mean(mode):
    assert gradient_of(mode, 1e9)[0] == retain_loss(RESIDUALS).item() == 1.875


def test_a_wholly_truncated_forget_loss_leaves_retain_descent_and_no_nan():
    model = denoiser()
    steps = run(model, truncation={"mode": "clamp", "value": 1e-9}, steps=2)
    assert [step.cosine for step in steps] == [0, 0]
    assert all(step.retain_change < 0 for step in steps)
    assert all(value.isfinite().all() for value in values(model).values())


def test_an_unknown_truncation_mode_is_refused():
    with pytest.raises(ValueError, match=r"truncation mode soft: choose one of clamp, elementwise, skip"):
        forget_loss(RESIDUALS, "soft", 1.0)


ANCHORED = {"mode": "anchor", "value": 1.5}


def anchors_of(rows):
    return taken(FORGET.conditions, FORGET.anchor[rows])


def test_led_to_its_anchor_a_network_comes_nearer_to_what_the_base_model_predicts_for_it():
    model, base = denoiser("v_prediction"), Frozen(denoiser("v_prediction"))
    alone = Method(lambda products, weight: (products.new_tensor(1.0), products.new_tensor(1e-9)))
    changes = {"batch": 6, "steps": 120, "learning_rate": 2e-3, "guard": False, "truncation": ANCHORED}
    reached = []
    for step in run(model, method=alone, **changes):
        rows = loop._rows(6, 6, step.step - 1, 0)
        given = loop._inputs(model, FORGET, rows, 0, step.step - 1, "forget")
        own, asked = base.led(given, anchors_of(rows))
        reached.append(step.forget_loss / (1.5**2 * float((asked - own).square().mean())))
    assert reached[0] == pytest.approx(0, abs=1e-4)
    assert max(reached) <= 1
    assert sum(reached[-20:]) > 0.5 * 20


def test_a_forget_set_without_anchors_is_refused_before_the_first_step():
    with pytest.raises(UserError, match="the forget set has no anchors"):
        run(denoiser(), forget=replace(FORGET, anchor=FORGET.prompt), truncation=ANCHORED)
    run(denoiser(), forget=replace(FORGET, anchor=FORGET.prompt), steps=1)


def test_the_base_model_is_asked_for_the_rows_own_prompts_and_for_their_anchors():
    base, rows = denoiser(), [0, 4]
    given, anchors = inputs(rows, 0, 0, "forget"), anchors_of(rows)
    noised = base.scheduler.add_noise(given.latents, given.noise, given.times)
    with torch.no_grad():
        asked = [base.module(noised, given.times, told["text"]).sample for told in (given.conditions, anchors)]
    for found, predicted in zip(Frozen(base).led(given, anchors), asked, strict=True):
        torch.testing.assert_close(found, predicted - given.noise)


def test_the_goal_stays_the_base_model_s_while_the_model_changes(monkeypatch):
    seen, true = [], Frozen.led
    monkeypatch.setattr(Frozen, "led", lambda *given: (seen.append((given, true(*given))), seen[-1][1])[1])
    run(denoiser(), truncation=ANCHORED, learning_rate=0.1)
    untouched = Frozen(denoiser())
    assert len(seen) == SETTINGS["steps"]
    for (_, given, anchors), goal in seen:
        assert all(torch.equal(one, other) for one, other in zip(true(untouched, given, anchors), goal, strict=True))
    firsts = [anchors_of(loop._rows(6, 2, step, 0)) for step in range(SETTINGS["steps"])]
    assert all(same(anchors, first) for ((_, _, anchors), _), first in zip(seen, firsts, strict=True))


def test_a_retain_target_of_the_base_model_starts_at_nothing_and_then_measures_the_distance_from_it():
    base = denoiser()
    first, second = run(denoiser(), retain_target="base", steps=2)
    assert first.retain_loss == 0
    assert first.conflict is False
    replay = denoiser()
    run(replay, retain_target="base", steps=1)
    given = loop._inputs(base, RETAIN, loop._rows(6, 2, 1, 0), 0, 1, "retain", SETTINGS["unprompted"])
    with torch.no_grad():
        apart = (replay.residuals(*given) - base.residuals(*given)).square().mean()
    assert second.retain_loss == pytest.approx(float(apart), rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"truncation": ANCHORED},
        {"retain_target": "base"},
        {"retain_target": "base", "truncation": ANCHORED, "scope": "lora"},
    ],
)
def test_a_resumed_run_still_looks_at_the_base_model(tmp_path, changes):
    whole, keep = denoiser(), [tmp_path / "state.safetensors", "stamp", 0]
    records = run(whole, **changes)
    stopped = loop.unlearn(denoiser(), FORGET, RETAIN, PCGRAD, {**SETTINGS, **changes}, 0, Resume(*keep))
    next(stopped)
    stopped.close()
    anew = denoiser()
    assert run(anew, resume=Resume(*keep), **changes) == records
    assert same(values(anew), values(whole))
