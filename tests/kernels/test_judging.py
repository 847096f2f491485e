"""The compiled pass from logits to decisions, and to what metrics are made of."""

import mpmath
import numpy as np
import pytest
from decision_oracle import decided, expected, judged, scored, tempered

from softmaxlib import _kernels, softmax
from softmaxlib.calibration import MatrixScaling, VectorScaling

SHAPES = [(1, 10), (37, 2), (40, 3), (1000, 10), (64, 64), (50, 65), (17, 449), (20, 1000), (3, 5000)]
SHAPES += [(200, 1), (0, 4)]
DTYPES = [np.float32, np.float64]


def made(shape, dtype, seed=0):
    generator = np.random.default_rng(seed)
    logits = 3 * generator.standard_normal(shape)
    logits[::7] = np.round(logits[::7])  # ties
    return logits.astype(dtype)


def criteria(classes, generator):
    """Each way to decide, with the parameters that it takes."""
    cost = np.round(generator.uniform(0, 5, (classes, 7)), 1)
    same, own = np.full(classes, 0.3), generator.uniform(0.05, 1, classes)
    cases = [
        ("most_likely", {}),
        ("confidence", {"threshold": np.array([0.5])}),
        ("thresholds", {"threshold": same}),
        ("thresholds", {"threshold": own}),
        ("cost", {"cost": cost, "tie": 5e-9, "abstain_cost": 1.5}),
        ("cost", {"cost": cost, "tie": 5e-9}),
    ]
    for bound in (0.9, 0.5, 1.0, 1 - 2.0**-53, 1e-20, 0.0, np.inf):
        for allow_empty in (True, False):
            options = {"threshold": np.full(classes, bound), "allow_empty": allow_empty}
            cases.append(("score_sets", options))
            cases.append(("ordered_sets", options))
            cases.append(("ordered_sets", options | {"own_counts": True}))
    cases.append(("score_sets", {"threshold": own}))
    cases.append(("ordered_sets", {"threshold": own, "penalty": 0.03, "penalty_rank": 2}))
    return cases


