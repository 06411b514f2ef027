"""The surgeries against the paper's formula and a solver; the guard against its optimality conditions."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import nnls

from unpaint.unlearn import gradient

VECTORS = arrays(np.float64, 6, elements=st.floats(-4, 4, width=16))
WEIGHTS = st.floats(0.125, 8)


def of(*vectors):
    matrix = np.stack(vectors)
    return torch.from_numpy(matrix @ matrix.T)


def update(surgery, f, r, weight):
    a, b = gradient.SURGERIES[surgery](of(f, r), weight)
    return float(a) * f + float(b) * r


def projected(vector, other):
    inner = vector @ other
    return vector - inner / (other @ other) * other if inner < 0 else vector


def nearest(point, normals, metric=None):
    """The point of {u: n.u >= 0 for every n} nearest to `point`, by the dual's non-negative least squares."""
    metric = np.ones(len(point)) if metric is None else metric
    scaled = np.stack([n / np.sqrt(metric) for n in normals], axis=1)
    multipliers, _ = nnls(scaled, -point * np.sqrt(metric))
    return point + sum(m * n for m, n in zip(multipliers, normals, strict=True)) / metric, multipliers


def usable(*vectors):
    assume(all(v @ v > 1e-3 for v in vectors))


@given(VECTORS, VECTORS, WEIGHTS)
def test_pcgrad_is_theorem_4_on_flat_vectors_with_the_weight_on_the_projected_retain_part(f, r, weight):
    usable(f, r)
    expected = projected(f, r) + weight * projected(r, f)
    np.testing.assert_allclose(update("pcgrad", f, r, weight), expected, atol=1e-9)


@given(VECTORS, VECTORS, WEIGHTS, st.sampled_from(["pcgrad", "cone", "unilateral", "none"]))
def test_without_conflict_every_surgery_is_the_plain_sum(f, r, weight, surgery):
    assume(f @ r >= 0)
    np.testing.assert_allclose(update(surgery, f, r, weight), f + weight * r, atol=1e-12)


@given(VECTORS, VECTORS, WEIGHTS, st.sampled_from(["pcgrad", "cone"]))
@example(np.eye(6)[0], -np.eye(6)[0], 1.0, "pcgrad")
@example(np.eye(6)[0], -np.eye(6)[0], 3.0, "cone")
def test_update_never_raises_either_loss_to_first_order(f, r, weight, surgery):
    u = update(surgery, f, r, weight)
    slack = 1e-9 * (1 + f @ f + r @ r) * (1 + weight)
    assert u @ f >= -slack
    assert u @ r >= -slack


@given(VECTORS, VECTORS, WEIGHTS)
def test_cone_is_the_solver_s_projection_and_never_further_from_the_sum_than_pcgrad(f, r, weight):
    usable(f, r)
    total = f + weight * r
    found = update("cone", f, r, weight)
    np.testing.assert_allclose(found, nearest(total, [f, r])[0], atol=1e-7 * (1 + np.abs(total).max()))
    assert np.linalg.norm(found - total) <= np.linalg.norm(update("pcgrad", f, r, weight) - total) + 1e-9


def test_pcgrad_is_not_the_cone_so_the_two_settings_differ():
    f, r = np.array([1.0, 0.0]), np.array([-1.0, 2.0])
    assert not np.allclose(update("cone", f, r, 1.0), update("pcgrad", f, r, 1.0))


@given(VECTORS, VECTORS, WEIGHTS)
def test_unilateral_projects_the_forget_gradient_alone(f, r, weight):
    usable(f, r)
    np.testing.assert_allclose(update("unilateral", f, r, weight), projected(f, r) + weight * r, atol=1e-9)


@pytest.mark.parametrize("surgery", gradient.SURGERIES)
@pytest.mark.parametrize(("f", "r"), [((0, 0), (1, 2)), ((1, 2), (0, 0)), ((0, 0), (0, 0))])
def test_a_zero_gradient_leaves_the_other_as_it_is(surgery, f, r):
    f, r = np.array(f, dtype=float), np.array(r, dtype=float)
    np.testing.assert_array_equal(update(surgery, f, r, 2.0), f + 2 * r)
    assert float(gradient.cosine(of(f, r))) == 0


@pytest.mark.parametrize("surgery", ["pcgrad", "cone"])
def test_opposite_gradients_of_equal_norm_cancel(surgery):
    f = np.array([3.0, -4.0])
    np.testing.assert_allclose(update(surgery, f, -f, 1.0), 0, atol=1e-12)


@given(VECTORS, VECTORS)
def test_conflicting_gradients_of_equal_norm_give_a_multiple_of_the_sum(f, r):
    usable(f, r)
    f, r = f / np.linalg.norm(f), r / np.linalg.norm(r)
    total, found = f + r, update("pcgrad", f, r, 1.0)
    assert abs(total @ found - np.linalg.norm(total) * np.linalg.norm(found)) < 1e-9


