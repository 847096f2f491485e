"""The binary cross-entropy of NumPy arrays: exact arithmetic, other libraries, options, what is refused."""

import ml_dtypes
import mpmath
import numpy as np
import optax
import pytest
import sklearn.metrics
import torch

import softmaxlib
from softmaxlib._accuracy import LOSS_BOUNDS, bound
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

rng = np.random.default_rng(0)
X = 3 * rng.normal(size=(40, 5))
Y = rng.integers(0, 2, (40, 5))
SOFT = rng.random((40, 5))
WEIGHT = rng.exponential(size=(40, 1))
POSITIVE = np.array([0.0, 0.5, 1.0, 3.0, 20.0])
DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
CONFIDENT = [0.0, -0.0, 40.0, -40.0, 17.5, -88.0, 104.0, -700.0, 745.0, 1e-30, -3e-8]


def exact(x, y, weight=1, pos_weight=1, label_smoothing=0, focal_gamma=0):
    """The loss of an element, and its derivative, to a hundred digits."""
    with mpmath.workdps(400):
        x, y, w, u, eps, gamma = map(
            mpmath.mpf, map(float, (x, y, weight, pos_weight, label_smoothing, focal_gamma))
        )
        positive = w * u * ((1 - eps) * y + eps / 2)
        negative = w * ((1 - eps) * (1 - y) + eps / 2)
        p, q = 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))
        log_p, log_q = mpmath.log1p(mpmath.exp(-x)), mpmath.log1p(mpmath.exp(x))
        loss = positive * q**gamma * log_p + negative * p**gamma * log_q
        slope = negative * p**gamma * (p + gamma * q * log_q) - positive * q**gamma * (q + gamma * p * log_p)
        return loss, slope


def error_in_ulp(actual, wanted, dtype: str) -> float:
    """In units of the last place of the exact number; of a subnormal one in that of the smallest."""
    finfo = ml_dtypes.finfo(DTYPES[dtype])
    with mpmath.workdps(60):
        exponent = max(int(mpmath.frexp(wanted)[1]) - 1, finfo.minexp) if wanted else finfo.minexp
        return float(abs(mpmath.mpf(float(actual)) - wanted) / mpmath.ldexp(1, exponent - finfo.nmant))


@pytest.mark.parametrize("focal_gamma", [0.0, 2.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_and_gradient_are_within_their_bounds(dtype: str, focal_gamma: float) -> None:
    generator = np.random.default_rng(1)
    x = np.concatenate([CONFIDENT, 4 * generator.normal(size=150), generator.uniform(-750, 750, 100)])
    x = x.astype(DTYPES[dtype])
    y = generator.integers(0, 2, x.size)
    found = softmaxlib.sigmoid_cross_entropy_grad(x, y, focal_gamma=focal_gamma, reduction="none")
    smallest = float(ml_dtypes.finfo(DTYPES[dtype]).smallest_normal)
    for name, results, part in (("", found.loss, 0), ("_grad", found.grad, 1)):
        assert results.dtype == x.dtype
        stated = bound(f"sigmoid_cross_entropy{name}", dtype)
        for one, label, result in zip(x, y, results, strict=True):
            wanted = exact(one, label, focal_gamma=focal_gamma)[part]
            error = error_in_ulp(result, wanted, dtype)
            assert error <= (stated.ulp if abs(wanted) >= smallest else stated.subnormal_ulp), (
                one,
                label,
                error,
            )


def test_a_confident_logit_keeps_its_digits() -> None:
    assert softmaxlib.sigmoid_cross_entropy(np.array([40.0]), [1]) == pytest.approx(
        4.248354255291589e-18, rel=1e-15
    )
    assert softmaxlib.sigmoid_cross_entropy(np.float32([40.0]), [1]) == np.float32(4.248354255291589e-18)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": WEIGHT, "pos_weight": POSITIVE},
        {"label_smoothing": 0.1, "pos_weight": 4.0},
        {"focal_gamma": 1.5, "weight": WEIGHT},
        {"focal_gamma": 0.5, "label_smoothing": 0.2, "pos_weight": POSITIVE},
    ],
)
@pytest.mark.parametrize("target", [Y, SOFT])
def test_every_option_is_the_formula(options: dict, target: np.ndarray) -> None:
    found = softmaxlib.sigmoid_cross_entropy_grad(X, target, reduction="none", **options)
    weight, pos_weight = (
        np.broadcast_to(options.get(name, 1.0), X.shape) for name in ("weight", "pos_weight")
    )
    numbers = {name: value for name, value in options.items() if not name.endswith("weight")}
    for place in np.ndindex(X.shape):
        loss, slope = exact(X[place], target[place], weight[place], pos_weight[place], **numbers)
        assert error_in_ulp(found.loss[place], loss, "float64") <= 3
        assert abs(found.grad[place] - slope) <= 1e-15 * max(1, pos_weight[place] * weight[place])


