import mpmath
import numpy as np

from softmaxlib.sampling import _elementary

EPSILON = np.finfo(np.float64).eps


def test_exp_is_within_two_ulp_of_mpmath():
    generator = np.random.default_rng(1)
    x = np.concatenate(
        [-generator.random(300) * 700, -generator.random(300) * 1e-3, [-0.0, -700.0, -np.log(2) / 2]]
    )
    exact = [mpmath.exp(mpmath.mpf(value)) for value in x]
    error = [abs(mpmath.mpf(got) - want) / want for got, want in zip(_elementary.exp(x), exact, strict=True)]
    assert max(error) < 2 * EPSILON


def test_log_is_within_two_ulp_of_mpmath():
    generator = np.random.default_rng(2)
    x = np.concatenate([
        generator.random(300), 2.0 ** generator.integers(-52, 6, 300) * (1 + generator.random(300)),
        [1 - 2.0**-53, 2.0**-53, 0.5, 36.7, np.nextafter(2**-0.5, 0), np.nextafter(2**-0.5, 1)],
    ])  # fmt: skip
    exact = [mpmath.log(mpmath.mpf(value)) for value in x]
    error = [
        abs((mpmath.mpf(got) - want) / want) for got, want in zip(_elementary.log(x), exact, strict=True)
    ]
    assert max(error) < 2 * EPSILON


def test_ends_of_the_domains():
    x = np.array([0.0, -np.inf, -700.1])
    np.testing.assert_array_equal(_elementary.exp(x), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(_elementary.log(np.array([1.0])), [0.0])


def test_the_same_number_has_the_same_bits_wherever_it_stands():
    value = -np.pi
    for size in range(1, 40):
        x = np.zeros(size)
        x[size // 2] = value
        assert _elementary.exp(x)[size // 2] == _elementary.exp(np.array([value]))[0]
        assert _elementary.log(1 - x)[size // 2] == _elementary.log(np.array([1 - value]))[0]
