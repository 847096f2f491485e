"""Laws of every calibration, including those that are added later."""

import copy
import json

import numpy as np
import pytest

import softmaxlib.calibration as calibration
from softmaxlib.calibration import Calibration
from softmaxlib.errors import FileFormatError, InvalidInputError, NotFittedError, UnsupportedTypeError

KINDS = [
    getattr(calibration, name)
    for name in calibration.__all__
    if isinstance(getattr(calibration, name), type) and getattr(calibration, name) is not Calibration
]


def sample(rows, classes, temperature=2.0, seed=0):
    """Logits and labels for which softmax(logits / temperature) is the truth."""
    generator = np.random.default_rng(seed)
    logits = 4 * generator.standard_normal((rows, classes))
    labels = (logits / temperature + generator.gumbel(size=logits.shape)).argmax(axis=1)
    return logits, labels


def log_loss(instance, logits, labels):
    return -np.log(instance.predict_proba(logits)[np.arange(len(labels)), labels]).mean()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def fitted():
    """Each kind once, fitted on the same sample; laws that change nothing share it."""
    logits, labels = sample(600, 4)
    return {kind: kind().fit(logits, labels) for kind in KINDS}


def test_every_calibration_is_found(kind):
    assert Calibration._registered[kind.__name__] is kind


def test_probabilities_are_a_finite_distribution(kind, fitted):
    logits = np.concatenate(
        [sample(50, 4, seed=9)[0], [[1e30, -1e30, 0, 1], [0, 0, 0, 0], [-1e300, 1e300, 0, 0]]]
    )
    probabilities = fitted[kind].predict_proba(logits)
    assert probabilities.shape == logits.shape
    assert np.isfinite(fitted[kind].transform(logits)).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_a_class_that_happened_never_gets_probability_zero(kind, fitted):
    logits, labels = sample(5000, 4, seed=3)
    assert np.isfinite(log_loss(fitted[kind], logits, labels))


def test_a_row_is_calibrated_alone_as_in_company(kind, fitted):
    logits = sample(20, 4, seed=4)[0]
    together = fitted[kind].transform(logits)
    alone = np.concatenate([fitted[kind].transform(row[None]) for row in logits])
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-12)


def test_order_of_rows_does_not_matter(kind, fitted):
    logits, labels = sample(600, 4)
    order = np.random.default_rng(1).permutation(600)
    shuffled = kind().fit(logits[order], labels[order])
    new = sample(100, 4, seed=5)[0]
    if kind.__name__ != "Auto":  # its folds follow the order
        np.testing.assert_allclose(
            shuffled.predict_proba(new), fitted[kind].predict_proba(new), rtol=1e-5, atol=1e-7
        )


def test_a_weight_of_two_is_the_row_twice(kind):
    logits, labels = sample(300, 3, seed=6)
    weights = np.random.default_rng(7).integers(0, 4, 300)
    weighted = kind().fit(logits, labels, sample_weight=weights)
    repeated = kind().fit(np.repeat(logits, weights, axis=0), np.repeat(labels, weights))
    new = sample(100, 3, seed=8)[0]
    if kind.__name__ != "Auto":  # its folds hold other rows
        np.testing.assert_allclose(
            weighted.predict_proba(new), repeated.predict_proba(new), rtol=1e-5, atol=1e-7
        )


def test_float32_stays_float32(kind, fitted):
    logits = sample(5, 4)[0]
    assert fitted[kind].transform(logits.astype(np.float32)).dtype == np.float32
    assert fitted[kind].transform(logits).dtype == np.float64
    assert fitted[kind].transform(np.round(logits).astype(int)).dtype == np.float64


def test_inputs_are_left_as_they_were(kind):
    logits, labels = sample(200, 3)
    kept = logits.copy(), labels.copy()
    logits.flags.writeable = labels.flags.writeable = False
    kind().fit(logits, labels).transform(logits)
    np.testing.assert_array_equal(logits, kept[0])
    np.testing.assert_array_equal(labels, kept[1])


def test_json_keeps_every_bit(kind, fitted):
    text = json.dumps(fitted[kind].to_dict(), allow_nan=False)
    again = Calibration.from_dict(json.loads(text))
    assert type(again) is kind
    logits = sample(50, 4, seed=2)[0]
    np.testing.assert_array_equal(again.transform(logits), fitted[kind].transform(logits))
    assert json.dumps(again.to_dict()) == text
    assert repr(again) == repr(fitted[kind])


