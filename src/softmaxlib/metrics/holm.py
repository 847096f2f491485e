"""Several tests at once: p-values that may all be compared with one significance."""

import numpy as np
import numpy.typing as npt


def holm_adjusted(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Adjust p-values by Holm's step-down method.

    If all hypotheses hold, the probability that any adjusted p-value is at most 0.05 is at most 0.05. The
    tests may depend on each other in any way.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979).
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
