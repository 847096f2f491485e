"""Views of the rows of a source: selections and conversions."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._all_rows import RowBlock
from .._arrays import IntArray
from .._checks import known_logits
from ..activations import softmax
from ..calibration import Calibration
from ..policy import logits_of
from .passes import PlacedRows

_SALT = 0x9E3779B97F4A7C15


class Split(NamedTuple):
    """The split of rows between calibration and rule.

    Attributes
    ----------
    how : str
        "none": all rows are the calibration's, and judged as well; "given" by a column; "random": by the
        place of a row in the source and the seed.
    seed : int
    """

    how: str
    seed: int

    def rule_rows(self, places: IntArray, given: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
        """Return True for each of these rows that is the rule's; a column may tell."""
        if given is not None:
            return given
        return (_mixed(places.astype(np.uint64), self.seed) & np.uint64(1)).astype(bool)


class Logits(NamedTuple):
    """Rows as logits: all of them, or those of the calibration or of the rule.

    Attributes
    ----------
    floor : float or None
        The value that replaces an exact probability of 0; None if the source holds logits.
    split : Split or None
        The split of rows; None for all of them.
    of_rule : bool
        Whether these are the rule's.
    """

    floor: float | None = None
    split: Split | None = None
    of_rule: bool = False

    def __call__(self, rows: PlacedRows) -> RowBlock:
        """Return logits with their labels."""
        block = rows.block
        chosen = np.ones(len(block.labels), bool) if block.weights is None else block.weights > 0
        if self.split is not None and self.split.how != "none":
            places = np.arange(rows.first, rows.first + len(block.labels))
            chosen &= self.split.rule_rows(places, rows.rule_rows) == self.of_rule
        if not chosen.all():
            block = RowBlock(*(None if column is None else column[chosen] for column in block))  # type: ignore[arg-type]
        if self.floor is None or not len(block.labels):
            return block
        return block._replace(values=logits_of(block.values, self.floor))


class Calibrated(NamedTuple):
    """Rows as probabilities, after a calibration."""

    logits: Logits
    calibration: Calibration

    def __call__(self, rows: PlacedRows) -> RowBlock:
        """Return calibrated probabilities with their labels."""
        block = self.logits(rows)
        if not len(block.labels):
            return block
        with known_logits():
            return block._replace(values=softmax(self.calibration.transform(block.values)))


def _mixed(values: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Apply the finaliser of SplitMix64 (Steele, Lea, Flood 2014) to each number and the seed."""
    key = np.random.default_rng((seed, _SALT)).integers(0, 2**64, 2, np.uint64)
    with np.errstate(over="ignore"):
        values = (values + key[0]) * (key[1] | np.uint64(1))
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
