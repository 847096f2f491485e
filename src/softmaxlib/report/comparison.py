"""Two evaluations side by side, as one frozen value."""

import json
import os
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal, NamedTuple

from .._files import write_text
from .._html import panel
from .as_json import as_json
from .evaluation import Evaluation
from .formats import TOO_FEW, number, p_is, share
from .groups import Measured

SHARES = ("accuracy", "calibration error", "share decided", "accuracy of the decided")


@dataclass(frozen=True)
class FigureDifference:
    """One figure of two evaluations, and its difference.

    Attributes
    ----------
    figure : str
        ``"accuracy"``, ``"log loss"``, ``"Brier score"``, ``"calibration error"``; with a policy
        ``"share decided"``, ``"accuracy of the decided"`` and ``"cost of a row"``, where there are such.
    first, second : float
        The figure of each.
    difference : Measured
        Second minus first, with its 95% bootstrap interval; its ends are NaN for fewer than 30 rows.
    p_value : float
        Chance of a difference as large, if the rows of both are exchanged at random; NaN for fewer than 30
        rows. For the calibration error, at least the p-value of `metrics.calibration_test` of the model with
        the larger error.
    better : "first", "second" or ""
        Which is better by this figure; empty if the interval contains 0, if the p-value is above 0.05, for
        fewer than 30 rows, or if neither a larger nor a smaller value is better.
    """

    figure: str
    first: float
    second: float
    difference: Measured
    p_value: float
    better: Literal["first", "second", ""]

    def written(self, value: float) -> str:
        """Write the figure as the page and the command line do."""
        return share(value) if self.figure in SHARES else number(value)

    @property
    def is_of_few_rows(self) -> bool:
        """Tell whether there are too few rows to judge the difference."""
        return isnan(self.p_value)

    @property
    def written_difference(self) -> str:
        """Return the difference with its sign, of shares in percentage points."""
        return f"{self._signed(self.difference.value)}{' points' if self.figure in SHARES else ''}"

    @property
    def written_interval(self) -> str:
        """Return the interval of the difference and the p-value, or that there are too few rows for them."""
        if self.is_of_few_rows:
            return TOO_FEW
        low, high = self._signed(self.difference.lower), self._signed(self.difference.upper)
        return f"{low} to {high}, {p_is(self.p_value)}"

    def _signed(self, value: float) -> str:
        return f"{100 * value:+.2f}" if self.figure in SHARES else f"{value:+.3g}"


class Agreement(NamedTuple):
    """How many rows, or their weight, each of two models takes for the right class.

    Attributes
    ----------
    both, first_only, second_only, neither : float
        Right by both, by one of them, by none.
    """

    both: float
    first_only: float
    second_only: float
    neither: float


@dataclass(frozen=True)
class LostRow:
    """A row that the first model is right about and the second is not.

    Attributes
    ----------
    row : int
        Its place in the first evaluation, counted from 0.
    row_id : str or None
        What it is called.
    truth : str
        Its true class.
    confidence : float
        The second model's, in the wrong class.
    """

    row: int
    row_id: str | None
    truth: str
    confidence: float


@dataclass(frozen=True, repr=False)
class Comparison:
    """The findings of :func:`compare`; write them with :meth:`to_html` or :meth:`to_json`.

    Attributes
    ----------
    names : pair of str
        What the two are called.
    first, second : Evaluation
        As they were given.
    paired : "by id", "in order" or ""
        How the rows of one were found among those of the other; empty if the rows are different ones.
    figures : tuple of FigureDifference
        One per figure.
    agreement : Agreement or None
        Where both are right, or only one; None for different rows.
    lost : tuple of LostRow
        Rows that the second is newly wrong about, those it is surest of first; none for different rows.
    headline : str
        Which is better, in a line.
    sentences : tuple of str
        What it rests on.
    """

    names: tuple[str, str]
    first: Evaluation
    second: Evaluation
    paired: Literal["by id", "in order", ""]
    figures: tuple[FigureDifference, ...]
    agreement: Agreement | None
    lost: tuple[LostRow, ...]
    headline: str
    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Comparison({self.headline})"

    def _repr_html_(self) -> str:
        return panel(self.headline, self.sentences, ("Figure", *self.names, "Difference"), self.table())

    def table(self) -> list[tuple[str, str, str, str]]:
        """Return the figures as texts: name, first, second, and the difference with interval and p-value."""
        return [
            (
                one.figure.capitalize(),
                one.written(one.first),
                one.written(one.second),
                f"{one.written_difference} ({one.written_interval})",
            )
            for one in self.figures
        ]

    def better(self, one: FigureDifference) -> str:
        """Return the name of the better by one figure; empty where that can't be told."""
        return {"first": self.names[0], "second": self.names[1], "": ""}[one.better]

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Which of the two is better?") -> None:
        """Write one self-contained HTML file; nothing is loaded from elsewhere.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        title : str
            The heading.
        """
        from .comparison_page import render

        write_text(path, render(self, title))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write every figure as JSON, those of both evaluations among them."""
        content = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        write_text(path, content + "\n")

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as plain values that ``json.dump`` takes; what is not a number is None."""
        return as_json(self)
