"""The second derivatives of the cross-entropy's formula in many digits: of rows, for PyTorch and JAX."""

import mpmath
import numpy as np

STEP = mpmath.mpf(10) ** -130  # its square is far below what is tested
MARGINS = [1.0, 18.0, 40.0, 80.0]
CASES = [  # options, dtype, and the largest margin at which its normal numbers hold the results
    ({}, "float32", 80),
    ({"label_smoothing": 0.1}, "float64", 80),
    ({"focal_gamma": 2.0}, "float32", 18),
    ({"focal_gamma": 2.0}, "float64", 80),
    ({"focal_gamma": 0.5}, "float32", 40),
    ({"focal_gamma": 0.1, "label_smoothing": 0.1}, "float64", 80),
]


def exact_hessian(logits, target, label_smoothing=0.0, focal_gamma=0.0) -> np.ndarray:
    """Of a row with a target distribution, by central differences."""
    with mpmath.workdps(400):
        row = [mpmath.mpf(float(z)) for z in logits]
        spread = mpmath.mpf(label_smoothing) / len(row)
        share = [(1 - mpmath.mpf(label_smoothing)) * mpmath.mpf(float(q)) + spread for q in target]

        def loss(*moves):
            powers = [mpmath.exp(z + STEP * sum(s for at, s in moves if at == i)) for i, z in enumerate(row)]
            total = mpmath.fsum(powers)
            return -mpmath.fsum(
                a * ((total - power) / total) ** mpmath.mpf(focal_gamma) * mpmath.log(power / total)
                for a, power in zip(share, powers, strict=True)
            )

        classes = range(len(row))
        return np.array(
            [
                [
                    float(
                        sum(one * two * loss((i, one), (j, two)) for one in (1, -1) for two in (1, -1))
                        / (4 * STEP**2)
                    )
                    for j in classes
                ]
                for i in classes
            ]
        )


def assert_exact(found, margin, target, dtype, **options):
    """Compare with the truth, each entry relative to itself."""
    truth = exact_hessian([0.0, -margin], target, **options)
    digits = 30 * np.finfo(dtype).eps
    np.testing.assert_allclose(np.asarray(found, float), truth, rtol=digits, atol=np.finfo(dtype).tiny)
