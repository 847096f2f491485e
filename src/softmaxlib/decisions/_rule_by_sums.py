"""Methods of a decision rule that need only sums over rows, so that rows need not be held."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from .._all_rows import AllRows
from .._arrays import IntArray
from .._drafts import draft_of
from .._stored import Stored
from .._underflow import underflow_is_zero
from ..metrics.tally_decisions import TallyDecisions
from ._promise_cells import PromiseCells
from .decision import Floats
from .outcomes import Outcomes, Promise


class RuleBySums(Stored):
    """Learning from more rows than memory holds, and testing promises on them."""

    @property
    def learns_by_sums(self) -> bool:
        """Tell whether the rule can be fitted by `fit_all`, on more rows than memory holds."""
        return type(self)._fit_all is not RuleBySums._fit_all

    @underflow_is_zero
    def fit_all(self, rows: AllRows) -> Self:
        """Learn the same as `fit` from rows in passes, if the rule can.

        Parameters
        ----------
        rows : AllRows
            Rows of calibrated probabilities.
        """
        self._check_settings(rows.classes)
        with draft_of(self) as draft:
            draft._fit_all(rows)
        return self

    def promises(self, outcomes: Outcomes, *, calibration_rows: int, draws: int) -> tuple[Promise, ...]:
        """Test the promises of the rule on rows with known true classes.

        Parameters
        ----------
        outcomes : Outcomes
            New rows, their decision and their true classes.
        calibration_rows : int
            Number of rows in the fit of the calibration, which limits how well the probabilities are known.
        draws : int
            Largest number of draws of a simulation.

        Returns
        -------
        tuple of Promise
            One per promise. Empty by default.
        """
        del calibration_rows
        is_weighted = outcomes.sample_weight is not None
        return self.promises_of_sums(self.promise_sums(outcomes), is_weighted, outcomes.class_names, draws)

    @property
    def promises_by_sums(self) -> bool:
        """Tell whether the promises are tested by sums over the rows, without keeping the rows."""
        return type(self).promises is RuleBySums.promises

    def promise_sums(self, outcomes: Outcomes) -> Floats:
        """Return the sums over rows for testing the promises. Sums of parts of the rows are added."""
        return self.sums_of_cells(PromiseCells.of(self.promise_cells(outcomes), outcomes.sample_weight))

    def promise_cells(self, outcomes: Outcomes) -> IntArray:
        """Return a number for each row: rows of one number are alike to the promises.

        It is below `promise_cell_count`, and negative for rows that do not matter to them.
        """
        return np.full(len(outcomes.labels), -1)

    @property
    def promise_cell_count(self) -> int:
        """Number of cells that `promise_cells` may give."""
        return 0

    def sums_of_cells(self, cells: PromiseCells) -> Floats:
        """Return the `promise_sums` of rows that are summed by their `promise_cells`."""
        del cells
        return np.zeros(0)

    def promises_of_costs(self, decided: TallyDecisions, calibration_rows: int) -> tuple[Promise, ...] | None:
        """Test the promises by what decisions cost on average and were expected to; None if that won't do."""
        del decided, calibration_rows
        return None

    def promises_of_sums(
        self, sums: Floats, is_weighted: bool, class_names: Sequence[str], draws: int
    ) -> tuple[Promise, ...]:
        """Test the promises by the `promise_sums` of all rows."""
        del sums, is_weighted, class_names, draws
        return ()

    def _fit_all(self, rows: AllRows) -> None:
        """Learn as `_fit`, from sums over the rows."""
        raise NotImplementedError

    def _check_settings(self, classes: int) -> None:
        """Refuse another number of classes than the settings are for."""
