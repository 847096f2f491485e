"""p-values by simulation, exact for any number of rows and for rare events."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# The draws are those of a fixed seed: the same rows have the same p-value, on every machine.
_SEED = 0
_ENOUGH = 50
_BATCH = 100
_MOST = 1_000_000


def draws_for(significance: float) -> int:
    """Return how many draws can tell a hundredth of a significance, the least a p-value is compared with."""
    return int(np.clip(np.ceil(100 / significance), 10_000, _MOST)) - 1


def least_p_value(draws: int) -> float:
    """Return the smallest p-value that this number of draws can give."""
    return 1 / (draws + 1)


def simulated_p_value(
    draw: Callable[[np.random.Generator, int], Floats], observed: float, draws: int
) -> float:
    """Return the probability of a statistic at least as large as observed, from draws under the null.

    Drawing ends early where 50 draws were as large: that many tell that nothing is amiss. The p-value stays
    exact (Besag, Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991).

    Parameters
    ----------
    draw : callable
        Gives as many independent draws of the statistic as asked for.
    observed : float
        The statistic of the rows.
    draws : int
        The most draws.
    """
    generator = np.random.default_rng(_SEED)
    # equal sums may differ in their last digits by the order they are taken in
    limit = observed - 1e-9 * abs(observed)
    done = reached = 0
    while done < draws:
        batch = min(_BATCH, draws - done)
        as_large = np.cumsum(~(draw(generator, batch) < limit))  # a draw that is NaN counts too
        if reached + as_large[-1] >= _ENOUGH:
            return _ENOUGH / (done + 1 + int(np.searchsorted(as_large, _ENOUGH - reached)))
        reached += int(as_large[-1])
        done += batch
    return (reached + 1) / (draws + 1)