def test_it_is_the_cross_entropy_of_the_row_of_0_and_the_logit() -> None:
    rows = np.stack([np.zeros(X.size), X.ravel()], axis=1)
    for options, weight in (
        ({}, None),
        ({"pos_weight": 3.0, "label_smoothing": 0.1}, [1.0, 3.0]),
        ({"focal_gamma": 2}, None),
    ):
        shared = {name: value for name, value in options.items() if name != "pos_weight"}
        loss, grad = softmaxlib.sigmoid_cross_entropy_grad(X.ravel(), Y.ravel(), reduction="none", **options)
        row_loss, row_grad = softmaxlib.cross_entropy_grad(
            rows, Y.ravel(), class_weight=weight, reduction="none", **shared
        )
        np.testing.assert_allclose(loss, row_loss, rtol=1e-15)
        np.testing.assert_allclose(grad, row_grad[:, 1], rtol=3e-15, atol=1e-16)


class TestOtherLibraries:
    def test_scikit_learns_log_loss(self) -> None:
        p = softmaxlib.sigmoid(X.ravel())
        weight = np.repeat(WEIGHT, 5)
        found = softmaxlib.sigmoid_cross_entropy(X.ravel(), Y.ravel(), weight=weight, reduction="sum")
        expected = sklearn.metrics.log_loss(Y.ravel(), p, sample_weight=weight, normalize=False)
        assert found == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    def test_pytorchs_binary_cross_entropy(self, reduction: str) -> None:
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            *map(torch.tensor, (X, SOFT, WEIGHT)), pos_weight=torch.tensor(POSITIVE), reduction=reduction
        )
        found = softmaxlib.sigmoid_cross_entropy(
            X, SOFT, weight=WEIGHT, pos_weight=POSITIVE, reduction=reduction
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_the_focal_loss_with_a_balance(self) -> None:
        """As Lin et al. and torchvision write it: alpha_t (1 - p_t)^gamma (-log p_t)."""
        alpha, gamma = 0.25, 2.0
        p = 1 / (1 + np.exp(-X))
        p_t = np.where(Y == 1, p, 1 - p)
        expected = np.where(Y == 1, alpha, 1 - alpha) * (1 - p_t) ** gamma * -np.log(p_t)
        found = softmaxlib.sigmoid_cross_entropy(
            X, Y, focal_gamma=gamma, weight=1 - alpha, pos_weight=alpha / (1 - alpha), reduction="none"
        )
        np.testing.assert_allclose(found, expected, rtol=1e-10)

    def test_optaxs_sigmoid_losses(self) -> None:
        with np.errstate(all="ignore"):
            plain = np.asarray(
                optax.sigmoid_binary_cross_entropy(X.astype(np.float32), SOFT.astype(np.float32))
            )
            focal = np.asarray(
                optax.sigmoid_focal_loss(X.astype(np.float32), Y.astype(np.float32), gamma=2.0)
            )
        np.testing.assert_allclose(
            softmaxlib.sigmoid_cross_entropy(X, SOFT, reduction="none"), plain, rtol=2e-5
        )
        found = softmaxlib.sigmoid_cross_entropy(X, Y, focal_gamma=2.0, reduction="none")
        np.testing.assert_allclose(found, focal, rtol=1e-3, atol=1e-9)


class TestEdges:
    @pytest.mark.parametrize("focal_gamma", [0.0, 2.0])
    def test_infinities_and_what_is_no_number(self, focal_gamma: float) -> None:
        x = np.array([np.inf, -np.inf, np.inf, -np.inf, np.nan, np.nan, np.inf])
        y = np.array([1, 0, 0, 1, 1, 0, 0.5])
        loss, grad = softmaxlib.sigmoid_cross_entropy_grad(x, y, focal_gamma=focal_gamma, reduction="none")
        np.testing.assert_array_equal(loss, [0, 0, np.inf, np.inf, np.nan, np.nan, np.inf])
        np.testing.assert_array_equal(grad, [0, 0, 1, -1, np.nan, np.nan, 0.5])

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_the_largest_numbers(self, dtype: str) -> None:
        largest = ml_dtypes.finfo(DTYPES[dtype]).max
        x = np.array([largest, -largest, largest, -largest], DTYPES[dtype])
        loss, grad = softmaxlib.sigmoid_cross_entropy_grad(x, [1, 0, 0, 1], reduction="none")
        np.testing.assert_array_equal(loss.astype(float), np.array([0, 0, largest, largest], float))
        np.testing.assert_array_equal(grad.astype(float), [0, 0, 1, -1])

    def test_a_mask_leaves_elements_out_whatever_they_hold(self) -> None:
        where = rng.random(X.shape) > 0.4
        x, y = np.where(where, X, np.nan), np.where(where, Y, np.nan)
        x[~where & (Y == 1)] = np.inf
        for options in ({}, {"weight": WEIGHT, "pos_weight": POSITIVE, "focal_gamma": 2.0}):
            found = softmaxlib.sigmoid_cross_entropy_grad(x, y, where=where, **options)
            alone = {
                name: np.broadcast_to(one, X.shape)[where] if np.ndim(one) else one
                for name, one in options.items()
            }
            kept = softmaxlib.sigmoid_cross_entropy_grad(X[where], Y[where], **alone)
            assert found.loss == kept.loss
            np.testing.assert_array_equal(found.grad[where], kept.grad)
            assert (found.grad[~where] == 0).all()
        losses = softmaxlib.sigmoid_cross_entropy(np.ma.masked_array(X, ~where), Y, reduction="none")
        assert (losses[~where] == 0).all()

    def test_no_element(self) -> None:
        for x, where in ((np.zeros((0, 3)), None), (np.zeros((2, 3)), np.zeros((2, 3), bool))):
            loss, grad = softmaxlib.sigmoid_cross_entropy_grad(x, x, where=where)
            assert np.isnan(loss)
            np.testing.assert_array_equal(grad, np.zeros(x.shape))
            assert softmaxlib.sigmoid_cross_entropy(x, x, where=where, reduction="sum") == 0

    def test_a_single_number(self) -> None:
        for target in (1, True, np.float32(1)):
            loss = softmaxlib.sigmoid_cross_entropy(2.0, target)
            assert isinstance(loss, np.float64)
            assert loss == pytest.approx(np.log1p(np.exp(-2)), rel=1e-15)

    def test_weights_of_0_count_nothing(self) -> None:
        loss, grad = softmaxlib.sigmoid_cross_entropy_grad(
            [np.nan, 1.0], [1, 0], pos_weight=0.0, reduction="none"
        )
        assert loss[0] == grad[0] == 0 < loss[1]


class TestMemory:
    def test_any_layout_has_the_same_bits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        options = {"pos_weight": POSITIVE, "reduction": "none"}
        expected = softmaxlib.sigmoid_cross_entropy_grad(X, SOFT, **options)
        for change in (
            np.asfortranarray,
            lambda a: np.repeat(a, 2, axis=0)[::2],
            lambda a: a[::-1].copy()[::-1],
            lambda a: a.astype(a.dtype.newbyteorder(">")),
        ):
            for found in (
                softmaxlib.sigmoid_cross_entropy_grad(change(X), change(SOFT), **options),
                softmaxlib.sigmoid_cross_entropy_grad(change(X), SOFT, **options),
            ):
                np.testing.assert_array_equal(found.loss, expected.loss)
                np.testing.assert_array_equal(found.grad, expected.grad)
        mean = softmaxlib.sigmoid_cross_entropy(X, SOFT, pos_weight=POSITIVE)
        for size in (1, 4, 7, 32):
            monkeypatch.setattr("softmaxlib.losses._sigmoid_arguments._BLOCK", size)
            found = softmaxlib.sigmoid_cross_entropy_grad(X, SOFT, **options)
            np.testing.assert_array_equal(found.grad, expected.grad)
            found = softmaxlib.sigmoid_cross_entropy(X, SOFT, pos_weight=POSITIVE)
            assert found == pytest.approx(mean, rel=1e-15)  # the sums of the blocks are rounded
        np.testing.assert_array_equal(
            softmaxlib.sigmoid_cross_entropy(
                X.reshape(2, 4, 5, 5), SOFT.reshape(2, 4, 5, 5), **options
            ).ravel(),
            expected.loss.ravel(),
        )

    def test_many_elements_on_many_threads_have_the_bits_of_each_alone(self) -> None:
        x = np.resize(X.ravel().astype(np.float32), 300_000)
        y = np.resize(Y.ravel(), x.size)
        loss, grad = softmaxlib.sigmoid_cross_entropy_grad(x, y, reduction="none")
        few_loss, few_grad = softmaxlib.sigmoid_cross_entropy_grad(x[:200], y[:200], reduction="none")
        np.testing.assert_array_equal(loss, np.resize(few_loss, x.size))
        np.testing.assert_array_equal(grad, np.resize(few_grad, x.size))

    def test_out_may_be_the_logits_or_overlap_them(self) -> None:
        expected = softmaxlib.sigmoid_cross_entropy_grad(X, Y).grad
        x = X.copy()
        assert softmaxlib.sigmoid_cross_entropy_grad(x, Y, out=x).grad is x
        np.testing.assert_array_equal(x, expected)
        memory = np.concatenate([X, np.zeros((1, 5))])
        softmaxlib.sigmoid_cross_entropy_grad(memory[:-1], Y, out=memory[1:])
        np.testing.assert_array_equal(memory[1:], expected)
        columns = np.empty(X.shape, order="F")
        softmaxlib.sigmoid_cross_entropy_grad(X, Y, out=columns)
        np.testing.assert_array_equal(columns, expected)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X, 2 * SOFT), {}, r"target must lie in 0 to 1, got 1\.\d+ at \(0, \d\)"),
        ((X[0], [0, 1, -1, 0, 0]), {}, "target must lie in 0 to 1, got -1 at 2; for class indices"),
        ((X, np.full(X.shape, np.nan)), {}, r"target must lie in 0 to 1, got nan at \(0, 0\)"),
        ((X, Y[:, 0]), {}, r"target must have the shape of logits, \(40, 5\), got \(40,\); give each logit"),
        ((X, Y), {"weight": np.ones(4)}, r"weight must broadcast to the shape of logits, \(40, 5\), got"),
        ((X, Y), {"pos_weight": [1, 1, -2, 1, 1]}, "pos_weight must be finite and not negative, got -2"),
        ((X, Y), {"pos_weight": np.inf}, "pos_weight must be finite and not negative, got inf$"),
        ((X, Y), {"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\), got 1"),
        ((X, Y), {"focal_gamma": -1}, "focal_gamma must be finite and not negative, got -1"),
        ((X, Y), {"reduction": "batch"}, "reduction must be one of mean, sum, none; got 'batch'"),
    ],
)  # fmt: skip
def test_values_that_are_refused(arguments: tuple, options: dict, message: str) -> None:
    for function in (softmaxlib.sigmoid_cross_entropy, softmaxlib.sigmoid_cross_entropy_grad):
        with pytest.raises(InvalidInputError, match=message):
            function(*arguments, **options)


