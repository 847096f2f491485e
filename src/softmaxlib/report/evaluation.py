"""The findings on a model, by which to decide whether to trust it, as one frozen value."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

from .._files import write_text
from .._html import panel
from ..policy import Audit, FitRecord
from .as_json import NOT_IN_JSON, as_json
from .class_calibration import ClassCalibration
from .class_figures import ClassFigures
from .confusions import Confusions
from .counts import Counts
from .decided import Decided
from .formats import counted
from .groups import GroupComparison
from .judgement import Judgement
from .mistakes import Mistake
from .provenance import Provenance
from .row_results import RowResults
from .tables import figure_rows
from .verdict import Verdict


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The findings of :func:`evaluate`; write them with :meth:`to_html` or :meth:`to_json`.

    Attributes
    ----------
    rows : int
        Rows judged.
    effective_rows : float or None
        The effective number of rows (Kish); None where rows have no weights.
    class_names : tuple of str
        In the order of the logits' columns.
    before : Judgement
        Of the logits as they came.
    after : Judgement or None
        Of the logits as the policy calibrates them; None without a policy.
    confusions : Confusions
        Rows of each pair of true and most likely class, after calibration if there is one.
    classes : tuple of ClassFigures
        One per class.
    class_calibration : tuple of ClassCalibration
        Whether the probability of each class can be believed, after calibration if there is one.
    mistakes : tuple of Mistake
        The wrong rows with the largest probability, the surest first.
    decided : Decided or None
        What the policy's rule made of the rows.
    groups : GroupComparison or None
        The figures of each group of rows, after calibration if there is one, and what differs; None without
        groups.
    audit : Audit or None
        Whether the policy's promises hold on these rows.
    record : FitRecord or None
        When and on what the policy was fitted.
    calibration, rule : str or None
        The policy's two parts, described.
    evaluated_at : str
        Time of the evaluation, ISO 8601 in UTC.
    provenance : Provenance
        The model, files and policy with their hashes, and the version of softmaxlib.
    verdict : Verdict
        The same in words.
    row_results : RowResults
        What came of each row; for :func:`compare`, and in no file that is written.
    sampled_rows : int or None
        How many rows, drawn uniformly, were held, where there were too many to hold them all; else None.
    sampled : tuple of str
        What comes from these rows alone; everything else is of all rows.
    """

    rows: int
    effective_rows: float | None
    class_names: tuple[str, ...]
    before: Judgement
    after: Judgement | None
    confusions: Confusions
    classes: tuple[ClassFigures, ...]
    class_calibration: tuple[ClassCalibration, ...]
    mistakes: tuple[Mistake, ...]
    decided: Decided | None
    groups: GroupComparison | None
    audit: Audit | None
    record: FitRecord | None
    calibration: str | None
    rule: str | None
    evaluated_at: str
    provenance: Provenance
    verdict: Verdict
    row_results: RowResults = field(repr=False, compare=False, metadata=NOT_IN_JSON)
    sampled_rows: int | None = None
    sampled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        final = self.final.figures
        return (
            f"Evaluation({counted(self.rows, 'row')}, {len(self.class_names)} classes: "
            f"{self.verdict.headline}; accuracy {final.accuracy:.1%}, "
            f"calibration error {final.calibration_error:.1%})"
        )

    def _repr_html_(self) -> str:
        values = ("Before", "After calibration") if self.after else ("Value",)
        titles = ("Figure", *values, "How surely it is known")
        figures = [
            (row["name"], *([row["before"]] if self.after else []), row["after"], row["known"])
            for row in figure_rows(self)
        ]
        return panel(self.verdict.headline, self.verdict.sentences, titles, figures)

    @property
    def final(self) -> Judgement:
        """The judgement after calibration if there is a policy, else the one before."""
        return self.after or self.before

    @property
    def confusion(self) -> Counts:
        """The confusion matrix (classes, classes): entry [k, j] is rows of class k whose most likely is j."""
        return self.confusions.matrix(len(self.class_names))

    @property
    def decides_otherwise(self) -> bool:
        """True if a policy decides other than by the most likely class of each row."""
        return self.decided is not None and not self.decided.is_most_likely

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Can this model be trusted?") -> None:
        """Write one self-contained HTML file: verdict, figures, tables; nothing is loaded from elsewhere.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        title : str
            The heading.
        """
        from .page import render

        write_text(path, render(self, title))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write every figure as JSON; what is not a number (the recall of a class without rows) is null."""
        content = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        write_text(path, content + "\n")

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as plain values that ``json.dump`` takes; what is not a number is None.

        Of the confusion matrix, only the cells that have rows are there.
        """
        return as_json(self)
