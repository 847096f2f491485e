"""In its coordinates, the matrix that a curvature stands for is the identity."""

import numpy as np
import pytest

from softmaxlib.calibration.conditioning import BlockCurvature, DiagonalCurvature


def positive_definite(generator, count, size):
    factor = generator.standard_normal((count, size, size))
    return factor @ factor.transpose(0, 2, 1)


def block_matrix():
    generator = np.random.default_rng(0)
    blocks, rest = positive_definite(generator, 3, 4), generator.exponential(size=2)
    whole = np.zeros((14, 14))
    for index, block in enumerate(blocks):
        part = slice(4 * index, 4 * index + 4)
        whole[part, part] = block
    whole[[12, 13], [12, 13]] = rest
    return BlockCurvature(blocks, rest), whole


def dense_matrix():
    block = positive_definite(np.random.default_rng(1), 1, 6)
    return BlockCurvature(block, np.empty(0)), block[0]


def diagonal_matrix():
    diagonal = np.random.default_rng(2).exponential(size=5)
    return DiagonalCurvature(diagonal), np.diag(diagonal)


@pytest.mark.parametrize("make", [block_matrix, dense_matrix, diagonal_matrix])
def test_coordinates_make_the_matrix_the_identity(make):
    curvature, matrix = make()
    generator = np.random.default_rng(3)
    precision = generator.exponential(size=len(matrix))
    coordinates = curvature.coordinates(precision)
    one, other = generator.standard_normal((2, len(matrix)))
    energy = one @ (matrix + np.diag(precision)) @ other
    assert coordinates.of(one) @ coordinates.of(other) == pytest.approx(energy, rel=1e-10)
    np.testing.assert_allclose(coordinates.parameters(coordinates.of(one)), one, rtol=1e-9)
    assert coordinates.slope(one) @ other == pytest.approx(one @ coordinates.parameters(other), rel=1e-9)
    several = np.stack([one, other], axis=1)
    for method in (coordinates.of, coordinates.parameters, coordinates.slope):
        np.testing.assert_allclose(method(several), np.stack([method(one), method(other)], axis=1), rtol=1e-9)
    whole = matrix + np.diag(precision)
    assert coordinates.log_determinant == pytest.approx(np.linalg.slogdet(whole).logabsdet, rel=1e-10)
    np.testing.assert_allclose(coordinates.variances(), np.diag(np.linalg.inv(whole)), rtol=1e-9)