def assert_equal(found, wanted, case):
    for name, values in wanted.items():
        if name == "expected_cost":  # the sum over the classes is fused: nearer to the exact one
            np.testing.assert_allclose(found[name], values, rtol=1e-14, atol=1e-15, err_msg=f"{case}")
        else:
            np.testing.assert_array_equal(found[name], values, err_msg=f"{name} {case}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_gives_what_the_steps_give_one_after_the_other(shape, dtype):
    logits = made(shape, dtype)
    for criterion, options in criteria(shape[1], np.random.default_rng(1)):
        if criterion == "ordered_sets" and shape[1] > 100 and options["threshold"][0] != 0.9:
            continue  # a sort that takes long
        temperature = 0.7 if shape[0] % 2 else None
        found = judged(logits, criterion, temperature=temperature, **options)
        assert found["wrong"] == -1
        assert_equal(found, expected(logits, criterion, temperature=temperature, **options), options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_decided_as_they_are(dtype):
    probabilities = softmax(made((100, 12), dtype))
    for criterion, options in criteria(12, np.random.default_rng(1)):
        found = judged(probabilities, criterion, is_probabilities=True, **options)
        assert found["wrong"] == -1
        assert_equal(found, decided(probabilities, criterion, **options), options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_cheapest_action_is_what_would_be_decided_if_no_row_were_set_aside(dtype):
    logits, cost = made((100, 12), dtype), np.random.default_rng(3).uniform(0, 5, (12, 7))
    found = judged(logits, "cost", cost=cost, tie=5e-9, abstain_cost=1.5)
    every = judged(logits, "cost", cost=cost, tie=5e-9)
    assert 0 < found["abstained"].sum() < 100
    np.testing.assert_array_equal(found["cheapest"], every["action"])
    np.testing.assert_array_equal(found["cheapest_cost"], every["expected_cost"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1e-300, 1e-39, 1e-10, 1e300])
def test_a_row_that_the_temperature_makes_overflow_is_shifted_and_no_other(dtype, temperature):
    largest = float(np.finfo(dtype).max)
    logits = np.random.default_rng(0).uniform(-1, 1, (60, 5))
    logits[::3] *= largest
    logits = logits.astype(dtype)
    found = judged(logits, "most_likely", temperature=temperature)
    wanted = tempered(logits, temperature)
    np.testing.assert_array_equal(found["calibrated"], wanted)
    assert np.isfinite(wanted).all()


@pytest.mark.parametrize("kind", [VectorScaling, MatrixScaling])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vector_and_matrix_scaling(kind, dtype):
    logits = made((600, 6), dtype)
    labels = (logits + np.random.default_rng(2).gumbel(size=logits.shape)).argmax(axis=1)
    fitted = kind().fit(logits, labels)
    correction = (
        fitted.temperature_,
        fitted.floor_,
        getattr(fitted, "scale_", None),
        getattr(fitted, "matrix_", None),
        fitted.intercept_,
    )
    found = judged(logits, "most_likely", correction=correction)
    exact = []
    with mpmath.workdps(40):
        matrix = getattr(fitted, "matrix_", None)
        matrix = np.diag(fitted.scale_) if matrix is None else matrix
        for row in logits[:40].tolist():
            powers = [mpmath.exp(mpmath.mpf(x) / mpmath.mpf(fitted.temperature_)) for x in row]
            floor = mpmath.mpf(fitted.floor_)
            z = [mpmath.log((1 - floor) * power / sum(powers) + floor / 6) for power in powers]
            exact.append(
                [
                    float(mpmath.fdot(map(mpmath.mpf, weights), z) + mpmath.mpf(offset))
                    for weights, offset in zip(matrix.tolist(), fitted.intercept_.tolist(), strict=True)
                ]
            )
    tolerance = 1e-13 if dtype is np.float64 else 1e-7
    np.testing.assert_allclose(found["calibrated"][:40], exact, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(found["probabilities"], softmax(found["calibrated"]))


def arranged(logits, how):
    """The same rows, another way in memory."""
    if how == "columns":
        return np.asfortranarray(logits)
    if how == "every other":
        return np.repeat(np.repeat(logits, 2, axis=0), 2, axis=1)[::2, ::2]
    if how == "backwards":
        return np.ascontiguousarray(logits[::-1, ::-1])[::-1, ::-1]
    if how == "unaligned":
        memory = np.empty(logits.nbytes + 1, np.uint8)[1:].view(logits.dtype).reshape(logits.shape)
        memory[...] = logits
        return memory
    copy = logits.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize("how", ["columns", "every other", "backwards", "unaligned", "read-only"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_lie_in_memory_in_any_way(how, dtype):
    logits = made((70, 9), dtype)
    labels = np.arange(70) % 9
    for criterion, options in criteria(9, np.random.default_rng(1))[:8]:
        wanted = judged(logits, criterion, temperature=1.3, **options)
        found = judged(arranged(logits, how), criterion, temperature=1.3, **options)
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values)
    wanted = scored(logits, labels)
    for name, values in scored(arranged(logits, how), labels).items():
        np.testing.assert_array_equal(values, wanted[name])


@pytest.mark.parametrize("classes", [10, 100, 449])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_alone_and_anywhere(classes, dtype):
    logits = made((40_000 // classes + 77, classes), dtype)  # enough for two threads
    labels = np.arange(len(logits)) % classes
    cases = criteria(classes, np.random.default_rng(1))
    for criterion, options in [*cases[:6], cases[6], cases[-1]]:
        whole = judged(logits, criterion, temperature=1.3, **options)
        for rows in (slice(0, 1), slice(5, 6), slice(31, 64), slice(len(logits) - 1, None)):
            part = judged(logits[rows], criterion, temperature=1.3, **options)
            for name in ("action", "confidence", "expected_cost", "sets", "probabilities"):
                if whole[name] is not None:
                    np.testing.assert_array_equal(part[name], whole[name][rows])
    whole = scored(logits, labels)
    for rows in (slice(0, 1), slice(31, 64), slice(len(logits) - 1, None)):
        part = scored(logits[rows], labels[rows])
        for name in ("most_likely", "correct", "confidence", "log_loss", "brier_score"):
            np.testing.assert_array_equal(part[name], whole[name][rows])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_row_that_is_not_finite_is_named(dtype, bad):
    logits = made((9000, 8), dtype)
    labels = np.zeros(9000, np.int64)
    for row in (0, 15, 16, 4321, 8999):
        broken = logits.copy()
        broken[row, row % 8] = bad
        broken[row + 1 :: 5, 0] = bad
        assert judged(broken, "most_likely", temperature=2.0)["wrong"] == row
        assert scored(broken, labels)["wrong"] == row


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_row_of_no_probabilities_is_named(dtype):
    probabilities = softmax(made((5000, 8), dtype))
    labels = np.zeros(5000, np.int64)
    for change in (lambda row: row * 1.01, lambda row: -row, lambda row: row * np.nan, lambda row: row + 1):
        broken = probabilities.copy()
        broken[4444] = change(broken[4444])
        assert judged(broken, "most_likely", is_probabilities=True)["wrong"] == 4444
        assert scored(broken, labels, is_probabilities=True)["wrong"] == 4444


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [0.1, 3, 40, 400, 1e6])
def test_figures_are_those_of_exact_arithmetic(dtype, spread):
    generator = np.random.default_rng(3)
    logits = (spread * generator.standard_normal((32, 7))).astype(dtype)
    labels = generator.integers(0, 7, 32)
    labels[:16] = logits[:16].argmax(axis=1)
    found = scored(logits, labels)
    with mpmath.workdps(60):
        for row, (values, label) in enumerate(zip(logits.tolist(), labels.tolist(), strict=True)):
            powers = [mpmath.exp(mpmath.mpf(x) - mpmath.mpf(max(values))) for x in values]
            chances = [power / mpmath.fsum(powers) for power in powers]
            others = mpmath.fsum(chance for place, chance in enumerate(chances) if place != label)
            loss = -mpmath.log1p(-others) if others < 0.5 else -mpmath.log(chances[label])
            square = others**2 + mpmath.fsum(p**2 for place, p in enumerate(chances) if place != label)
            # a difference of two doubles is rounded, and its exponential then off by as much
            gap = 0 if dtype is np.float32 else max(values) - min(values)
            for name, exact in (
                ("confidence", max(chances)),
                ("doubt", mpmath.fsum(sorted(chances)[:-1])),
                ("log_loss", loss),
                ("brier_score", square),
            ):
                bound = (2e-15 + 2 * gap * 2.0**-53) * exact + mpmath.mpf(1e-300)
                value = float(found[name][row])
                assert abs(mpmath.mpf(value) - exact) <= bound, (name, row, value, exact)
    np.testing.assert_array_equal(found["most_likely"], logits.argmax(axis=1))
    np.testing.assert_array_equal(found["correct"], logits.argmax(axis=1) == labels)


@pytest.mark.parametrize("dtype", DTYPES)
def test_figures_of_probabilities(dtype):
    probabilities = softmax(made((300, 6), dtype) * 20)
    probabilities[0], probabilities[1] = np.eye(6)[2], [1e-40, 1 - 1e-40, 0, 0, 0, 0]
    labels = np.arange(300) % 6
    found = scored(probabilities, labels, is_probabilities=True)
    wide = probabilities.astype(np.float64)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found["log_loss"], -np.log(wide[np.arange(300), labels]), rtol=4e-15)
    squares = ((wide - np.eye(6)[labels]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found["brier_score"], squares, rtol=4e-15)
    np.testing.assert_array_equal(found["confidence"], np.minimum(wide.max(axis=1), 1))
    assert np.isinf(found["log_loss"][0])
    others = np.sort(wide, axis=1)[:, :-1].sum(axis=1)
    np.testing.assert_allclose(found["doubt"], others / (others + wide.max(axis=1)), rtol=4e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_resemble_probabilities(dtype):
    rows = softmax(made((50, 4), dtype))
    assert _kernels.resembles(rows, 1e-6)
    assert _kernels.resembles(rows.astype(np.float64)[::-1, ::-1], 1e-6)
    for row, change in ((0, 0.01), (49, -0.01)):
        other = rows.copy()
        other[row, 1] += change
        assert not _kernels.resembles(other, 1e-3)
    other = rows.copy()
    other[3] = [1.2, -0.2, 0.0, 0.0]
    assert not _kernels.resembles(other, 1e-3)


def test_arguments_of_other_sizes_are_refused():
    logits = made((5, 3), np.float32)
    action, confidence, aside = np.empty(5, np.int64), np.empty(5), np.empty(5, bool)
    outputs = (None, None, action, confidence, aside, *(None,) * 5)
    criterion = (0, None, None, 0.0, np.nan, False, True, 0.0, 0)
    assert _kernels.judge(logits, False, 0.0, None, criterion, outputs) == -1
    sized = "of one size"
    for wrong in (
        (logits[0], False, 0.0, None, criterion, outputs),
        (logits.astype(np.float16), False, 0.0, None, criterion, outputs),
        (logits, False, 0.0, None, criterion, (None, None, action[:4], confidence, aside, *(None,) * 5)),
        (logits, False, 0.0, None, criterion, (*outputs[:-2], action, None)),
        (logits, False, 0.0, None, criterion, outputs[:-1]),
        (logits, False, 0.0, None, (9, *criterion[1:]), outputs),
        (logits, False, 0.0, None, (4, np.ones(3), *criterion[2:]), outputs),
        (logits, False, 0.0, None, (2, np.ones(2), *criterion[2:]), outputs),
        (logits, False, 0.0, None, (3, None, np.ones(3), *criterion[3:]), outputs),
        (logits, False, 0.0, (1.0, 0.1, None, None, np.ones(3)), criterion, outputs),
    ):
        with pytest.raises(TypeError, match=sized):
            _kernels.judge(*wrong)
    with pytest.raises(TypeError, match=sized):
        _kernels.score(logits, False, 0.0, None, (None, None, None, None, confidence, None))
    with pytest.raises(TypeError, match=sized):
        _kernels.score(logits, False, 0.0, action[:4], (None, None, None, None, confidence, None))