def test_use_before_fit(kind):
    for use in (lambda: kind().transform([[0.0, 1.0]]), lambda: kind().to_dict()):
        with pytest.raises(NotFittedError, match=f"{kind.__name__} must be fitted before use; call fit"):
            use()


def test_another_number_of_classes(kind, fitted):
    with pytest.raises(InvalidInputError, match=r"must have the 4 classes .* got shape \(2, 3\); fit again"):
        fitted[kind].transform(np.zeros((2, 3)))
    with pytest.raises(InvalidInputError, match=r"got shape \(4,\), which means 4 rows of a binary model"):
        fitted[kind].transform(np.zeros(4))


@pytest.mark.parametrize(
    ("logits", "labels", "weights", "error", "message"),
    [
        ([[0.0, np.nan]], [0], None, InvalidInputError, "finite, got nan at row 0, column 1"),
        ([[0.0, 1.0]], [2], None, InvalidInputError, "0 to 1 .* got 2 in row 0"),
        ([[0.0, 1.0]], [0, 1], None, InvalidInputError, r"be one-hot, shape \(1, 2\), got shape \(2,\)"),
        ([[0.0, 1.0]], [0], [-1.0], InvalidInputError, "not negative, got -1.0 in row 0"),
        ([[0.0, 1.0]], [0], [0.0], InvalidInputError, "not be all zero"),
        ([[1j, 1.0]], [0], None, UnsupportedTypeError, "real numbers, got dtype complex128"),
    ],
)
def test_wrong_input_is_named(kind, logits, labels, weights, error, message):
    with pytest.raises(error, match=message):
        kind().fit(logits, labels, sample_weight=weights)


def _values(state, path=()):
    """Every place in nested dictionaries, with its value."""
    for key, value in state.items():
        yield (*path, key), value
        if isinstance(value, dict):
            yield from _values(value, (*path, key))


def _with(state, path, value):
    state = copy.deepcopy(state)
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return state


HOSTILE = [
    None,
    True,
    -1,
    10**400,
    float("nan"),
    "",
    "__import__('os')",
    [],
    [[]],
    {},
    {"base64": 1},
    "A" * 10**5,
]


def test_a_hostile_file_is_refused_or_harmless(kind, fitted):
    state = fitted[kind].to_dict()
    logits = sample(5, 4)[0]
    for path, _ in list(_values(state)):
        for value in HOSTILE:
            try:
                loaded = Calibration.from_dict(_with(state, path, value))
            except FileFormatError:
                continue
            try:  # what was accepted must be a usable calibration
                assert np.isfinite(loaded.transform(logits)).all(), (path, value)
            except InvalidInputError:  # for another number of classes
                assert path == ("class_count_",), (path, value)


def test_a_missing_or_unknown_key_is_named(kind, fitted):
    state = fitted[kind].to_dict()
    for path, _ in list(_values(state)):
        parent = copy.deepcopy(state)
        place = parent
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        with pytest.raises(FileFormatError, match=path[-1]):
            Calibration.from_dict(parent)
    with pytest.raises(FileFormatError, match="unknown field 'surprise'"):
        Calibration.from_dict(state | {"surprise": 1})


def test_damaged_arrays_are_refused(kind, fitted):
    state = fitted[kind].to_dict()
    for path, value in list(_values(state)):
        if path[-1] != "numbers":
            continue
        assert len(value) > 0
        first = [] if isinstance(value[0], list) else value[0]
        for damaged in ([first, *value], [*value[:-1], ["inf"] * 4], "inf", [*value[:-1], "inf"]):
            with pytest.raises(FileFormatError):
                Calibration.from_dict(_with(state, path, damaged))


def test_unknown_class_and_version():
    state = calibration.Identity().fit(*sample(10, 3)).to_dict()
    with pytest.raises(FileFormatError, match=r"class must be one of .*Identity.*; got 'os\.system'"):
        Calibration.from_dict(state | {"class": "os.system"})
    with pytest.raises(FileFormatError, match=r"version must be one of 1, 2, got 3; .* fit and save again"):
        Calibration.from_dict(state | {"version": 3})
    with pytest.raises(FileFormatError, match=r"one of HistogramBinning; got 'Identity'"):
        calibration.HistogramBinning.from_dict(state)
    for nonsense in (None, 3, [], "x"):
        with pytest.raises(FileFormatError, match="calibration must be a JSON object"):
            Calibration.from_dict(nonsense)
