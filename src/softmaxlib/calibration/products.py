"""Products and factors of matrices, with bits that do not depend on the number of threads.

A BLAS shares a large product out among its threads, and where it cuts changes the rounding. It leaves a small
one to a single thread: all products here are made of such. The threads of this package share out the blocks.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SMALL = 1 << 18  # multiplications, up to which BLAS takes one thread
_TILE = 32
_BASE = 32  # rows of a matrix that LAPACK factors in one thread


def _parts(length: int, most: int) -> list[slice]:
    """Return nearly equal parts, none of length 1, since BLAS splits products with a vector by threads."""
    count = -(-length // max(2, most))
    edges = [length * place // count for place in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(edges)]


def forward(weight: npt.NDArray[Any], inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Compute weight @ inputs of each block.

    Parameters
    ----------
    weight : array, shape (outputs, numbers)
    inputs : array, shape (blocks, numbers, length)

    Returns
    -------
    array, shape (blocks, outputs, length)
    """
    outputs, numbers = weight.shape
    blocks, _, length = inputs.shape
    found = np.empty((blocks, outputs, length), inputs.dtype)
    columns = _parts(length, max(64, _SMALL // (numbers * outputs)))
    longest = max(part.stop - part.start for part in columns)
    for rows in _parts(outputs, _SMALL // (numbers * longest)):
        for some in columns:
            np.matmul(weight[rows], inputs[:, :, some], out=found[:, rows, some])
    return found


def backward(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sum over blocks of left @ right', for shapes (blocks, m, length) and (blocks, n, length)."""
    found = np.empty((left.shape[1], right.shape[1]), left.dtype)
    turned = right.transpose(0, 2, 1)
    for rows in _parts(left.shape[1], _TILE):
        for columns in _parts(right.shape[1], _SMALL // (_TILE * left.shape[2])):
            found[rows, columns] = np.matmul(left[:, rows], turned[:, :, columns]).sum(axis=0)
    return found


def squared(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Do as `backward`, where the result is symmetric: half of it is computed."""
    size = left.shape[1]
    found = np.empty((size, size), left.dtype)
    turned = right.transpose(0, 2, 1)
    parts = _parts(size, min(_TILE, _SMALL // (_TILE * left.shape[2])))
    for place, rows in enumerate(parts):
        for columns in parts[: place + 1]:
            tile = np.matmul(left[:, rows], turned[:, :, columns]).sum(axis=0)
            found[columns, rows] = tile.T
            found[rows, columns] = tile
    return found


def dot(left: Floats, right: Floats) -> float:
    """Return the scalar product of two vectors."""
    return float(np.einsum("i,i->", left, right))


def applied(matrices: Floats, vectors: Floats) -> Floats:
    """Return each matrix times its vector: shapes (count, m, n) and (count, n)."""
    return np.einsum("bij,bj->bi", matrices, vectors)  # no BLAS: it shares out products with a vector sooner


def factor(matrices: Floats) -> tuple[Floats, Floats]:
    """Return the lower triangular L with L L' = matrix, and its inverse, for one or more matrices.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where a matrix is not positive definite.
    """
    size = matrices.shape[-1]
    if size <= _BASE:
        lower = np.linalg.cholesky(matrices).astype(np.float64, copy=False)
        return lower, np.tril(np.linalg.inv(lower)).astype(np.float64, copy=False)
    half = -(-size // (2 * _BASE)) * _BASE if size > 2 * _BASE else size // 2
    first, first_inverse = factor(matrices[..., :half, :half])
    corner = product(matrices[..., half:, :half], np.swapaxes(first_inverse, -1, -2))
    last, last_inverse = factor(
        matrices[..., half:, half:] - product(corner, np.swapaxes(corner, -1, -2).copy())
    )
    lower, inverse = np.zeros(matrices.shape), np.zeros(matrices.shape)
    lower[..., :half, :half], lower[..., half:, half:], lower[..., half:, :half] = first, last, corner
    inverse[..., :half, :half], inverse[..., half:, half:] = first_inverse, last_inverse
    inverse[..., half:, :half] = -product(last_inverse, product(corner, first_inverse))
    return lower, inverse


def product(left: Floats, right: Floats) -> Floats:
    """Compute left @ right, for one or more pairs of matrices."""
    if left.shape[-2] == 1:
        return product(np.repeat(left, 2, axis=-2), right)[..., :1, :]
    found = np.empty((*left.shape[:-1], right.shape[-1]))
    length = left.shape[-1]
    columns = _parts(right.shape[-1], max(_TILE, _SMALL // (length * left.shape[-2])))
    longest = max(part.stop - part.start for part in columns)
    for rows in _parts(left.shape[-2], _SMALL // (length * longest)):
        for some in columns:
            np.matmul(left[..., rows, :], right[..., some], out=found[..., rows, some])
    return found
