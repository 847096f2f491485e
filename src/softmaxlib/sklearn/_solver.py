"""Minimise a smooth convex objective."""

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from ._objective import Objective

Floats = npt.NDArray[np.float64]


def minimize(objective: Objective, start: Floats, tolerance: float, steps: int) -> tuple[Floats, int]:
    """The minimum and the number of steps; L-BFGS."""
    import scipy.optimize

    result = scipy.optimize.minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "gtol": tolerance, "ftol": 1e-15, "maxcor": 20, "maxfun": 10 * steps},
    )
    if result.nit >= steps:
        warnings.warn(
            f"not at the minimum after max_iter={steps} steps: the largest gradient entry is "
            f"{np.abs(result.jac).max():.2g}, tol is {tolerance:g}; raise max_iter or scale the features",
            ConvergenceWarning,
            stacklevel=3,
        )
    return result.x, int(result.nit)