def tensors(seed, count=7):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(1 + n, 3, generator=random) for n in range(count)]


def flat(parts):
    return np.concatenate([part.numpy().ravel() for part in parts]).astype(np.float64)


def test_gram_over_many_tensors_is_the_gram_of_the_flat_vectors():
    several = [tensors(1), tensors(2), tensors(3)]
    expected = np.array([[flat(a) @ flat(b) for b in several] for a in several])
    np.testing.assert_allclose(gradient.gram(several).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_gram_refuses_gradients_of_different_length():
    with pytest.raises(ValueError, match=r"longer|shorter"):
        gradient.gram([tensors(1), tensors(2)[:-1]])


def test_combine_overwrites_the_retain_gradient_and_keeps_the_forget_gradient():
    forget, retain = tensors(4), tensors(5)
    before, held = [part.clone() for part in forget], [part.data_ptr() for part in retain]
    expected = 0.5 * flat(forget) - 2 * flat(retain)
    gradient.combine(forget, retain, torch.tensor(0.5), torch.tensor(-2.0))
    np.testing.assert_allclose(flat(retain), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(one, other) for one, other in zip(forget, before, strict=True))
    assert [part.data_ptr() for part in retain] == held


METRICS = arrays(np.float64, 6, elements=st.floats(0.125, 8, width=16))


def guarded(u, f, r, metric, precision=np.float64):
    def inner(x, y):
        return float(precision((x * y).sum()))

    g, h = f / metric, r / metric
    products = torch.tensor([[inner(g, f), inner(g, r)], [inner(g, r), inner(h, r)]], dtype=torch.float64)
    p, q = gradient.guard(products, torch.tensor([inner(u, f), inner(u, r)], dtype=torch.float64))
    return u + float(p) * g + float(q) * h, float(p), float(q)


@given(VECTORS, VECTORS, VECTORS, METRICS)
def test_guard_is_the_nearest_step_that_raises_neither_loss(u, f, r, metric):
    usable(f, r)
    assume(abs(f @ r) < 0.999 * np.sqrt((f @ f) * (r @ r)))
    found, p, q = guarded(u, f, r, metric)
    scale = 1e-7 * (1 + np.abs(u).max()) * (1 + p + q)
    assert min(p, q) >= 0
    assert min(found @ f, found @ r) >= -100 * scale
    np.testing.assert_allclose(found, nearest(u, [f, r], metric)[0], atol=100 * scale)
    # complementary slackness: what is not binding has no multiplier
    assert abs(p * (found @ f)) + abs(q * (found @ r)) <= 1e4 * scale


@given(VECTORS, VECTORS, VECTORS, METRICS)
def test_guard_leaves_a_step_that_raises_nothing(u, f, r, metric):
    assume(u @ f >= 0 and u @ r >= 0)
    found, p, q = guarded(u, f, r, metric)
    assert (p, q) == (0, 0)
    np.testing.assert_array_equal(found, u)


@given(VECTORS, VECTORS, st.sampled_from([-3.0, -1.0, 0.25, 2.0]), METRICS)
def test_guard_of_parallel_and_opposite_gradients_is_feasible_and_near(u, f, factor, metric):
    usable(f)
    found, _, _ = guarded(u, f, factor * f, metric)
    np.testing.assert_allclose(found, nearest(u, [f, factor * f], metric)[0], atol=1e-6)


@given(VECTORS, VECTORS, st.sampled_from([-3.0, -1.0, 0.25, 2.0]), METRICS)
def test_guard_of_opposite_gradients_bears_inner_products_of_single_precision(u, f, factor, metric):
    usable(f, u)
    found, _, _ = guarded(u, f, factor * f, metric, np.float32)
    scale = np.sqrt((u @ u) * (f @ f)) * (1 + abs(factor))
    assert min(found @ f, factor * (found @ f)) >= -1e-4 * scale
    assert np.linalg.norm(found - u) <= 10 * np.linalg.norm(u) + 1e-6


@given(VECTORS, VECTORS, METRICS)
def test_guard_with_a_zero_gradient_answers_to_the_other(u, r, metric):
    usable(r)
    found, p, _ = guarded(u, np.zeros(6), r, metric)
    assert p == 0
    np.testing.assert_allclose(found, nearest(u, [r], metric)[0], atol=1e-9)


def test_the_example_of_the_readme_restricts_the_gradient():
    """It is run as it stands there."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for seed in range(20):
        torch.manual_seed(seed)
        found = {}
        exec(example.replace("combine(f, r, a, b)", "kept = [part.clone() for part in r]; combine(f, r, a, b)"), found)
        for slope in (gradient.inner(found["f"], found["r"]), gradient.inner(found["kept"], found["r"])):
            assert slope > -1e-6
