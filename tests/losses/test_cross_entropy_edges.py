"""The edge table: empty, masked, infinite, ignored, strided, overlapping, of every dtype."""

import ml_dtypes
import numpy as np
import pytest
from loss_oracle import Row, exact, ulps

from softmaxlib import cross_entropy, cross_entropy_grad

INF = np.inf
FLOATS = ["float16", ml_dtypes.bfloat16, "float32", "float64", "longdouble"]
OPTIONS = [{}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"z_loss": 0.1}]
BROKEN = [[INF, 0.0, 1.0], [np.nan, 0.0, 1.0], [-INF, -INF, -INF], [1.0, 2.0, np.nan]]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_ignored_rows_count_nowhere(dtype):
    logits = np.array([[1, 2, 3], [np.nan, INF, 0], [3, 1, 0]]).astype(dtype)
    loss, grad = cross_entropy_grad(logits, [2, -100, 1], ignore_index=-100)
    kept = cross_entropy_grad(logits[[0, 2]], [2, 1])
    assert loss == kept.loss
    np.testing.assert_array_equal(grad[[0, 2]], kept.grad)
    np.testing.assert_array_equal(grad[1], np.zeros(3))
    assert cross_entropy(logits, [2, -100, 1], ignore_index=-100, reduction="none")[1] == 0


def test_all_rows_ignored():
    logits = np.array([[1.0, 2.0], [3.0, 4.0]])
    loss, grad = cross_entropy_grad(logits, [-1, -1], ignore_index=-1)
    assert np.isnan(loss)
    np.testing.assert_array_equal(grad, np.zeros((2, 2)))
    assert cross_entropy(logits, [-1, -1], ignore_index=-1, reduction="sum") == 0


def test_no_rows():
    assert np.isnan(cross_entropy(np.empty((0, 3)), []))
    assert cross_entropy(np.empty((0, 3)), [], reduction="sum") == 0
    loss, grad = cross_entropy_grad(np.empty((0, 3)), [], reduction="none")
    assert loss.shape == (0,)
    assert grad.shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"z_loss": 0.1}], ids=str
)
def test_what_a_mask_hides_never_leaks(dtype, options):
    logits = np.array([[1, np.nan, 3], [2, INF, 0], [1, -INF, 2]]).astype(dtype)
    where = np.array([True, False, True])
    loss, grad = cross_entropy_grad(logits, [0, 2, 2], where=where, reduction="none", **options)
    kept = cross_entropy_grad(logits[:, [0, 2]], [0, 1, 1], reduction="none", **options)
    np.testing.assert_allclose(loss, kept.loss, rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(grad[:, [0, 2]], kept.grad, rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(grad[:, 1], np.zeros(3))


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"z_loss": 0.1}], ids=str
)
def test_a_whole_row_masked(options):
    loss, grad = cross_entropy_grad(
        [[1.0, 2.0], [np.nan, 1.0]], [0, 1], where=[[True, True], [False, False]], reduction="none", **options
    )
    assert np.isfinite(loss[0])
    assert loss[1] == 0
    np.testing.assert_array_equal(grad[1], np.zeros(2))


def test_a_masked_target_has_no_probability():
    loss, grad = cross_entropy_grad([[1.0, 2.0, 1.0]], [1], where=[True, False, True])
    assert loss == INF
    np.testing.assert_array_equal(grad, [[0.5, 0, 0.5]])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("row", BROKEN, ids=str)
def test_nan_stays_in_its_row(row, options):
    loss, grad = cross_entropy_grad([row, [1.0, 2.0, 3.0]], [0, 1], reduction="none", **options)
    assert np.isnan(loss[0])
    assert np.isfinite(loss[1])
    assert np.isnan(grad[0]).any()
    assert np.isfinite(grad[1]).all()


def test_an_impossible_target():
    loss, grad = cross_entropy_grad([[-INF, 0.0]], [0])
    assert loss == INF
    np.testing.assert_array_equal(grad, [[-1, 1]])


def test_no_probability_times_no_chance_is_nothing():
    loss, grad = cross_entropy_grad([[-INF, 0.0, 0.0]], [[0.0, 0.5, 0.5]])
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    np.testing.assert_array_equal(grad, np.zeros((1, 3)))
    assert cross_entropy([[-INF, 0.0]], [0], class_weight=[0.0, 1.0], reduction="sum") == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_numbers(dtype):
    largest = np.finfo(dtype).max
    logits = np.array([[largest, -largest], [-largest, largest]], dtype)
    loss, grad = cross_entropy_grad(logits, [0, 0], reduction="none")
    np.testing.assert_array_equal(loss, [0, INF])
    np.testing.assert_array_equal(grad, [[0, 0], [-1, 1]])


