"""softmax, log_softmax and logsumexp against the exact results, within the stated bounds."""

from pathlib import Path

import kernel_reference as reference
import numpy as np
import pytest
from kernel_rows import FAMILIES, as_dtype

import softmaxlib
from softmaxlib._accuracy import BOUNDS, LOSS_BOUNDS, bound

DTYPES = ("float16", "bfloat16", "float32", "float64")
LENGTHS = (1, 2, 3, 5, 10, 16, 17, 31, 64, 65, 100, 257, 1000, 2049, 4096, 4097, 12345)
LONG = (50_003, 300_001)
CANCELLING = ("log_probabilities", "nearly_cancelling")


def assert_within(actual, exact, function, dtype):
    stated = bound(function, dtype)
    error = reference.error_in_ulp(actual, exact, dtype)
    smallest_normal = np.ldexp(np.longdouble(1), reference.FORMATS[dtype].least)
    limit = np.where(np.abs(exact) < smallest_normal, stated.subnormal_ulp, stated.ulp)
    excess = np.asarray(error - limit)
    worst = np.unravel_index(excess.argmax(), excess.shape)
    assert excess[worst] <= 0, (
        f"{function} {dtype}: {float(error[worst]):.3f} ULP at {worst}: {np.asarray(actual)[worst]!r}, "
        f"exactly {exact[worst]!r}"
    )


