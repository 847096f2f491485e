"""The cells in which a tally counts the probabilities of a class: the more classes, the fewer of each."""

from typing import NamedTuple

from ._log_odds_grid import FINE, LogOddsGrid
from ._poisson_binomial import WEIGHTED


class Grids(NamedTuple):
    """The cells of rows of weight 1, and those of other rows, which are counted by weight too."""

    counted: LogOddsGrid
    weighted: LogOddsGrid


# By the most classes: there are never more than 200,704 cells of rows of weight 1.
_GRIDS = {
    64: Grids(FINE, WEIGHTED),
    1024: Grids(LogOddsGrid(8, 12), LogOddsGrid(1, 12)),
    4096: Grids(LogOddsGrid(2, 12), LogOddsGrid(1, 12)),
}
MOST_CLASSES = max(_GRIDS)


def grids_of(classes: int) -> Grids:
    """Return the cells for a number of classes."""
    return next(grids for most, grids in _GRIDS.items() if classes <= most)