@pytest.mark.parametrize("kind", ["int8", "int32", "uint64"])
def test_integers_are_computed_in_float64(kind):
    loss, grad = cross_entropy_grad(np.array([[2, 1, 0]], kind), np.array([0], kind))
    assert loss.dtype == np.float64
    assert grad.dtype == np.float64
    assert loss == cross_entropy([[2.0, 1.0, 0.0]], [0])


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16], ids=str)
def test_half_precision_is_rounded_once(dtype):
    logits = np.random.default_rng(3).normal(scale=4, size=(40, 9)).astype(dtype)
    label = np.arange(40) % 9
    losses, grad = cross_entropy_grad(logits, label, reduction="none")
    assert losses.dtype == grad.dtype == dtype
    for position in range(40):
        row, truth = Row(label[position]), exact(logits[position])
        assert ulps(losses[position], row.loss(truth), dtype) <= 0.51
        assert (
            max(ulps(*pair, dtype) for pair in zip(grad[position], row.gradient(truth), strict=True)) <= 0.6
        )


def test_longdouble_is_not_narrowed():
    logits = np.array([[0, -50]], np.longdouble)
    loss = cross_entropy(logits, [0])
    assert loss.dtype == np.longdouble
    np.testing.assert_allclose(
        loss, np.log1p(np.exp(np.longdouble(-50))), rtol=4 * np.finfo(np.longdouble).eps
    )


_SEVERAL = {"class_weight": [0.5, 2.0, 1.0, 1.5, 0.7], "z_loss": 0.02}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"z_loss": 0.01},
        {"focal_gamma": 2.0},
        {"label_smoothing": 0.1},
        {**_SEVERAL, "focal_gamma": 1.5},
        {**_SEVERAL, "label_smoothing": 0.2},
        {"label_smoothing": 0.2, "focal_gamma": 2.0},
    ],
    ids=str,
)
def test_longdouble_agrees_with_float64(options, soft, masked):
    """Two programs: the kernel, or float64 with what rounding took put back, and sums in long double."""
    rng = np.random.default_rng(5)
    label = np.array([0, 1, 2, 3, 4, 1, 0, 0])
    logits = np.vstack([4 * rng.normal(size=(6, 5)), np.empty((2, 5))])
    logits[6:] = [900.125, 200.3, 330.7, 899.9, 201.1], [0.3, -699.7, -570.1, 0.1, -698.9]
    target = rng.dirichlet(np.ones(5), 8) if soft else label
    if soft:
        target[6:] = [0.5, 0, 0, 0.5, 0]
    if masked:
        where = rng.random((8, 5)) < 0.8
        where[np.arange(8), label] = True
        where[3] = False
        options = {**options, "where": where, **({} if soft else {"ignore_index": 4})}
    narrow = cross_entropy_grad(logits, target, reduction="none", **options)
    wide = cross_entropy_grad(logits.astype(np.longdouble), target, reduction="none", **options)
    assert wide.grad.dtype == np.longdouble
    np.testing.assert_allclose(narrow.loss, wide.loss, rtol=1e-15)
    np.testing.assert_allclose(narrow.grad, wide.grad, rtol=1e-13, atol=1e-16)
    far = [1, 2, 4]  # of the last rows: at a distance of 700 a rounded difference is off by 2^-44
    np.testing.assert_allclose(narrow.grad[6:, far], wide.grad[6:, far], rtol=4e-15)


def _layouts():
    base = np.random.default_rng(5).normal(size=(6, 8))
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float64).reshape(6, 8)
    readonly = base.copy()
    readonly.flags.writeable = False
    return base, {
        "fortran": np.asfortranarray(base),
        "big-endian": base.astype(">f8"),
        "negative stride": base[::-1, ::-1].copy()[::-1, ::-1],
        "every second": np.repeat(base, 2, axis=1)[:, ::2],
        "unaligned": unaligned,
        "read-only": readonly,
    }


@pytest.mark.parametrize("name", list(_layouts()[1]))
def test_the_layout_changes_no_bit(name):
    base, layouts = _layouts()
    for options in ({}, {"label_smoothing": 0.1}):
        expected = cross_entropy_grad(base, np.arange(6), **options)
        result = cross_entropy_grad(layouts[name], np.arange(6), **options)
        assert result.loss == expected.loss
        np.testing.assert_array_equal(result.grad, expected.grad)