def rows_of(family, dtype, classes, elements, seed=7):
    rng = np.random.default_rng([seed, classes])
    return as_dtype(FAMILIES[family](rng, max(1, elements // classes), classes), dtype)


def check_rows(x, dtype, temperatures=(1.0,)):
    for temperature in temperatures:
        actual = softmaxlib.softmax(x, temperature=temperature)
        assert_within(actual, reference.softmax(x, temperature), "softmax", dtype)
        actual = softmaxlib.log_softmax(x, temperature=temperature)
        assert_within(actual, reference.log_softmax(x, temperature), "log_softmax", dtype)
    exact = reference.logsumexp(x, reference.FORMATS[dtype].digits)
    assert_within(softmaxlib.logsumexp(x), exact, "logsumexp", dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, dtype):
    elements = 400 if dtype == "float64" and family in CANCELLING else 8000
    for classes in LENGTHS:
        if elements < 8000 and classes > 300:
            break
        check_rows(rows_of(family, dtype, classes, elements), dtype, (1.0, 0.37, 11.0))


@pytest.mark.parametrize(
    ("place", "most", "others"),
    [
        (49, "0x1.1573cap+0", "-0x1.379d56p+3"),
        (49, "0x1.e5b5fcp-2", "-0x1.2a1590p+3"),
        (50, "-0x1.fd36b6p-1", "-0x1.551ce4p+3"),
        (48, "-0x1.30f5f6p+1", "-0x1.42bca8p+3"),
    ],
)
def test_rows_whose_rounding_errors_add_up(place, most, others):
    """These were off by 1.02 to 1.07 ULP: sixteen excesses were summed up in one float32."""
    x = np.full((1, 64), float.fromhex(others), np.float32)
    x[0, place] = float.fromhex(most)
    check_rows(x, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", LONG)
def test_long_rows(classes, dtype):
    for family in ("normal", "two_values", "equal", "confident"):
        check_rows(rows_of(family, dtype, classes, classes), dtype)


@pytest.mark.parametrize("temperature", [1e-280, 2.0**-61, 1e-9, 1e-3, 0.9, 3.7, 1e4, 2.0**61, 1e280])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_temperature(dtype, temperature):
    x = rows_of("normal", dtype, 33, 33 * 200).astype(np.float64)
    scaled = np.clip(x * temperature, -float(np.finfo(dtype).max), float(np.finfo(dtype).max))
    for logits in (x.astype(dtype), scaled.astype(dtype)):
        actual = softmaxlib.softmax(logits, temperature=temperature)
        assert_within(actual, reference.softmax(logits, temperature), "softmax", dtype)
        actual = softmaxlib.log_softmax(logits, temperature=temperature)
        assert_within(actual, reference.log_softmax(logits, temperature), "log_softmax", dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_axes_masks_and_sinks(dtype):
    rng = np.random.default_rng(11)
    x = as_dtype(FAMILIES["normal"](rng, 6 * 7, 20).reshape(6, 7, 20), dtype)
    for axis, moved in ((0, (1, 2, 0)), ((0, 2), (1, 0, 2)), (None, (0, 1, 2))):
        kept = 2 if axis == 0 else 1 if axis == (0, 2) else 0
        rows = x.transpose(moved).reshape(*(x.shape[d] for d in moved[:kept]), -1)
        back = np.argsort(moved)
        shape = [x.shape[d] for d in moved]
        for name in ("softmax", "log_softmax"):
            exact = getattr(reference, name)(rows).reshape(shape).transpose(back)
            assert_within(getattr(softmaxlib, name)(x, axis=axis), exact, name, dtype)
        exact = reference.logsumexp(rows)
        assert_within(softmaxlib.logsumexp(x, axis=axis), exact, "logsumexp", dtype)

    mask = rng.uniform(size=x.shape) < 0.6
    mask[..., 3] = True
    hidden = np.where(mask, x.astype(np.longdouble), -np.inf)
    x = np.where(mask, x, as_dtype(np.array(np.nan), dtype))
    for name in ("softmax", "log_softmax"):
        exact = getattr(reference, name)(hidden)
        assert_within(getattr(softmaxlib, name)(x, where=mask), exact, name, dtype)
    assert_within(softmaxlib.logsumexp(x, where=mask), reference.logsumexp(hidden), "logsumexp", dtype)

    sink = rng.normal(size=(6, 7, 1)) * 4
    for level in (sink, sink + 30, sink - 300, 1e5 * sink):
        exact = reference.softmax(hidden, sink=level)
        assert_within(softmaxlib.softmax(x, where=mask, sink=level), exact, "softmax", dtype)


def test_integers_are_computed_in_float64():
    x = np.random.default_rng(2).integers(-90, 40, (50, 30))
    for dtype in ("int8", "uint8", "int16", "int32", "int64", "uint64"):
        rows = np.abs(x).astype(dtype) if dtype.startswith("u") else x.astype(dtype)
        assert softmaxlib.softmax(rows).dtype == np.float64
        check_rows(rows, "float64")


def test_a_wider_result_is_rounded_once():
    """float16 in and float64 out is exact to float64; float64 in and float16 out is rounded once."""
    x = np.random.default_rng(3).normal(size=(40, 12)) * 5
    for name in ("softmax", "log_softmax"):
        exact = getattr(reference, name)(x.astype(np.float16))
        actual = getattr(softmaxlib, name)(x.astype(np.float16), dtype=np.float64)
        assert_within(actual, exact, name, "float64")
        error = reference.error_in_ulp(
            getattr(softmaxlib, name)(x, dtype=np.float16), getattr(reference, name)(x), "float16"
        )
        assert error.max() <= 0.5 + 1e-9


@pytest.mark.parametrize("margin", [0.5, 5, 20, 50, 100])
def test_confident_rows_keep_every_digit(margin):
    """The logarithm of a probability that is nearly one is -exp(-margin), not zero."""
    x = np.array([margin, 0.0], np.float32)
    assert_within(softmaxlib.log_softmax(x), reference.log_softmax(x), "log_softmax", "float32")
    assert softmaxlib.log_softmax(x)[0] < 0


@pytest.mark.parametrize(
    "row",
    [
        [0.0, -700.5],
        [0.0, -745.0],
        [0.0] + [-742.0] * 1000,
        [-1e-310, -712.0],
        [-1e-50, -115.1],
        [-np.log(2.0), -np.log(2.0)],
        [np.nextafter(-np.log(2.0), -1), -np.log(2.0)],
        [-(2.0**-30), np.log(2.0**-30)],
        [-13.7277] * 100,
        [np.log(0.25)] * 4,
        [-40.0, -40.0],
    ],
)
def test_logsumexp_where_it_cancels(row):
    for dtype in ("float32", "float64"):
        x = np.array(row, dtype)
        assert_within(softmaxlib.log_softmax(x), reference.log_softmax(x), "log_softmax", dtype)
        exact = np.array(reference.logsumexp_to_any_digits(x, digits=700))
        assert_within(softmaxlib.logsumexp(x), exact, "logsumexp", dtype)


def test_exponential_of_a_sample_of_all_floats():
    """exp(x) = value (1 + excess) / 2^(62 + 3/64) to 2^-26.6, as vecmath.h states; nightly takes all."""
    from exponential_sweep import largest_error

    rng = np.random.default_rng(5)
    x = np.concatenate(
        [rng.uniform(-128, 0.5, 200_000), -(2.0 ** rng.uniform(-149, 7, 100_000)), [0.0, -0.0]]
    )
    assert largest_error(x.astype(np.float32)) < 2.0**-26.6


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_is_audited_by_mpmath(family):
    """To a hundredth of a float64 ULP, and where a logsumexp cancels to a fiftieth."""
    x = FAMILIES[family](np.random.default_rng(17), 4, 5)
    for row in x:
        for temperature in (1.0, 0.37):
            for name in ("softmax", "log_softmax"):
                exact = getattr(reference, f"{name}_to_any_digits")(row, temperature)
                actual = getattr(reference, name)(row, temperature)
                assert reference.error_in_ulp(actual, exact, "float64").max() < 0.01
        exact = reference.logsumexp_to_any_digits(row)
        assert reference.error_in_ulp(reference.logsumexp(row), exact, "float64") < 0.02


def test_the_table_of_bounds_is_complete():
    assert {(b.function, b.dtype) for b in BOUNDS} == {
        (function, dtype) for function in ("softmax", "log_softmax", "logsumexp") for dtype in DTYPES
    }
    assert len(BOUNDS) == len(set(BOUNDS)) == 12


def test_the_documentation_prints_the_bounds():
    document = Path(__file__).resolve().parents[2] / "docs" / "accuracy.md"
    rows = [line.strip("| ").split(" | ") for line in document.read_text(encoding="utf-8").splitlines()]
    table = [row for row in rows if len(row) == 5 and row[1] in DTYPES]
    assert [(f, d, float(u), float(s)) for f, d, u, s, _ in table] == [
        tuple(b[:4]) for b in (*BOUNDS, *LOSS_BOUNDS)
    ]
    assert all(float(seen) <= float(stated) for _, _, stated, _, seen in table)
