"""The formula of cross_entropy's docstring, row by row, in 120 decimal digits."""

from dataclasses import dataclass

import mpmath
import numpy as np

mpmath.mp.dps = 120
STEP = mpmath.mpf(10) ** -40


@dataclass(frozen=True)
class Row:
    """One row with its options; `target` is a label or a list of probabilities."""

    target: object
    class_weight: list[float] | None = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    z_loss: float = 0.0
    where: list[bool] | None = None

    def loss(self, logits) -> mpmath.mpf:
        count = len(logits)
        exists = self.where or [True] * count
        total = mpmath.fsum(mpmath.exp(z) for z, here in zip(logits, exists, strict=True) if here)
        weight = self.class_weight or [1.0] * count
        loss = mpmath.mpf(0)
        row_weight = mpmath.mpf(0)
        for position, z in enumerate(logits):
            q = self._target(position)
            row_weight += mpmath.mpf(float(weight[position])) * q
            if not exists[position]:
                assert q == 0
                continue
            epsilon = mpmath.mpf(float(self.label_smoothing))
            smoothed = (1 - epsilon) * q + epsilon / sum(exists)
            p = mpmath.exp(z) / total
            loss -= mpmath.mpf(float(weight[position])) * smoothed * self._focal(p) * mpmath.log(p)
        return loss + mpmath.mpf(float(self.z_loss)) * row_weight * mpmath.log(total) ** 2

    def slope(self, logits, place: int) -> mpmath.mpf:
        """By central differences: the step's square, 1e-80, is far below what is tested."""
        up, down = list(logits), list(logits)
        up[place] += STEP
        down[place] -= STEP
        return (self.loss(up) - self.loss(down)) / (2 * STEP)

    def gradient(self, logits) -> list[mpmath.mpf]:
        return [self.slope(logits, place) for place in range(len(logits))]

    def _target(self, position: int) -> mpmath.mpf:
        if isinstance(self.target, (int, np.integer)):
            return mpmath.mpf(int(position == self.target))
        return mpmath.mpf(float(self.target[position]))

    def _focal(self, p: mpmath.mpf) -> mpmath.mpf:
        return (1 - p) ** mpmath.mpf(float(self.focal_gamma)) if self.focal_gamma else mpmath.mpf(1)


def exact(logits: np.ndarray) -> list[mpmath.mpf]:
    return [mpmath.mpf(float(z)) for z in logits]


def ulps(value, truth: mpmath.mpf, dtype) -> float:
    """The error of `value` in units in the last place of `truth` in `dtype`."""
    nearest = np.abs(np.asarray(float(truth)).astype(dtype))
    unit = mpmath.mpf(float(np.spacing(nearest)))
    return float(abs(mpmath.mpf(float(value)) - truth) / unit)