@pytest.mark.parametrize("classes", [3, 40, 200_001])
def test_a_row_is_the_same_alone_and_in_any_batch(classes):
    logits = np.random.default_rng(6).normal(scale=5, size=(5, classes)).astype(np.float32)
    label = np.array([0, 1, 2, 1, 0])
    together = cross_entropy_grad(logits, label, reduction="none")
    for row in range(5):
        alone = cross_entropy_grad(logits[row], label[row], reduction="none")
        assert alone.loss == together.loss[row]
        np.testing.assert_array_equal(alone.grad, together.grad[row])


def test_out_may_be_the_logits():
    logits = np.random.default_rng(8).normal(size=(700, 300))
    label = np.arange(700) % 300
    expected = cross_entropy_grad(logits, label)
    loss, grad = cross_entropy_grad(logits, label, out=logits)
    assert grad is logits
    assert loss == expected.loss
    np.testing.assert_array_equal(grad, expected.grad)


@pytest.mark.parametrize("axis", [0, 1])
def test_out_that_overlaps_in_part_is_as_if_it_did_not(axis):
    memory = np.random.default_rng(9).normal(size=(601, 600))
    logits, out = memory[:-1], memory[1:]
    label = np.arange(600)
    expected = cross_entropy_grad(logits.copy(), label, axis=axis)
    loss, grad = cross_entropy_grad(logits, label, axis=axis, out=out)
    assert grad is out
    assert loss == expected.loss
    np.testing.assert_array_equal(out, expected.grad)


def test_out_may_be_the_target():
    logits = np.random.default_rng(10).normal(size=(50, 4))
    target = np.random.default_rng(11).dirichlet(np.ones(4), 50)
    expected = cross_entropy_grad(logits, target)
    np.testing.assert_array_equal(cross_entropy_grad(logits, target, out=target).grad, expected.grad)


def test_out_along_another_axis():
    logits = np.random.default_rng(12).normal(size=(5, 4, 3))
    label = np.arange(15).reshape(5, 3) % 4
    out = np.full(logits.shape, np.nan)
    result = cross_entropy_grad(logits, label, axis=1, out=out)
    assert result.grad is out
    np.testing.assert_array_equal(out, cross_entropy_grad(logits, label, axis=1).grad)


def test_zero_dimensions():
    with pytest.raises(np.exceptions.AxisError):
        cross_entropy(1.0, 0)
    assert cross_entropy(1.0, 0, axis=None) == 0


@pytest.mark.parametrize("power", [-331, 331])  # of two: almost 1e-100 and 1e100
@pytest.mark.parametrize("options", OPTIONS)
def test_the_largest_and_smallest_weights_only_scale_the_results(power, options):
    logits, label = np.array([[2.0, 1.0, 0.1], [0.0, 3.0, -1.0], [1.0, 1.0, 1.0]]), [0, 1, 2]
    weight = np.array([1.0, 1.5, 1.25])
    usual = cross_entropy_grad(logits, label, class_weight=weight, reduction="sum", **options)
    scaled = cross_entropy_grad(
        logits, label, class_weight=np.ldexp(weight, power), reduction="sum", **options
    )
    assert scaled.loss == np.ldexp(usual.loss, power)
    np.testing.assert_array_max_ulp(scaled.grad, np.ldexp(usual.grad, power), 2)
    mean = cross_entropy_grad(logits, label, class_weight=weight, **options)
    same = cross_entropy_grad(logits, label, class_weight=np.ldexp(weight, power), **options)
    assert same.loss == mean.loss
    np.testing.assert_array_max_ulp(same.grad, mean.grad, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_the_mean_of_large_finite_losses_is_finite(dtype):
    largest = 0.7 * np.finfo(dtype).max
    logits = np.array([[largest, 0]] * 3, dtype)
    for target in ([1, 1, 1], [[0.0, 1.0]] * 3):
        found = cross_entropy_grad(logits, target)
        np.testing.assert_allclose(found.loss, logits[0, 0], rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(found.grad, [[1 / 3, -1 / 3]] * 3, rtol=1e-6)
        assert cross_entropy(logits, target) == found.loss
    weighted = cross_entropy(logits, [1, 0, 1], class_weight=[0.25, 0.75])
    np.testing.assert_allclose(weighted / logits[0, 0], 6 / 7, rtol=1e-6)
    with np.errstate(over="ignore"):
        assert cross_entropy(logits, [1, 1, 1], reduction="sum") == np.inf
    assert cross_entropy(np.array([[0, -np.inf], [0, 0]], dtype), [1, 1]) == np.inf