def test_types_that_are_refused() -> None:
    for x, y, message in (
        (X > 0, Y, "logits must be real numbers, got dtype bool"),
        (X, Y.astype(str), "target must be real numbers, got dtype str"),
        (
            X.astype(np.longdouble),
            Y,
            "logits must be real numbers of at most 64 bits, got dtype float128; convert",
        ),
    ):
        with pytest.raises(UnsupportedTypeError, match=message):
            softmaxlib.sigmoid_cross_entropy(x, y)
    with pytest.raises(
        UnsupportedTypeError, match="out must have the dtype of the result, float64, got float32"
    ):
        softmaxlib.sigmoid_cross_entropy_grad(X, Y, out=np.empty(X.shape, np.float32))


def test_the_table_of_bounds_is_complete() -> None:
    functions = ("sigmoid_cross_entropy", "sigmoid_cross_entropy_grad")
    assert [(b.function, b.dtype) for b in LOSS_BOUNDS] == [(f, d) for f in functions for d in DTYPES]


def test_the_mean_of_large_finite_losses_is_finite():
    for size in (2, 200_000):  # in several blocks
        found = softmaxlib.sigmoid_cross_entropy_grad(np.full(size, 1.2e308), np.zeros(size))
        assert found.loss == 1.2e308
        np.testing.assert_array_equal(found.grad, np.full(size, 1 / size))
    assert softmaxlib.sigmoid_cross_entropy(np.array([np.inf, 0.0]), np.zeros(2)) == np.inf
    total = softmaxlib.sigmoid_cross_entropy(np.full(2, 1.2e308), np.zeros(2), reduction="sum")
    assert total == np.inf
